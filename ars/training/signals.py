"""Ctrl-C and SIGTERM at the right moment: while waiting for rollouts, not amid an update."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ars.rollout.episode import Episode
from ars.rollout.pool import Pool
from ars.rollout.task import Snapshot, Task


class Interrupts:
    """Turns SIGINT and SIGTERM into KeyboardInterrupt, only where `allowed`.

    Elsewhere the signal is remembered and raised at the next allowed place, so Ray's start, an
    iteration's update, its log rows and a checkpoint are whole or not begun. Further signals
    while the run is being saved and closed change nothing; where a second one is `hurried`, it is
    raised at once and `broke_off` says so.
    """

    def __init__(self) -> None:
        self._requested = self._allowed = self._hurried = self.broke_off = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take both signals over for a while."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self._requested = not self._requested, True
        if self._allowed and first:
            raise KeyboardInterrupt
        if self._hurried and not first and not self.broke_off:
            self.broke_off = True
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Where an interrupt may be raised."""
        if self._requested:
            raise KeyboardInterrupt
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Where a first signal waits for the end of something and a second one breaks it off."""
        self._hurried = True
        try:
            yield
        finally:
            self._hurried = False


class InterruptiblePool:
    """A pool in which waiting may be interrupted."""

    def __init__(self, pool: Pool, interrupts: Interrupts) -> None:
        self._pool, self._interrupts = pool, interrupts

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """See Pool."""
        return self._pool.submit(snapshot, tasks)

    def collect(self, request: int) -> list[Episode]:
        """See Pool. Raises: KeyboardInterrupt."""
        with self._interrupts.allowed():
            return self._pool.collect(request)

    def close(self) -> None:
        """See Pool."""
        self._pool.close()
