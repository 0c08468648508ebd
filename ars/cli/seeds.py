"""`ars train ENV --n-seeds N`: what the user sees of an experiment, and its closing table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from ars.cli.closing import going_on
from ars.cli.console import SECONDS_BETWEEN_LINES, Progress
from ars.cli.parser import with_flags
from ars.cli.printable import printable
from ars.cli.program import hint, program, resuming
from ars.cli.streams import output
from ars.common.errors import UsageError
from ars.common.settings import counted, make_config
from ars.common.words import digits, rounded
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
    again = resuming(experiment.folder)
    print(f"experiment {experiment.folder}: seeds {_span(experiment.seeds)}", flush=True)
    try:
        with _open_display(experiment) as display:
            outcomes = experiment.train(display, jobs, trust)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted and saved; to go on: {again}") from None
    print(with_flags(summary(experiment, outcomes)))
    if (error := failure(outcomes, again)) is not None:
        raise error
    return True


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def summary(experiment: Experiment, outcomes: Sequence[Outcome]) -> str:
    """The table of an experiment's seeds, and what they have in common."""
    results = [(outcome.seed, outcome.result) for outcome in outcomes if outcome.result is not None]
    if not results:
        return ""
    travels = all("metres_mean" in result["final_evaluation"] for _, result in results)
    titles = ["seed", "timesteps", "best after", "return", "deviation", "worst"]
    lines = [titles + ["metres"] * travels]
    for seed, result in results:
        final = result["final_evaluation"]
        cells = [str(seed), f"{result['timesteps']:,}", f"{final['timesteps']:,}"]
        cells += [digits(final[f"return_{name}"]) for name in ("mean", "std", "min")]
        if travels:
            cells.append(rounded(final["metres_mean"]))
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    config = experiment.config
    more = going_on(results[0][1], stretch=bool(config.schedules))
    returns = [result["final_evaluation"]["return_mean"] for _, result in results]
    episodes = results[0][1]["final_evaluation"]["episodes"]
    return "\n".join(
        [
            "",
            *table,
            "",
            f"{config.env_id}, {config.algo}: median {digits(statistics.median(returns))}, "
            f"worst {digits(min(returns))} of {counted(len(returns), 'seed')}, "
            f"{counted(episodes, 'new episode')} each",
            "",
            f"  train on      {resuming(experiment.folder, **config.chosen_workers | more)}",
            f"  see one run   {hint('render', outcomes[0].folder)}",
        ]
    )


class _Display:
    """What the displays of an experiment have in common: the numbers of each seed."""

    def __init__(self, experiment: Experiment) -> None:
        config = experiment.config
        self._numbers = {
            seed: Progress(config.run, config.budget_seconds) for seed in experiment.seeds
        }
        self._state = dict.fromkeys(experiment.seeds, "")
        self._said: set[str] = set()

    def event(self, seed: int, kind: str, value: Any) -> None:
        """Show what a seed has to show."""
        numbers = self._numbers[seed]
        if kind in ("progress", "evaluation", "best_so_far"):
            getattr(numbers, kind)(value)
            self.changed(seed, kind)
        elif value not in self._said:  # what every seed says is said once
            self._said.add(value)
            self.say(f"seed {seed}: {value}" if kind == "notify" else value)

    def started(self, seed: int) -> None:
        """A seed begins to train."""
        self._state[seed] = "starting"

    def ended(self, seed: int, error: str | None) -> None:
        """Say how a seed ended."""
        self._state[seed] = "done" if error is None else "failed"
        best = self._numbers[seed].best
        reached = "" if best is None else f", best evaluation {digits(best)}"
        self.say(f"seed {seed}: done{reached}" if error is None else f"seed {seed} failed: {error}")

    def changed(self, seed: int, kind: str) -> None:
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

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        self._output = output()
        self._last = dict.fromkeys(experiment.seeds, time.monotonic())

    def __enter__(self) -> PlainSeeds:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def changed(self, seed: int, kind: str) -> None:
        """Show a seed's numbers if that was long ago."""
        now = time.monotonic()
        if now - self._last[seed] >= SECONDS_BETWEEN_LINES and (cells := self.cells(seed)):
            self._last[seed] = now
            numbers = "  ".join(f"{name} {cells[name]}" for name in COLUMNS if name in cells)
            self.say(f"seed {seed}  {numbers}")

    def say(self, line: str) -> None:
        """Show a message."""
        self._output.write(f"{printable(with_flags(line))}\n")
        self._output.flush()


class LiveSeeds(_Display):
    """A table that stays in place on a terminal, a row for each seed, with messages above it."""

    def __init__(self, experiment: Experiment) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(experiment)
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
        self._console.print(printable(with_flags(line)), markup=False, highlight=False)

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


def _open_display(experiment: Experiment) -> AbstractContextManager[PlainSeeds | LiveSeeds]:
    return LiveSeeds(experiment) if output().isatty() else PlainSeeds(experiment)
