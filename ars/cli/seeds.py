"""Experiments of many seeds: `ars train ENV --n-seeds N`, what it shows, and its table."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, cast

from ars.cli.closing import going_on, has_converged, seeing
from ars.cli.console import SECONDS_BETWEEN_LINES, RunNumbers, Translate
from ars.cli.parser import with_flags
from ars.cli.printable import printable
from ars.cli.program import hint, program, resuming
from ars.cli.streams import output
from ars.common.errors import UsageError
from ars.common.settings import counted, make_config
from ars.common.shell import quoted
from ars.common.words import digits, rounded
from ars.results.in_words import standing
from ars.training.experiment import Experiment, Outcome, SeedsConfig, failure, is_experiment

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = "iteration", "timesteps", "steps/s", "evaluation", "best", "left"


def train_seeds(given: dict[str, Any], command: str, trust: bool) -> bool:
    """Train an experiment, if that is what was asked for; takes its settings out of `given`.

    Raises:
        UsageError, RunError, FileError: as for a run; a seed that failed is named.
    """
    names = [name for name in ("n_seeds", "jobs") if name in given]
    values: dict[str, Any] = {name: given.pop(name) for name in names}
    folder = Path(given["resume"]) if "resume" in given else None
    if folder is not None and is_experiment(folder):
        if "n_seeds" in values:
            raise UsageError("`n_seeds`: an experiment keeps its seeds")
        changes = {name: value for name, value in given.items() if name != "resume"}
        experiment = Experiment.open(folder, changes, command, trust)
    elif "n_seeds" in values and folder is None:
        if "env_id" not in given:
            raise UsageError(f"name an environment, for example: {program('train')} HalfCheetah")
        n_seeds = make_config(SeedsConfig, values).n_seeds
        settings = {name: value for name, value in given.items() if name != "env_id"}
        experiment = Experiment.new(given["env_id"], settings, n_seeds, command)
    elif values:
        where = "one run has one seed" if folder is not None else "has no meaning without `n_seeds`"
        raise UsageError(f"`{names[0]}`: {where}")
    else:
        return False
    jobs = make_config(SeedsConfig, values).jobs
    again = resuming(experiment.folder, jobs=jobs, **experiment.config.chosen_workers)
    print(f"experiment {experiment.folder}: seeds {_span(experiment.seeds)}", flush=True)
    try:
        with open_seeds_display(experiment) as display:
            outcomes = experiment.train(display, jobs, trust)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted and saved; to go on: {again}") from None
    print(with_flags(summary(experiment, outcomes)))
    if any(outcome.result is not None for outcome in outcomes):
        print(f"  their curves   {quoted(_draw(experiment))}")
    if (error := failure(outcomes, again)) is not None:
        raise error
    return True


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def summary(experiment: Experiment, outcomes: Sequence[Outcome]) -> str:
    """What an experiment reached, seed by seed and as a whole, and how to go on."""
    results = {o.seed: o.result for o in outcomes if o.result is not None}
    if not results:
        return ""
    config, folder = experiment.config, experiment.folder
    finals = {seed: result["final_evaluation"] for seed, result in results.items()}
    trained = [f"{result['timesteps']:,}" for result in results.values()]
    first = next(iter(results.values()))
    more = config.chosen_workers | going_on(first, config.horizon)
    stand = {seed: standing(final, config.weighs_rewards) for seed, final in finals.items()}
    stands = "".join(f"seed {seed}: {line}\n" for seed, line in stand.items() if line)
    lines = [
        f"\n{table(config.env_id, config.algo, finals, {'trained': trained})}\n{stands}",
        f"  evaluate them  {hint('evaluate', folder)}",
        f"  see one run    {seeing(config.env_id, experiment.place(next(iter(results))))}",
    ]
    if not all(map(has_converged, results.values())):
        lines.append(f"  train on       {resuming(folder, **more)}")
    return "\n".join(lines)


def table(
    env_id: str,
    algo: str,
    evaluations: Mapping[int, Mapping[str, Any]],
    columns: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """A row for each seed, and a line on all of them.

    Args:
        env_id: the environment.
        algo: the algorithm.
        evaluations: of each seed, as result.json or `evaluate_policy` has it.
        columns: more of them, by title.
    """
    import numpy as np

    from ars.results.aggregates import interquartile_interval, interquartile_mean

    cells: dict[str, Sequence[str]] = {"seed": [str(seed) for seed in evaluations], **columns}
    for title, name in {"return": "mean", "deviation": "std", "worst": "min"}.items():
        cells[title] = [digits(row[f"return_{name}"]) for row in evaluations.values()]
    for measure in ("flags", "metres"):
        if all(f"{measure}_mean" in row for row in evaluations.values()):
            cells[measure] = [rounded(row[f"{measure}_mean"]) for row in evaluations.values()]
    widths = {title: max(map(len, [title, *column])) for title, column in cells.items()}
    lines = ["  ".join(title.rjust(width) for title, width in widths.items())]
    for row in zip(*cells.values(), strict=True):
        lines.append("  ".join(c.rjust(w) for c, w in zip(row, widths.values(), strict=True)))
    returns = np.array([row["return_mean"] for row in evaluations.values()])
    words = [f"median {digits(float(np.median(returns)))}"]
    words.append(f"interquartile mean {digits(float(interquartile_mean(returns)))}")
    if (ends := interquartile_interval(returns)) is not None:
        words[-1] += f" ({' to '.join(digits(float(end)) for end in ends)})"
    words.append(f"worst {digits(float(returns.min()))} of {counted(len(returns), 'seed')}")
    episodes = sorted({row["episodes"] for row in evaluations.values()})
    least = "" if len(episodes) == 1 else f"{episodes[0]:,} to "
    words.append(f"{least}{counted(episodes[-1], 'new episode')} each")
    return "\n".join([*lines, "", f"{env_id}, {algo}: {', '.join(words)}"])


def _draw(experiment: Experiment) -> str:
    """Draw the learning curves; returns the name of the file."""
    from ars.results import plotting
    from ars.results.plot_config import PlotConfig

    output = experiment.folder / "learning_curves.png"
    plotting.plot_curves([experiment.folder], PlotConfig(), output, lambda line: None)
    return str(output)


class _Display:
    """What the displays of an experiment have in common: the numbers of each seed."""

    def __init__(self, experiment: Experiment, translate: Translate) -> None:
        config = experiment.config
        self._numbers = {
            seed: RunNumbers(config.run, config.budget_seconds) for seed in experiment.seeds
        }
        self._state = dict.fromkeys(experiment.seeds, "")
        self._said: set[str] = set()
        self._translate = translate

    def event(self, seed: int, kind: str, value: Any) -> None:
        """Show what a seed has to show."""
        numbers = self._numbers[seed]
        match kind:
            case "progress":
                numbers.progress(value)
                numbers.expectation()
            case "evaluation":
                numbers.evaluation(value)
            case "best_so_far":
                numbers.best_so_far(value)
            case "notify" | "said" if value not in self._said:  # what every seed says is said once
                self._said.add(value)
                self.say(f"seed {seed}: {value}" if kind == "notify" else value)
                return
            case _:
                return
        self.changed(seed)

    def started(self, seed: int) -> None:
        """A seed begins to train."""
        self._state[seed] = "starting"

    def ended(self, seed: int, error: str | None) -> None:
        """Say how a seed ended."""
        self._state[seed] = "done" if error is None else "failed"
        best = self._numbers[seed].best
        reached = "" if best is None else f", best evaluation {digits(best)}"
        self.say(f"seed {seed}: done{reached}" if error is None else f"seed {seed} failed: {error}")

    def changed(self, seed: int) -> None:
        """A seed has new numbers."""

    def say(self, line: str) -> None:
        """Show a message."""
        raise NotImplementedError

    def cells(self, seed: int) -> dict[str, str]:
        """The numbers of a seed."""
        numbers = self._numbers[seed]
        return dict(numbers.cells()) if numbers.row else {}


class PlainSeeds(_Display):
    """Lines on stdout: one on each seed every ten seconds."""

    def __init__(self, experiment: Experiment, translate: Translate) -> None:
        super().__init__(experiment, translate)
        self._output = output()
        self._last = dict.fromkeys(experiment.seeds, time.monotonic())

    def __enter__(self) -> PlainSeeds:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def changed(self, seed: int) -> None:
        """Show a seed's numbers if that was long ago."""
        now = time.monotonic()
        if now - self._last[seed] >= SECONDS_BETWEEN_LINES and (cells := self.cells(seed)):
            self._last[seed] = now
            numbers = "  ".join(f"{name} {cells[name]}" for name in COLUMNS if name in cells)
            self.say(f"seed {seed}  {numbers}")

    def say(self, line: str) -> None:
        """Show a message."""
        self._output.write(f"{printable(self._translate(line))}\n")
        self._output.flush()


