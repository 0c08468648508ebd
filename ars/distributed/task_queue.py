"""Which rollouts wait, run and are done: the bookkeeping of a pool whose workers may die.

Knows no processes: it hands out batches, takes in answers, and takes back what was lost. An
answer is filed under its task, so nothing of how it was obtained can be seen in the results.
A rollout may run twice at once; its first answer counts.
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
LOST_TRIES = 10  # of a rollout whose worker dies: then the rollout is what kills it
HUNG_TRIES = 4  # of a rollout that does not end, the deadline doubled each time


class TaskBatch(NamedTuple):
    """Tasks for one call; `indices` are their places in the ticket."""

    ticket: int
    indices: tuple[int, ...]
    snapshot: Any
    tasks: list[Task]


@dataclass
class _Ticket:
    """Tasks handed in together.

    An index is in `waiting`, or with one or more workers (`running`), or has its result.
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


class Tickets:
    """One first-in-first-out queue over all tickets."""

    def __init__(self, spec: RolloutSpec) -> None:
        self._spec = spec
        self._tickets: dict[int, _Ticket] = {}
        self._last = 0

    def add(self, snapshot: Any, tasks: Sequence[Task]) -> int:
        """A new ticket, last in the queue."""
        self._last += 1
        self._tickets[self._last] = _Ticket(snapshot, list(tasks), deque(range(len(tasks))))
        return self._last

    def n_waiting(self) -> int:
        """How many rollouts no worker has been given."""
        return sum(len(t.waiting) for t in self._tickets.values() if t.error is None)

    def take(self, n_tasks: int, n_workers: int) -> TaskBatch | None:
        """At most `n_tasks` of those first in the queue; None if nothing waits."""
        waiting = (n for n, t in self._tickets.items() if t.waiting and t.error is None)
        number = next(waiting, None)
        if number is None:
            return None
        ticket = self._tickets[number]
        # Half of a worker's fair share at most, so that what is left at the end is small. And one
        # that lost its worker goes alone: should it be the cause, it is known by name.
        share = math.ceil(len(ticket.waiting) / (2 * n_workers))
        n_tasks = 1 if ticket.losses[ticket.waiting[0]] else max(1, min(n_tasks, share))
        return self._batch(number, [ticket.waiting.popleft() for _ in range(n_tasks)])

    def _batch(self, number: int, indices: list[int]) -> TaskBatch:
        ticket = self._tickets[number]
        ticket.running.update(indices)
        return TaskBatch(
            number, tuple(indices), ticket.snapshot, [ticket.tasks[i] for i in indices]
        )

    def copy(self, batch: TaskBatch) -> TaskBatch | None:
        """What of a batch still lacks an answer, to be run a second time; None if nothing does."""
        ticket = self._tickets.get(batch.ticket)
        if ticket is None or ticket.error is not None:
            return None
        open_ = [i for i in batch.indices if i not in ticket.results and ticket.running[i] == 1]
        return self._batch(batch.ticket, open_) if open_ else None

    def hangs(self, batch: TaskBatch) -> int:
        """How many times a rollout of the batch was given up before."""
        ticket = self._tickets.get(batch.ticket)
        return 0 if ticket is None else max(ticket.hangs[index] for index in batch.indices)

    def suspicious(self) -> bool:
        """Whether a worker died of late: then one call at a time shows which rollout did it."""
        return any(ticket.losses for ticket in self._tickets.values())

    def answer(self, batch: TaskBatch, results: Sequence[Episode | RolloutError]) -> None:
        """File a batch's results; a rollout that raised waits for another try, if it has one.

        The first answer to a task counts; one that comes after it changes nothing.
        """
        ticket = self._tickets.get(batch.ticket)
        if ticket is None:  # collected already
            return
        for index, result in zip(batch.indices, results, strict=True):
            ticket.running[index] -= 1
            if index in ticket.results:
                continue
            if isinstance(result, Episode):
                ticket.results[index] = result
                continue
            ticket.failures[index] += 1
            if not ticket.running[index]:
                ticket.waiting.appendleft(index)
            if ticket.failures[index] >= ROLLOUT_TRIES:
                ticket.error = ticket.error or result

    def put_back(self, batch: TaskBatch, ran: bool, hung_seconds: float | None = None) -> int:
        """Return a batch to the head of its ticket; how many rollouts will run again.

        `ran`: its worker died on it, rather than with it still in the mailbox. `hung_seconds`:
        the worker was given up after so long.
        """
        ticket = self._tickets.get(batch.ticket)
        if ticket is None:
            return 0
        ticket.running.subtract(batch.indices)
        lost = [i for i in batch.indices if i not in ticket.results]
        again = [i for i in lost if not ticket.running[i]]
        ticket.waiting.extendleft(reversed(again))
        if ran:
            ticket.losses.update(lost)
            self._judge(ticket, ticket.losses, LOST_TRIES, "its worker died")
        if hung_seconds is not None:
            ticket.hangs.update(lost)
            self._judge(ticket, ticket.hangs, HUNG_TRIES, f"no answer in {hung_seconds:.0f} s,")
        return len(again)

    def _judge(self, ticket: _Ticket, counts: Counter[int], tries: int, fate: str) -> None:
        for index, count in counts.most_common(1):
            if count >= tries and ticket.error is None:
                name = describe(self._spec, ticket.tasks[index])
                ticket.error = RolloutError(f"{name}: {fate} {count} times")

    def done(self, number: int) -> bool:
        """Whether `collect` has an answer."""
        ticket = self._tickets[number]
        return ticket.error is not None or len(ticket.results) == len(ticket.tasks)

    def collect(self, number: int) -> list[Episode]:
        """The episodes of a ticket that is done, in task order. Raises: RolloutError."""
        ticket = self._tickets.pop(number)
        if ticket.error is not None:
            raise ticket.error
        return [ticket.results[index] for index in range(len(ticket.tasks))]
