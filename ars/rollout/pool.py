"""Where rollouts run: the interface of every pool, and the pool in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ars.rollout.episode import Episode, Rollouts
from ars.rollout.task import RolloutSpec, Snapshot, Task


class Pool(Protocol):
    """Where rollouts run. Results never depend on which pool it is."""

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Submit tasks that share a snapshot; returns the request's number without waiting."""

    def collect(self, request: int) -> list[Episode]:
        """Wait for a request's episodes, in the order of its tasks. Raises: RolloutError."""

    def close(self) -> None:
        """Release every process and file; safe to call twice."""


class LocalPool:
    """A Pool in this process: no Ray, no other process, no port. `collect` does the work.

    Args:
        spec: what all rollouts share.
        on_event: called with a warning if the environment cannot use its compiled code.
    """

    def __init__(
        self, spec: RolloutSpec, on_event: Callable[[str], None] = lambda message: None
    ) -> None:
        self._rollouts = Rollouts(spec)
        if self._rollouts.notice is not None:
            on_event(f"warning: {self._rollouts.notice}")
        self._pending: dict[int, tuple[Snapshot, Sequence[Task]]] = {}
        self._last_request = 0

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Keep the tasks until they are collected."""
        self._last_request += 1
        self._pending[self._last_request] = snapshot, tasks
        return self._last_request

    def collect(self, request: int) -> list[Episode]:
        """Run the request's tasks and return their episodes. Raises: RolloutError."""
        return self._rollouts.run(*self._pending.pop(request))

    def close(self) -> None:
        """Close the environment."""
        self._rollouts.close()