class LiveSeeds(_Display):
    """A table that stays in place on a terminal, a row for each seed, with messages above it."""

    def __init__(self, experiment: Experiment, translate: Translate) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(experiment, translate)
        self._title = f"{experiment.config.env_id} · {experiment.config.algo}"
        self._console = Console(file=cast(IO[str], output()))
        self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=4)

    def __enter__(self) -> LiveSeeds:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Show a message."""
        self._console.print(printable(self._translate(line)), markup=False, highlight=False)

    def _table(self) -> RenderableType:
        """The table as it is now; called from a thread of the live display too."""
        from rich.table import Table

        table = Table(title=self._title)
        table.add_column("seed", justify="right")
        for name in COLUMNS:
            table.add_column(name, justify="right")
        for seed, state in list(self._state.items()):
            cells = self.cells(seed)
            words = [cells.get(name, "") for name in COLUMNS]
            if state in ("done", "failed") or not cells:
                words[-1] = state
            table.add_row(str(seed), *words)
        return table


def open_seeds_display(
    experiment: Experiment, translate: Translate = with_flags
) -> AbstractContextManager[PlainSeeds | LiveSeeds]:
    """A live table if stdout is a terminal, else plain lines; `translate` rewrites messages."""
    return (LiveSeeds if output().isatty() else PlainSeeds)(experiment, translate)
