"""The seeds of an experiment, trained in processes, so many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ars.common.interrupts import Interrupts
from ars.training.processes import Event, Processes


class Show(Protocol):
    """Shows an experiment to the user."""

    def event(self, seed: int, kind: str, value: Any) -> None:
        """A seed has something to show: kind is a method of `Display`, value its argument."""

    def started(self, seed: int) -> None:
        """A seed begins to train."""

    def ended(self, seed: int, error: str | None) -> None:
        """A seed has ended, or failed."""


class SilentShow:
    """Shows nothing."""

    def event(self, seed: int, kind: str, value: Any) -> None: ...

    def started(self, seed: int) -> None: ...

    def ended(self, seed: int, error: str | None) -> None: ...


class Team:
    """The processes that train seeds, so many at a time.

    Args:
        job: what the process of a seed is told.
        done: called when a seed has ended well.
        show: hears of everything.

    Attributes:
        errors: why seeds failed.
    """

    def __init__(
        self, job: Callable[[int], dict[str, Any]], done: Callable[[int], None], show: Show
    ) -> None:
        self._job, self._done, self._show = job, done, show
        self._processes = Processes[int]()
        self.errors: dict[int, str] = {}

    def train(self, seeds: Iterable[int], jobs: int) -> None:
        """Train seeds, so many at a time."""
        waiting, processes = list(seeds), self._processes
        interrupts = Interrupts()
        with interrupts.handled():
            try:
                while waiting or processes.running:
                    while waiting and len(processes.running) < jobs:
                        seed = waiting.pop(0)
                        processes.start(seed, self._job(seed))
                        self._show.started(seed)
                    with interrupts.allowed():
                        event = processes.next()
                    self._take(event)
            except BaseException:  # also a full disk, or a reader of stdout that went away
                processes.stop(self._note)
                raise
            finally:
                processes.kill()

    def _take(self, event: Event[int] | None) -> None:
        assert event is not None
        if event.kind != "ended":
            self._show.event(*event)
            return
        self._note(event)
        if event.value is not None:
            self.errors[event.key] = event.value
        self._show.ended(event.key, event.value)

    def _note(self, ended: Event[int]) -> None:
        if ended.value is None:
            self._done(ended.key)
