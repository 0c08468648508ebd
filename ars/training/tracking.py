"""Reports a run to a service for experiments, beside its own logs and without a say in the run.

The service is spoken to in a thread of its own: one that is slow, full or out of reach costs the
training no time, and where it fails that is one warning. What it was told is no part of the run's
results, and nothing in a run's folder makes a run be reported.
"""

from __future__ import annotations

import importlib.util
import math
import queue
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from numbers import Real
from pathlib import Path
from typing import Any

from ars.common.errors import UsageError, one_line
from ars.common.host import at_home
from ars.training.config import TrainingConfig
from ars.training.display import Display
from ars.training.logger import EVALUATION_TAGS, TAGS, tagged
from ars.training.run_folder import EXPERIMENT, TRACKING, read_json
from ars.training.trackers import SERVICES, TrackedRun, Tracker
from policies import FileError
from policies.file import write_json

TRIES, BETWEEN = 3, 2.0  # to begin, as two runs may make the same store at once; seconds
LAST_SECONDS, INTERRUPTED_SECONDS = 60.0, 4.0  # that a run waits for its service at the end
_ID = re.compile(r"[\w.:-]{1,200}")


def check_installed(name: str | None) -> None:
    """Raises: UsageError if a service's package is not there."""
    if name is None:
        return
    found = importlib.util.find_spec(name)
    # A folder of that name, as wandb makes one, is no package.
    if found is None or found.origin is None:
        raise UsageError(
            f"`track` {name}: it is not installed: pip install -e '.[{name}]' in a checkout, or "
            f"pip install {name}"
        )


@contextmanager
def tracked(
    config: TrainingConfig, folder: Path, display: Display
) -> Iterator[tuple[Display, Callable[[dict[str, Any]], None]]]:
    """Report a run in the block, if its settings name a service.

    Args:
        config: of the run.
        folder: of the run.
        display: shows it to the user.

    Yields:
        The display to use, and a function to call with what result.json holds.
    """
    if config.workers.track is None:
        yield display, lambda result: None
        return
    reporter = Reporter(config, folder, display)
    try:
        yield Tracked(display, reporter), reporter.result
    finally:
        reporter.close()


class Tracked:
    """A display that also reports what it shows."""

    def __init__(self, display: Display, reporter: Reporter) -> None:
        self._display, self._reporter = display, reporter
        self.best_so_far, self.notify = display.best_so_far, display.notify
        self.working = display.working

    def progress(self, row: dict[str, Any]) -> None:
        """Show and report an iteration."""
        self._reporter.rows(tagged(row, TAGS, "train"), row["timesteps"])
        self._display.progress(row)

    def evaluation(self, row: dict[str, Any]) -> None:
        """Show and report an evaluation."""
        self._reporter.rows(tagged(row, EVALUATION_TAGS, "eval"), row["timesteps"])
        self._display.evaluation(row)


class Reporter:
    """Reports one run, in a thread.

    Args:
        config: of the run.
        folder: of the run.
        display: shows the user lines.
    """

    def __init__(self, config: TrainingConfig, folder: Path, display: Display) -> None:
        assert config.workers.track is not None
        self._service, self._folder, self._display = config.workers.track, folder, display
        with at_home():
            home = Path.cwd()
        inside = (folder.parent / EXPERIMENT).is_file()
        self._run = TrackedRun(
            f"{config.env_id}-{config.algo}-s{config.task.seed}".replace("/", "-"),
            folder.resolve().parent.name if inside else None,
            {**config.identity, "preset": config.preset, "init_from": config.init_from},
            folder,
            home,
            self._stored_id(),
            self._warn,
        )
        self._left: queue.SimpleQueue[tuple[dict[str, float], int] | None] = queue.SimpleQueue()
        self._result: dict[str, float] = {}
        self._stopped: str | None = None
        self._trouble: str | None = None  # the first
        self._told = self._given_up = False
        self._thread = threading.Thread(target=self._report, name="tracking", daemon=True)
        self._thread.start()

    def rows(self, values: Mapping[str, Any], timesteps: int) -> None:
        """Report the numbers of a row."""
        self._tell_trouble()
        if not self._given_up:
            self._left.put((_numbers(values), timesteps))

    def result(self, result: dict[str, Any]) -> None:
        """Report what result.json holds."""
        final = {f"final/{name}": value for name, value in result["final_evaluation"].items()}
        self._result, self._stopped = _numbers(final), result["stopped"]

    def close(self) -> None:
        """End, within the time that a service is waited for."""
        self._left.put(None)
        self._display.working(lambda: f"waiting for {self._service}")
        self._thread.join(LAST_SECONDS if self._stopped is not None else INTERRUPTED_SECONDS)
        if self._thread.is_alive():
            self._warn("it does not answer; what it has not taken by now is lost")
        self._tell_trouble()

    def _warn(self, trouble: str) -> None:
        """Have the user told, by the thread of the training; once, whatever follows."""
        self._trouble = self._trouble or trouble.rstrip(".")

    def _tell_trouble(self) -> None:
        if self._trouble is not None and not self._told:
            self._told = True
            self._display.notify(
                f"warning: `track` {self._service}: {self._trouble}; the training is not affected"
            )

    def _report(self) -> None:
        """The thread."""
        try:
            tracker = self._begin()
            while (row := self._left.get()) is not None:
                tracker.log(*row)
            tracker.finish(self._result, self._stopped)
        # Whatever a package raises, and exits among it, is none of the training's business.
        except BaseException as error:
            self._warn(one_line(error))
            self._given_up = True

    def _begin(self) -> Tracker:
        for left in reversed(range(TRIES)):
            try:
                tracker = SERVICES[self._service](self._run, secrets.token_hex(4))
                break
            except Exception:
                if not left:
                    raise
                time.sleep(BETWEEN)
        write_json(self._folder / TRACKING, {**self._stored(), self._service: tracker.id})
        return tracker

    def _stored(self) -> dict[str, Any]:
        path = self._folder / TRACKING
        with suppress(FileError):  # one that is damaged begins anew
            return read_json(path) if path.exists() else {}
        return {}

    def _stored_id(self) -> str | None:
        """By what the service knows the run, if it goes on."""
        found = self._stored().get(self._service)
        return found if isinstance(found, str) and _ID.fullmatch(found) else None


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among values, as Python's own."""
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, Real)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
