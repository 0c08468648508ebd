"""What runs in a worker process.

The module itself needs the standard library and Ray only, so that a node which lacks a package or
has another version of it can still say what it has.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ars.distributed.versions import Machine, machine

if TYPE_CHECKING:
    from ars.common.errors import RolloutError
    from ars.rollout.episode import Episode
    from ars.rollout.task import RolloutSpec, Snapshot, Task


SNAPSHOTS_KEPT = 2  # by a worker: a training's and, beside it, an evaluation's


class Hello(NamedTuple):
    """Who a worker is."""

    pid: int
    node: str
    machine: Machine


class Order(NamedTuple):
    """Tasks that share the snapshot of a ticket."""

    ticket: int
    tasks: Sequence[Task]


class Answer(NamedTuple):
    """The seconds that an order took, and an episode or an error for each of its tasks."""

    seconds: float
    results: Sequence[Episode | RolloutError]


class Built(NamedTuple):
    """How a worker's start ended: what was raised, on one line; what makes it slow."""

    error: str | None = None
    notice: str | None = None


class Actor:
    """Says hello, is built, then runs tasks.

    Failures are answers: Ray's own tracebacks stay out of it.
    """

    def __init__(self) -> None:
        self._snapshots: dict[int, Snapshot] = {}
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def hello(self) -> Hello:
        """Where this process is and what it runs on."""
        import ray

        return Hello(os.getpid(), ray.get_runtime_context().get_node_id(), machine())

    def build(self, spec: RolloutSpec) -> Built:
        """Make the environment and the policy."""
        from ars.common.errors import one_line
        from ars.rollout.episode import Rollouts

        try:
            self._rollouts = Rollouts(spec)
        except Exception as error:
            return Built(error=one_line(error))
        return Built(notice=self._rollouts.notice)

    def run(self, order: bytes, snapshot: bytes | None) -> bytes:
        """Run an `Order`; returns an `Answer`. All is pickled here, in a fifth of Ray's own time.

        `snapshot`: that of the ticket, unless it is one of the last `SNAPSHOTS_KEPT` to be given.
        """
        ticket, tasks = pickle.loads(order)
        if snapshot is not None:
            self._snapshots[ticket] = pickle.loads(snapshot)
            if len(self._snapshots) > SNAPSHOTS_KEPT:
                del self._snapshots[next(iter(self._snapshots))]
        began = time.perf_counter()
        results = [self._run_one(self._snapshots[ticket], task) for task in tasks]
        return pickle.dumps(Answer(time.perf_counter() - began, results))

    def _run_one(self, snapshot: Snapshot, task: Task) -> Episode | RolloutError:
        from ars.common.errors import RolloutError, one_line

        try:
            return self._rollouts.run(snapshot, [task])[0]
        except RolloutError as error:
            return RolloutError(one_line(error))  # without its cause, which may not pickle


def _end_with(raylet: int) -> None:
    """End this process once the raylet that started it has ended.

    Ray sees to that too, but a worker of a node that was frozen and thawed may stay for minutes.
    """
    while os.getppid() == raylet:
        time.sleep(1.0)
    os._exit(1)
