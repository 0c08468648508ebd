"""What the user sees during a run: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from ars.cli.parser import with_flags
from ars.cli.printable import printable
from ars.cli.streams import output
from ars.common.settings import counted

if TYPE_CHECKING:
    from ars.training.config import RunConfig, TrainingConfig
    from ars.training.trainer import Display

SECONDS_BETWEEN_LINES = 10.0

# Rewrites a library's message for the user, whose settings are flags or keyword arguments.
Translate = Callable[[str], str]


def duration(seconds: float) -> str:
    """Seconds in words: `42 s`, `7 min 05 s`, `3 h 20 min`."""
    if not math.isfinite(seconds):
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _returns(mean: float, highest: float) -> str:
    return "no episode yet" if math.isnan(mean) else f"{mean:,.1f} (max {highest:,.1f})"


class Progress:
    """The numbers that both displays show, updated from rows of the logs."""

    def __init__(self, config: RunConfig, budget_seconds: float | None) -> None:
        self._config, self._budget = config, budget_seconds
        self._first: tuple[float, dict[str, Any]] | None = None
        self._started = time.monotonic()
        self.row: dict[str, Any] = {}
        self.last_evaluation: tuple[float, int] | None = None
        self.best: float | None = None
        self._speed = 0.0

    def progress(self, row: dict[str, Any]) -> None:
        """Update from a row of progress.csv."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, row
            self._speed = row["steps_per_second"]
        else:
            before, first = self._first
            self._speed = (row["timesteps"] - first["timesteps"]) / max(now - before, 1e-9)
        self.row = row

    def evaluation(self, row: dict[str, Any]) -> None:
        """Update from a row of evaluations.csv."""
        self.last_evaluation = row["return_mean"], row["iteration"]
        if row["best"]:
            self.best = row["return_mean"]

    def best_so_far(self, return_mean: float) -> None:
        """Set the best evaluation from before a resume."""
        self.best = return_mean

    def seconds_left(self) -> float:
        """Estimated seconds until the run stops, at the speed so far; inf if unknown."""
        config, row = self._config, self.row
        spent = time.monotonic() - self._started
        left = [] if self._budget is None else [self._budget - spent]
        if row and self._speed > 0:
            if config.total_timesteps is not None:
                left.append((config.total_timesteps - row["timesteps"]) / self._speed)
            if config.n_iterations is not None:
                steps_each = row["timesteps"] / row["iteration"]
                left.append((config.n_iterations - row["iteration"]) * steps_each / self._speed)
        return max(0.0, min(left, default=math.inf))

    def cells(self) -> list[tuple[str, str]]:
        """Names and values to show, in order."""
        row = self.row
        cells = [
            ("iteration", f"{row['iteration']:,}"),
            ("timesteps", f"{row['timesteps']:,}"),
            ("steps/s", f"{self._speed:,.0f}"),
            ("return", _returns(row["return_mean"], row["return_max"])),
        ]
        if self.last_evaluation is not None and self.best is not None:
            mean, iteration = self.last_evaluation
            cells += [
                ("evaluation", f"{mean:,.1f} (after {iteration:,})"),
                ("best", f"{self.best:,.1f}"),
            ]
        return [*cells, ("left", duration(self.seconds_left()))]


class PlainDisplay:
    """Lines on stdout: one after each evaluation, and otherwise one every ten seconds."""

    def __init__(self, numbers: Progress, translate: Translate = with_flags) -> None:
        self._numbers, self._translate = numbers, translate
        self.best_so_far = numbers.best_so_far
        self._last, self._overdue = time.monotonic(), False
        self._output = output()

    def progress(self, row: dict[str, Any]) -> None:
        """Show an iteration."""
        self._numbers.progress(row)
        # An evaluation that follows this row would show it too, so wait for the next row.
        if self._overdue:
            self._show()
        self._overdue = time.monotonic() - self._last >= SECONDS_BETWEEN_LINES

    def evaluation(self, row: dict[str, Any]) -> None:
        """Show an evaluation."""
        self._numbers.evaluation(row)
        self._show()

    def _show(self) -> None:
        self._last, self._overdue = time.monotonic(), False
        if self._numbers.row:
            cells = self._numbers.cells()
            self._print("  ".join(f"{name} {value}" for name, value in cells))

    def notify(self, message: str) -> None:
        """Show a message."""
        self._print(printable(self._translate(message)))

    def _print(self, line: str) -> None:
        print(line, file=self._output, flush=True)


