"""Where rollouts run: the interface of every pool, and the pool in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from typing import Protocol

from ars.common.errors import RolloutError, failures, one_line
from ars.rollout.episode import Episode, Rollouts
from ars.rollout.task import RolloutSpec, Snapshot, Task


class Watch(Protocol):
    """Hears of rollouts on their way through a pool."""

    def submitted(self, rollouts: int) -> None:
        """Rollouts were submitted."""

    def answered(self, rollouts: int, steps: int, seconds: float) -> None:
        """Rollouts came back that had so many steps and cost one processor so many seconds."""

    def waiting(self) -> None:
        """More rollouts are waited for; what this raises ends the wait."""


class Unwatched:
    """A `Watch` that hears nothing."""

    def submitted(self, rollouts: int) -> None: ...

    def answered(self, rollouts: int, steps: int, seconds: float) -> None: ...

    def waiting(self) -> None: ...


class Pool(Protocol):
    """Where rollouts run. Results never depend on which pool it is."""

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Submit tasks that share a snapshot; returns the request's number without waiting."""

    def collect(self, request: int) -> list[Episode]:
        """Wait for a request's episodes, in the order of its tasks. Raises: RolloutError."""

    def abandon(self) -> None:
        """Forget all requests; a rollout that runs already ends unheard."""

    def close(self) -> None:
        """Release every process and file; safe to call twice."""


class _Waiting:
    """Requests that wait to be collected."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch or Unwatched()
        self._requests: dict[int, tuple[Snapshot, Sequence[Task]]] = {}
        self._last = 0

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Keep the tasks until they are collected."""
        self._last += 1
        self._requests[self._last] = snapshot, tasks
        self._watch.submitted(len(tasks))
        return self._last

    def abandon(self) -> None:
        """Forget the tasks that were not collected."""
        self._requests.clear()

    def _play(self, rollouts: Rollouts, request: int) -> list[Episode]:
        """The episodes of a request. Raises: RolloutError."""
        snapshot, tasks = self._requests.pop(request)
        episodes = []
        for task in tasks:
            self._watch.waiting()
            began = time.perf_counter()
            [episode] = rollouts.run(snapshot, [task])
            episodes.append(episode)
            self._watch.answered(1, episode.length, time.perf_counter() - began)
        return episodes


class LocalPool(_Waiting):
    """A Pool in this process: no Ray, no other process, no port. `collect` does the work.

    Args:
        spec: what all rollouts share.
        on_event: called with a warning if the environment cannot use its compiled code.
        watch: hears of every rollout.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        on_event: Callable[[str], None] = lambda message: None,
        watch: Watch | None = None,
    ) -> None:
        super().__init__(watch)
        self._rollouts = Rollouts(spec)
        if self._rollouts.notice is not None:
            on_event(f"warning: {self._rollouts.notice}")

    def collect(self, request: int) -> list[Episode]:
        """Run the request's tasks and return their episodes. Raises: RolloutError."""
        return self._play(self._rollouts, request)

    def close(self) -> None:
        """Close the environment."""
        self._rollouts.close()


class BorrowingPool(_Waiting):
    """A Pool in this process whose environment exists only while it plays, in place of others.

    Args:
        spec: what all rollouts share.
        lent: closes the others for the block.
        on_event: as for `LocalPool`; called once.
        watch: as for `LocalPool`.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        lent: Callable[[], AbstractContextManager[None]],
        on_event: Callable[[str], None] = lambda message: None,
        watch: Watch | None = None,
    ) -> None:
        super().__init__(watch)
        self._spec, self._lent = spec, lent
        self._on_event: Callable[[str], None] | None = on_event

    def collect(self, request: int) -> list[Episode]:
        """Run the request's tasks and return their episodes. Raises: RolloutError."""
        with self._lent():
            try:
                rollouts = Rollouts(self._spec)
            except failures() as error:
                why = f"{self._spec.env_id}: cannot be made again: {one_line(error)}"
                raise RolloutError(why) from error
            if rollouts.notice is not None and self._on_event is not None:
                self._on_event(f"warning: {rollouts.notice}")
                self._on_event = None
            with closing(rollouts):
                return self._play(rollouts, request)

    def close(self) -> None:
        """Nothing is open."""
