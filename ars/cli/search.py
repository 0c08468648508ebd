"""What a search for settings shows: trials as they end, those under way, and what came of it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, cast

from ars.cli.console import SECONDS_BETWEEN_LINES, Translate
from ars.cli.parser import with_flags
from ars.cli.printable import printable
from ars.cli.program import hint
from ars.cli.streams import output
from ars.common.settings import counted
from ars.common.words import duration
from ars.tuning.config import FIRST_SEED

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ars.tuning.outcome import Tuned
    from ars.tuning.study import Study

_MINUTE = 6 * SECONDS_BETWEEN_LINES


def opening(study: Study) -> str:
    """What is searched, and how long."""
    config, last = study.config, FIRST_SEED + study.config.n_seeds - 1
    seeds = f"seed {last}" if config.n_seeds == 1 else f"seeds {FIRST_SEED} to {last}"
    ends = [] if config.n_trials is None else [counted(config.n_trials, "trial")]
    ends += [] if config.time_budget is None else [config.time_budget]
    ranges = study.ranges()
    width = max(map(len, ranges))
    return "\n".join(
        [
            f"search {study.folder}: {study.env_id}, {study.algo}, {' or '.join(ends)}; each trial "
            f"trains {seeds} for {config.total_timesteps:,} timesteps",
            *(f"  {name:<{width}}  {words}" for name, words in ranges.items()),
        ]
    )


def closing(study: Study, found: Tuned, again: str) -> str:
    """What came of a search, and what to do with it; `again`: the command that goes on."""
    from ars.tuning.outcome import FIGURES, TRIALS, count_of_trials, table_of_best

    if not found.best:
        return f"\n{found.env_id}, {found.algo}: {count_of_trials(found)}"
    words: list[object] = [found.env_id, "--preset", found.preset_file, "--n-seeds", 5]
    for name in study.wrappers:
        words += ["--wrapper", name]
    return (
        f"\n{found.env_id}, {found.algo}: {count_of_trials(found)}\n\n{table_of_best(found)}\n\n"
        f"  the settings   {found.preset_file}\n"
        f"  all trials     {found.folder / TRIALS}\n"
        f"  a figure       {found.folder / FIGURES[0]}, {FIGURES[1]}\n"
        f"  search on      {again}\n"
        f"  train with it  {hint('train', *words)}"
    )


class PlainSearch:
    """Lines on stdout: one on each trial that ends, and one a minute on those under way."""

    def __init__(self, study: Study, translate: Translate) -> None:
        self._translate, self._output = translate, output()
        self._last = time.monotonic()

    def __enter__(self) -> PlainSearch:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def say(self, line: str) -> None:
        """Show a message."""
        self._last = time.monotonic()
        self._output.write(f"{printable(self._translate(line))}\n")
        self._output.flush()

    def under_way(self, states: list[str]) -> None:
        """Show trials under way, if nothing was shown for long."""
        if time.monotonic() - self._last >= _MINUTE:
            self.say("; ".join(states))


class LiveSearch:
    """Messages on a terminal, and below them a line on each trial under way."""

    def __init__(self, study: Study, translate: Translate) -> None:
        from rich.console import Console
        from rich.live import Live

        self._translate, self._states = translate, list[str]()
        config = study.config
        self._budget = "" if config.time_budget is None else f" of {config.time_budget}"
        self._began = study.began
        self._console = Console(file=cast(IO[str], output()))
        self._live = Live(get_renderable=self._lines, console=self._console, refresh_per_second=4)

    def __enter__(self) -> LiveSearch:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._states = []
        self._live.stop()

    def say(self, line: str) -> None:
        """Show a message."""
        self._console.print(printable(self._translate(line)), markup=False, highlight=False)

    def under_way(self, states: list[str]) -> None:
        """Show trials under way."""
        self._states = states

    def _lines(self) -> RenderableType:
        """What is under way; called from a thread of the live display too."""
        from rich.text import Text

        if not self._states:
            return Text("")
        spent = f"{duration(time.monotonic() - self._began)}{self._budget}"
        return Text("\n".join([*self._states, spent]), style="dim")


def open_search_display(
    study: Study, translate: Translate = with_flags
) -> AbstractContextManager[PlainSearch | LiveSearch]:
    """Live lines if stdout is a terminal, else plain ones; `translate` rewrites messages."""
    return (LiveSearch if output().isatty() else PlainSearch)(study, translate)