class LiveDisplay:
    """A panel that stays in place on a terminal, with messages above it."""

    def __init__(self, numbers: Progress, title: str, translate: Translate = with_flags) -> None:
        from rich.console import Console
        from rich.live import Live

        self._numbers, self._title, self._translate = numbers, title, translate
        self.best_so_far = numbers.best_so_far
        self._live = Live(console=Console(file=cast(IO[str], output())), refresh_per_second=4)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def progress(self, row: dict[str, Any]) -> None:
        """Show an iteration."""
        self._numbers.progress(row)
        self._show()

    def evaluation(self, row: dict[str, Any]) -> None:
        """Show an evaluation."""
        self._numbers.evaluation(row)
        if self._numbers.row:
            self._show()

    def _show(self) -> None:
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 3))
        names = [Text(name, style="dim") for name, _ in self._numbers.cells()]
        values = [Text(value, style="bold") for _, value in self._numbers.cells()]
        widths = [max(len(a), len(b)) + 3 for a, b in zip(names, values, strict=True)]
        if sum(widths) + 4 <= self._live.console.width:
            table.add_row(*names)
            table.add_row(*values)
        else:
            for pair in zip(names, values, strict=True):
                table.add_row(*pair)
        self._live.update(Panel(table, title=self._title, expand=False))

    def notify(self, message: str) -> None:
        """Show a message."""
        text = printable(self._translate(message))
        self._live.console.print(text, markup=False, highlight=False)


def open_display(
    config: TrainingConfig, translate: Translate = with_flags
) -> AbstractContextManager[Display]:
    """A live panel if stdout is a terminal, else plain lines; `translate` rewrites messages."""
    numbers = Progress(config.run, config.budget_seconds)
    if output().isatty():
        return LiveDisplay(numbers, f"{config.env_id} · {config.algo}", translate)
    return nullcontext(PlainDisplay(numbers, translate))


# Where a robot stands instead of running: it stays up for some time and does not get far.
_UP_FOR, _NOT_FAR = 200, 5.0  # steps; metres
_FOR_STANDING = {"alive": "progress", "survive": "forward"}  # terms, and those for running
_COSTS = "electricity", "stall", "ctrl"


def _travelled(final: dict[str, Any]) -> str:
    """A line on how far the robot came; nothing where metres are not counted."""
    if "metres_mean" not in final:
        return ""
    # Adding zero turns -0.0 into 0.0.
    text = f"{round(final['metres_mean'], 1) + 0.0:,.1f} metres an episode"
    if "metres_per_second" in final:
        text += f", {round(final['metres_per_second'], 2) + 0.0:,.2f} metres a second"
    return f"{text}\n"


def _standing(final: dict[str, Any]) -> str:
    """A line for a robot that earns by standing, with what may help; else nothing."""
    for standing, running in _FOR_STANDING.items():
        up, ran = final.get(f"{standing}_mean", 0.0), final.get(f"{running}_mean", math.inf)
        near = final.get("metres_mean", math.inf) < _NOT_FAR
        if up > ran and near and final["length_mean"] >= _UP_FOR:
            off = [f"{name}=0" for name in (standing, *_COSTS) if f"{name}_mean" in final]
            return (
                f"it stands rather than runs: {up:,.0f} of its return are for being up "
                f"({standing}), {ran:,.0f} for getting on ({running}); what may help: "
                f"`reward_weights` {' '.join(off)} `anneal_weights` 2000000\n"
            )
    return ""


def summary(env_id: str, result: dict[str, Any]) -> str:
    """What a run reached and cost, from what result.json holds."""
    final, seconds = result["final_evaluation"], result["seconds"]
    return (
        f"\n{env_id}: return {final['return_mean']:,.1f} ± {final['return_std']:,.1f} over "
        f"{counted(final['episodes'], 'new episode')} (best policy, iteration "
        f"{final['iteration']:,})\n"
        f"{_travelled(final)}{_standing(final)}"
        f"{result['stopped']}: {counted(result['timesteps'], 'timestep')}, "
        f"{counted(result['iterations'], 'iteration')} in {duration(seconds)} "
        f"({result['timesteps'] / seconds:,.0f} steps/s)"
    )


class Advance(Protocol):
    """Called after each item; `total`: how many there will be, where that changed."""

    def __call__(self, total: int | None = None) -> None: ...


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Advance]:
    """Yield a function to call after each of `total` items: it advances a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda total=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda total=None: bar.update(task, advance=1, total=total)
