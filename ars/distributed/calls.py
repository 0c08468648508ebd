"""The driver's side of a worker: its current process, and the calls that it has been given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ars.common.errors import RolloutError
from ars.distributed.task_queue import TaskBatch
from ars.distributed.worker import SNAPSHOTS_KEPT
from ars.rollout.episode import Episode

CallAnswer = tuple[float, Sequence[Episode | RolloutError]]  # seconds, and a result for each task


@dataclass(eq=False)
class WorkerHandle:
    """One of the workers: its current process and what it has been asked to do.

    `node` and `pid` are known once the process has identified itself; it is `ready` once it has
    built its environment.
    """

    index: int
    actor: Any = None
    node: str | None = None
    pid: int = 0
    ready: bool = False
    fresh: bool = True  # nothing has come back from it yet
    avoided: frozenset[str] = frozenset()  # nodes that it was kept away from
    tries: int = 0  # failed starts in a row
    built: float = 0.0  # when it last became ready
    short_lives: int = 0  # of its processes, in a row
    hangs: int = 0  # since it last answered
    calls: deque[Call] = field(default_factory=deque)  # the first is the oldest, and runs
    # The requests whose snapshots it will have once it reaches the last of its calls.
    has: deque[int] = field(default_factory=lambda: deque(maxlen=SNAPSHOTS_KEPT))


OnAnswer = Callable[["Call", Any], None]


@dataclass(eq=False)
class Call:
    """A call to a worker: to start (no batch), or to run a batch.

    on_answer: takes the answer. since: when it began to run, as far as the driver can tell.
    """

    ref: Any
    worker: WorkerHandle
    on_answer: OnAnswer
    batch: TaskBatch | None
    since: float
