"""What runs in a worker process.

Importing it needs the standard library and Ray only, so that a node which lacks a package, or has
another version of it, can still report what it has.
"""

from __future__ import annotations

import os
import pickle
import time
from typing import TYPE_CHECKING, NamedTuple

from ars.common.errors import RolloutError, carried, failures, one_line
from ars.common.parent import end_with_parent
from ars.distributed.private_folder import ray_folder_open_to_others
from ars.distributed.versions import Machine, machine

if TYPE_CHECKING:
    from ars.rollout.episode import Episode
    from ars.rollout.task import RolloutSpec, Snapshot, Task

SNAPSHOTS_KEPT = 2  # by a worker: that of training, and that of an evaluation at the same time


class WorkerInfo(NamedTuple):
    """Where a worker runs.

    Attributes:
        pid: its process id.
        node: the id that Ray gives its machine.
        machine: what that machine runs.
        open_folder: what other users of that machine can replace on the way to Ray's folder; None
            if nothing.
    """

    pid: int
    node: str
    machine: Machine
    open_folder: str | None


class BuildResult(NamedTuple):
    """How building a worker's environment and policy ended.

    Attributes:
        error: what was raised, on one line; None if nothing was.
        notice: why the environment cannot use its compiled code; None if it can, or has none.
    """

    error: str | None = None
    notice: str | None = None


class RolloutWorker:
    """A Ray actor: it identifies itself, builds its environment and policy, then runs tasks.

    Failures are returned as values, so that Ray's own tracebacks never appear.
    """

    def __init__(self) -> None:
        self._snapshots: dict[int, Snapshot] = {}
        # Ray does so too, but a worker on a node that was frozen and thawed may stay for minutes.
        end_with_parent(os.getppid())

    def identify(self) -> WorkerInfo:
        """This process, its node and its machine."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return WorkerInfo(os.getpid(), node, machine(), ray_folder_open_to_others())

    def build(self, spec: RolloutSpec) -> BuildResult:
        """Make the environment and the policy."""
        from ars.rollout.episode import Rollouts

        try:
            self._rollouts = Rollouts(spec)
        except failures() as error:
            return BuildResult(error=one_line(error))
        return BuildResult(notice=self._rollouts.notice)

    def run(self, batch: bytes, snapshot: bytes | None) -> bytes:
        """Run tasks of one request. Pickling here takes a fifth of the time Ray's takes.

        Args:
            batch: pickled (request, tasks) of a `TaskBatch`.
            snapshot: the request's, pickled; None if it is one of the last `SNAPSHOTS_KEPT`
                that this worker was given.

        Returns:
            Pickled (seconds, results): how long it took, and an `Episode` or a `RolloutError`
            for each task.
        """
        request, tasks = pickle.loads(batch)
        if snapshot is not None:
            self._snapshots[request] = pickle.loads(snapshot)
            if len(self._snapshots) > SNAPSHOTS_KEPT:
                del self._snapshots[next(iter(self._snapshots))]
        began = time.perf_counter()
        results = [self._run_one(self._snapshots[request], task) for task in tasks]
        return pickle.dumps((time.perf_counter() - began, results))

    def _run_one(self, snapshot: Snapshot, task: Task) -> Episode | RolloutError:
        try:
            return self._rollouts.run(snapshot, [task])[0]
        except RolloutError as error:
            return carried(error)  # without its cause, which may not pickle
