"""Where rollouts run: the contract of every pool, and the pool in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ars.rollout.episode import Episode, Rollouts
from ars.rollout.task import RolloutSpec, Snapshot, Task


class Pool(Protocol):
    """Where rollouts run. Results never depend on which pool it is."""

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Hand in tasks; returns a ticket. Does not wait."""

    def collect(self, ticket: int) -> list[Episode]:
        """Wait for a ticket's episodes, in the order of its tasks. Raises: RolloutError."""

    def close(self) -> None:
        """Let go of every process and file; safe to call twice."""


class LocalPool:
    """A Pool in this process: no Ray, no other process, no port.

    on_event: is told if the environment plays on its own where compiled code was to be expected.
    """

    def __init__(
        self, spec: RolloutSpec, on_event: Callable[[str], None] = lambda message: None
    ) -> None:
        self._rollouts = Rollouts(spec)
        if self._rollouts.notice is not None:
            on_event(f"warning: {self._rollouts.notice}")
        self._pending: dict[int, tuple[Snapshot, Sequence[Task]]] = {}
        self._tickets = 0

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """See Pool; the work is done in `collect`."""
        self._tickets += 1
        self._pending[self._tickets] = snapshot, tasks
        return self._tickets

    def collect(self, ticket: int) -> list[Episode]:
        """See Pool."""
        return self._rollouts.run(*self._pending.pop(ticket))

    def close(self) -> None:
        """See Pool."""
        self._rollouts.close()
