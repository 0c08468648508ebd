"""Which rollouts wait, run and are done: the bookkeeping of a pool whose workers may die.

It knows nothing of processes: it hands out batches of tasks, files the answers, and takes back what
was lost. A result is filed under its task, so it does not matter where and in which order rollouts
ran. A rollout may run twice at the same time; the first result counts.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ars.common.errors import RolloutError
from ars.rollout.episode import Episode
from ars.rollout.task import RolloutSpec, Task, describe

ROLLOUT_TRIES = 2  # of a rollout that raises
LOST_TRIES = 10  # of a rollout whose worker dies: after that many, it is probably the cause
HUNG_TRIES = 4  # of a rollout that does not end; the timeout doubles each time


class TaskBatch(NamedTuple):
    """Tasks that one worker runs in one call.

    Attributes:
        request: the number of the request that they belong to.
        indices: their places in the request.
        snapshot: the request's, as it is sent to workers.
        tasks: the tasks.
    """

    request: int
    indices: tuple[int, ...]
    snapshot: Any
    tasks: list[Task]


@dataclass
class Request:
    """Tasks that were submitted together and share a snapshot.

    Each index is either in `waiting`, or with one or more workers (`running`), or in `results`.
    """

    snapshot: Any
    tasks: list[Task]
    waiting: deque[int]
    results: dict[int, Episode] = field(default_factory=dict)
    running: Counter[int] = field(default_factory=Counter)
    failures: Counter[int] = field(default_factory=Counter)
    losses: Counter[int] = field(default_factory=Counter)
    hangs: Counter[int] = field(default_factory=Counter)
    error: RolloutError | None = None


class TaskQueue:
    """A first-in-first-out queue of the tasks of all requests."""

    def __init__(self, spec: RolloutSpec) -> None:
        self._spec = spec
        self._requests: dict[int, Request] = {}
        self._last = 0

    def add(self, snapshot: Any, tasks: Sequence[Task]) -> int:
        """Append a request and return its number."""
        self._last += 1
        self._requests[self._last] = Request(snapshot, list(tasks), deque(range(len(tasks))))
        return self._last

    def n_waiting(self) -> int:
        """How many rollouts have not been handed to a worker."""
        return sum(len(r.waiting) for r in self._requests.values() if r.error is None)

    def take(self, n_tasks: int, n_workers: int) -> TaskBatch | None:
        """At most `n_tasks` from the head of the queue; None if nothing waits."""
        waiting = (n for n, r in self._requests.items() if r.waiting and r.error is None)
        number = next(waiting, None)
        if number is None:
            return None
        request = self._requests[number]
        # At most half of a worker's fair share, so that little is left to wait for at the end. A
        # rollout that lost its worker goes alone: if it is the cause, that shows which one it was.
        share = math.ceil(len(request.waiting) / (2 * n_workers))
        n_tasks = 1 if request.losses[request.waiting[0]] else max(1, min(n_tasks, share))
        return self._batch(number, [request.waiting.popleft() for _ in range(n_tasks)])

    def _batch(self, number: int, indices: list[int]) -> TaskBatch:
        request = self._requests[number]
        request.running.update(indices)
        return TaskBatch(
            number, tuple(indices), request.snapshot, [request.tasks[i] for i in indices]
        )

    def copy(self, batch: TaskBatch) -> TaskBatch | None:
        """A second batch of those tasks that have no result yet and run only once; None if none."""
        request = self._requests.get(batch.request)
        if request is None or request.error is not None:
            return None
        once = [i for i in batch.indices if i not in request.results and request.running[i] == 1]
        return self._batch(batch.request, once) if once else None

    def hangs(self, batch: TaskBatch) -> int:
        """How many times a rollout of the batch has been given up before."""
        request = self._requests.get(batch.request)
        return 0 if request is None else max(request.hangs[index] for index in batch.indices)

    def has_losses(self) -> bool:
        """Whether a worker died on a task of an open request.

        One call at a time then shows which rollout is the cause.
        """
        return any(request.losses for request in self._requests.values())

    def answer(self, batch: TaskBatch, results: Sequence[Episode | RolloutError]) -> None:
        """File a batch's results; a rollout that raised is queued again if it has a try left.

        The first result of a task counts; one that comes later changes nothing.
        """
        request = self._requests.get(batch.request)
        if request is None:  # collected already
            return
        for index, result in zip(batch.indices, results, strict=True):
            request.running[index] -= 1
            if index in request.results:
                continue
            if isinstance(result, Episode):
                request.results[index] = result
                continue
            request.failures[index] += 1
            if not request.running[index]:
                request.waiting.appendleft(index)
            if request.failures[index] >= ROLLOUT_TRIES:
                request.error = request.error or result

    def put_back(self, batch: TaskBatch, ran: bool, hung_seconds: float | None = None) -> int:
        """Return a lost batch to the head of its request.

        Args:
            batch: what the worker had been given.
            ran: whether the worker was running it when it was lost; False if the batch still
                waited in the worker's mailbox.
            hung_seconds: after how long the worker was given up; None if it died.

        Returns:
            How many rollouts will run again.
        """
        request = self._requests.get(batch.request)
        if request is None:
            return 0
        request.running.subtract(batch.indices)
        lost = [i for i in batch.indices if i not in request.results]
        again = [i for i in lost if not request.running[i]]
        request.waiting.extendleft(reversed(again))
        if ran:
            request.losses.update(lost)
            self._fail_after(LOST_TRIES, request, request.losses, "its worker died")
        if hung_seconds is not None:
            request.hangs.update(lost)
            self._fail_after(
                HUNG_TRIES, request, request.hangs, f"no answer in {hung_seconds:.0f} s,"
            )
        return len(again)

    def _fail_after(self, tries: int, request: Request, counts: Counter[int], reason: str) -> None:
        """Fail the request if one of its rollouts has used up its tries."""
        for index, count in counts.most_common(1):
            if count >= tries and request.error is None:
                name = describe(self._spec, request.tasks[index])
                request.error = RolloutError(f"{name}: {reason} {count} times")

    def clear(self) -> None:
        """Remove all requests; what comes back of them later changes nothing."""
        self._requests.clear()

    def done(self, number: int) -> bool:
        """Whether `collect` returns, or raises, at once."""
        request = self._requests[number]
        return request.error is not None or len(request.results) == len(request.tasks)

    def collect(self, number: int) -> list[Episode]:
        """Remove a request that is done and return its episodes in task order.

        Raises: RolloutError.
        """
        request = self._requests.pop(number)
        if request.error is not None:
            raise request.error
        return [request.results[index] for index in range(len(request.tasks))]
