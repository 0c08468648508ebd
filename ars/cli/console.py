"""What the user sees during a run: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from ars.cli.life_sign import LifeSign
from ars.cli.parser import with_flags
from ars.cli.printable import printable
from ars.cli.streams import output
from ars.common.words import digits, duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ars.training.config import RunConfig, TrainingConfig
    from ars.training.display import Display

SECONDS_BETWEEN_LINES = 10.0
# A first iteration that takes as long is typical; a shorter one may have compiled or loaded much.
WARM_SECONDS = 20.0
EVALUATION = "evaluation", "best"  # the numbers that an evaluation changes
MOMENT_SECONDS = 2.0  # without a new row, after which the panel says what the run is doing

# Rewrites a library's message for the user, whose settings are flags or keyword arguments.
Translate = Callable[[str], str]


def tell_aside(line: str) -> None:
    """Print a message beside the output, which may go to a file or to another program."""
    print(printable(with_flags(line)), file=sys.stderr)


def _returns(mean: float, highest: float) -> str:
    return "no episode yet" if math.isnan(mean) else f"{digits(mean)} (max {digits(highest)})"


class RunNumbers:
    """The numbers that both displays show, updated from rows of the logs."""

    def __init__(self, config: RunConfig, budget_seconds: float | None) -> None:
        self._config, self._budget = config, budget_seconds
        self._first: tuple[float, dict[str, Any]] | None = None
        self._started = time.monotonic()
        self.row: dict[str, Any] = {}
        self.last_evaluation: tuple[float, int] | None = None
        self.best: float | None = None
        self._speed, self._expected = 0.0, False

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

    def expectation(self) -> str | None:
        """How long the run will take, said once: as soon as its speed is known."""
        first = self._first is not None and self._first[1] is self.row
        if self._expected or (first and time.monotonic() - self._started < WARM_SECONDS):
            return None
        if "return_mean" not in self.row:  # a method that plans ends once values have converged
            return None
        self._expected = True
        left = self.seconds_left()
        worth_saying = SECONDS_BETWEEN_LINES <= left < math.inf
        return f"about {duration(left)} to go" if worth_saying else None

    def cells(self) -> list[tuple[str, str]]:
        """Names and values to show, in order."""
        row = self.row
        cells = [
            ("iteration", f"{row['iteration']:,}"),
            ("timesteps", f"{row['timesteps']:,}"),
            ("steps/s", f"{self._speed:,.0f}"),
        ]
        if "return_mean" in row:  # which a method that plans has not
            cells.append(("return", _returns(row["return_mean"], row["return_max"])))
        if self.last_evaluation is not None:
            mean, iteration = self.last_evaluation
            cells.append(("evaluation", f"{digits(mean)} (after {iteration:,})"))
        if self.best is not None:
            cells.append(("best", digits(self.best)))
        # One iteration says too little of how long the others, and evaluations, take.
        return [*cells, ("left", duration(self.seconds_left()))] if self._expected else cells


class PlainDisplay:
    """Lines on stdout: one after each evaluation, and otherwise one every ten seconds.

    What the run is doing is said where nothing else is, for instance in a long first iteration.
    """

    def __init__(self, numbers: RunNumbers, translate: Translate = with_flags) -> None:
        self._numbers, self._translate = numbers, translate
        self.best_so_far = numbers.best_so_far
        self._last, self._overdue = time.monotonic(), False
        self._shown: dict[str, Any] = {}  # the row of the last line
        self._output = output()
        self._life_sign = LifeSign(self._write)
        self.working = self._life_sign.working

    def __enter__(self) -> Display:
        self._life_sign.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._life_sign.stop()

    def progress(self, row: dict[str, Any]) -> None:
        """Show an iteration."""
        self._numbers.progress(row)
        self._life_sign.heard()
        # An evaluation that follows this row would show it too, so wait for the next row.
        if self._overdue:
            self._show()
        self._overdue = time.monotonic() - self._last >= SECONDS_BETWEEN_LINES
        if (line := self._numbers.expectation()) is not None:
            self.notify(line)

    def evaluation(self, row: dict[str, Any]) -> None:
        """Show an evaluation, with the last iteration unless that was shown already."""
        self._numbers.evaluation(row)
        self._show(only=EVALUATION if self._shown is self._numbers.row else None)

    def _show(self, only: Sequence[str] | None = None) -> None:
        self._last, self._overdue = time.monotonic(), False
        if self._numbers.row:
            self._shown, cells = self._numbers.row, self._numbers.cells()
            shown = [cell for cell in cells if only is None or cell[0] in only]
            self._say("  ".join(f"{name} {value}" for name, value in shown))

    def notify(self, message: str) -> None:
        """Show a message."""
        self._say(printable(self._translate(message)))

    def _say(self, line: str) -> None:
        self._life_sign.heard()
        self._write(line)

    def _write(self, line: str) -> None:
        self._output.write(f"{line}\n")  # at once, as another thread may write as well
        self._output.flush()


class LiveDisplay:
    """A panel that stays in place on a terminal, with messages above it."""

    def __init__(self, numbers: RunNumbers, title: str, translate: Translate = with_flags) -> None:
        from rich.console import Console
        from rich.live import Live

        self._numbers, self._title, self._translate = numbers, title, translate
        self.best_so_far = numbers.best_so_far
        self._console = Console(file=cast(IO[str], output()))
        self._doing: Callable[[], str] | None = None
        self._last = time.monotonic()
        # Asks for the panel at once.
        self._live = Live(get_renderable=self._panel, console=self._console, refresh_per_second=4)

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._doing = None
        self._live.stop()

    def progress(self, row: dict[str, Any]) -> None:
        """Show an iteration."""
        self._numbers.progress(row)
        self._last = time.monotonic()
        if (line := self._numbers.expectation()) is not None:
            self.notify(line)

    def evaluation(self, row: dict[str, Any]) -> None:
        """Show an evaluation."""
        self._numbers.evaluation(row)
        self._last = time.monotonic()

    def working(self, on: Callable[[], str]) -> None:
        """Show what the run is doing where that takes longer than a moment."""
        self._doing = on

    def _panel(self) -> RenderableType:
        """The panel as it is now; called from a thread of the live display too."""
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 3))
        cells = self._numbers.cells() if self._numbers.row else []
        names = [Text(name, style="dim") for name, _ in cells]
        values = [Text(value, style="bold") for _, value in cells]
        widths = [max(len(a), len(b)) + 3 for a, b in zip(names, values, strict=True)]
        if sum(widths) + 4 <= self._console.width:
            table.add_row(*names)
            table.add_row(*values)
        else:
            for pair in zip(names, values, strict=True):
                table.add_row(*pair)
        long = self._doing is not None and time.monotonic() - self._last >= MOMENT_SECONDS
        doing = Text(self._doing()) if long and self._doing is not None else None
        if not cells:
            return doing or Text("")
        return Panel(table, title=self._title, subtitle=doing, expand=False)

    def notify(self, message: str) -> None:
        """Show a message."""
        text = printable(self._translate(message))
        self._console.print(text, markup=False, highlight=False)


def open_display(
    config: TrainingConfig, translate: Translate = with_flags
) -> AbstractContextManager[Display]:
    """A live panel if stdout is a terminal, else plain lines; `translate` rewrites messages."""
    numbers = RunNumbers(config.run, config.budget_seconds)
    if output().isatty():
        return LiveDisplay(numbers, f"{config.env_id} · {config.algo}", translate)
    return PlainDisplay(numbers, translate)


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
