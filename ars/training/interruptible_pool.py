"""A pool whose waits Ctrl-C, SIGTERM and SIGHUP may end."""

from __future__ import annotations

from collections.abc import Sequence

from ars.common.interrupts import Interrupts
from ars.rollout.episode import Episode
from ars.rollout.pool import Pool
from ars.rollout.task import Snapshot, Task


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
