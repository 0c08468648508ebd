"""Which rollouts wait, run and are done: the bookkeeping of a pool whose workers may die.

Knows no processes: it hands out batches, takes in answers, and takes back what was lost. An
answer is filed under its task, so nothing of how it was obtained can be seen in the results.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ars.rollout import Episode, RolloutError, RolloutSpec, Task, describe

ROLLOUT_TRIES = 2  # of a rollout that raises
LOST_TRIES = 10  # of a rollout whose worker dies: then the rollout is what kills it


class Batch(NamedTuple):
    """Tasks for one call; `indices` are their places in the ticket."""

    ticket: int
    indices: tuple[int, ...]
    snapshot: Any
    tasks: list[Task]


@dataclass
class _Ticket:
    """Tasks handed in together; `waiting`: the indices of those not handed out."""

    snapshot: Any
    tasks: list[Task]
    waiting: deque[int]
    results: dict[int, Episode] = field(default_factory=dict)
    failures: Counter[int] = field(default_factory=Counter)
    losses: Counter[int] = field(default_factory=Counter)
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

    def take(self, n_tasks: int, n_workers: int) -> Batch | None:
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
        indices = tuple(ticket.waiting.popleft() for _ in range(n_tasks))
        return Batch(number, indices, ticket.snapshot, [ticket.tasks[i] for i in indices])

    def suspicious(self) -> bool:
        """Whether a worker died of late: then one call at a time shows which rollout did it."""
        return any(ticket.losses for ticket in self._tickets.values())

    def answer(self, batch: Batch, results: Sequence[Episode | RolloutError]) -> None:
        """File a batch's results; a rollout that raised waits for another try, if it has one."""
        ticket = self._tickets.get(batch.ticket)
        if ticket is None:  # collected already: it failed
            return
        for index, result in zip(batch.indices, results, strict=True):
            if isinstance(result, Episode):
                ticket.results[index] = result
                continue
            ticket.failures[index] += 1
            ticket.waiting.appendleft(index)
            if ticket.failures[index] >= ROLLOUT_TRIES:
                ticket.error = ticket.error or result

    def put_back(self, batch: Batch, ran: bool) -> int:
        """Return a batch to the head of its ticket; how many rollouts will run again.

        `ran`: its worker died on it, rather than with it still in the mailbox.
        """
        ticket = self._tickets.get(batch.ticket)
        if ticket is None:
            return 0
        ticket.waiting.extendleft(reversed(batch.indices))
        if ran:
            ticket.losses.update(batch.indices)
            worst, losses = ticket.losses.most_common(1)[0]
            if losses >= LOST_TRIES:
                name = describe(self._spec, ticket.tasks[worst])
                ticket.error = RolloutError(f"{name}: its worker died {losses} times")
        return len(batch.indices)

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
