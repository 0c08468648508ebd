"""Ctrl-C and SIGTERM at the right moment: while waiting for rollouts, not during an update."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ars.rollout.episode import Episode
from ars.rollout.pool import Pool
from ars.rollout.task import Snapshot, Task


class Interrupts:
    """Turns SIGINT and SIGTERM into KeyboardInterrupt, only where `allowed`.

    Elsewhere the signal is remembered and raised at the next allowed place, so Ray's start, an
    iteration's update, its log rows and a checkpoint are complete or not begun. Further signals
    while the run is being saved and closed are ignored, except where they are `forceful`.

    Attributes:
        forced: whether a second signal was raised at once.
    """

    def __init__(self) -> None:
        self._requested = self._allowed = self._forceful = self.forced = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle both signals for the block; does nothing outside the main thread.

        Python delivers signals to the main thread alone.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                if handler is not None:  # one not installed from Python cannot be restored
                    signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self._requested = not self._requested, True
        if self._allowed and first:
            raise KeyboardInterrupt
        if self._forceful and not first and not self.forced:
            self.forced = True
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A block in which an interrupt may be raised."""
        if self._requested:
            raise KeyboardInterrupt
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    @contextmanager
    def forceful(self) -> Iterator[None]:
        """A block whose end a first signal waits for, while a second one is raised at once."""
        self._forceful = True
        try:
            yield
        finally:
            self._forceful = False


class InterruptiblePool:
    """A pool whose `collect` may be interrupted."""

    def __init__(self, pool: Pool, interrupts: Interrupts) -> None:
        self._pool, self._interrupts = pool, interrupts

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Submit tasks."""
        return self._pool.submit(snapshot, tasks)

    def collect(self, request: int) -> list[Episode]:
        """Wait for a request's episodes, unless interrupted. Raises: KeyboardInterrupt."""
        with self._interrupts.allowed():
            return self._pool.collect(request)

    def abandon(self) -> None:
        """Forget all requests."""
        self._pool.abandon()

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()
