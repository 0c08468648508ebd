"""The worker processes of a pool: started where there is room, checked, replaced when lost.

The tasks that a lost worker had been given go back to the pool's queue.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from ars.common.errors import RolloutError, RunError, one_line
from ars.distributed.nodes import Nodes
from ars.distributed.ray_session import NodeView, default_workers, start_ray
from ars.distributed.task_queue import TaskBatch
from ars.distributed.timeouts import Timeouts, Watch
from ars.distributed.versions import machine, mismatch, other_kind
from ars.distributed.worker import SNAPSHOTS_KEPT, BuildResult, RolloutWorker, WorkerInfo
from ars.rollout.episode import Episode
from ars.rollout.task import RolloutSpec, describe

# A snapshot of up to this many bytes is sent with the call. Ray sends up to 100 KB that way, and
# for more than that each call asks the raylet.
SENT_BYTES = 2**16
HEAD_SECONDS = 30.0  # of silence from the head; after 60 s Ray would end this process
START_TRIES = 3  # of one worker in a row
PAUSE_SECONDS = 30.0  # until it is tried again, while other workers run
START_SECONDS = 60.0  # without any worker, until the run fails
NODE_SECONDS = 300.0  # the same on a cluster, where a node may have to be rented first

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


class PutBack(Protocol):
    """The signature of `TaskQueue.put_back`."""

    def __call__(self, batch: TaskBatch, ran: bool, hung_seconds: float | None) -> int: ...


class Supervisor:
    """Keeps as many workers as requested or, by default, as the living nodes have processors.

    Args:
        spec: what the workers are built from.
        n_workers: how many; None for one for each processor.
        address: of a Ray cluster; None starts Ray on this machine.
        timeouts: says when a worker's start has hung.
        put_back: takes the batches of lost workers.
        notify: called with a line on each event of a worker or a node.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        n_workers: int | None,
        address: str | None,
        timeouts: Timeouts,
        put_back: PutBack,
        notify: Callable[[str], None],
    ) -> None:
        self._session = start_ray(n_workers or default_workers(), address, spec.env_id)
        import ray

        self._ray = ray
        self._spec, self._n_workers = spec, n_workers
        self._timeouts, self._put_back, self.notify = timeouts, put_back, notify
        # The nodes of a cluster are filled evenly.
        strategy = "SPREAD" if address else "DEFAULT"
        self._options: dict[str, Any] = {
            "num_cpus": 1,
            "scheduling_strategy": strategy,
            # Otherwise Ray reports each call to its head: a fifth of what the call costs.
            "enable_task_events": False,
        }
        self._actor_class = ray.remote(RolloutWorker)
        self._patience = timeouts.patience(START_SECONDS if address is None else NODE_SECONDS)
        self.workers: list[WorkerHandle] = []
        self._last_index = -1
        self._calls: dict[Any, Call] = {}
        self._notified: set[str] = set()
        self._watch = Watch(time.monotonic)
        self._grow_from = self._last_contact = 0.0
        self._nodes, self._view = Nodes(), NodeView()
        try:
            self._look_at_nodes()
            self._match_workers_to_nodes()
        except BaseException:
            self.close()
            raise

    @property
    def now(self) -> float:
        """Seconds on the watch, which does not count long pauses of this process."""
        return self._watch.now

    def put(self, value: Any) -> Any:
        """A value to send to workers: pickled or, if that is large, a reference to it in Ray."""
        self._watch.look()
        self._session.check()
        data = pickle.dumps(value)
        return data if len(data) <= SENT_BYTES else self._ray.put(data)

    def run(self, worker: WorkerHandle, batch: TaskBatch, on_answer: OnAnswer) -> None:
        """Have a worker run a batch; `on_answer` gets a `CallAnswer`."""
        # A snapshot is sent once: for a reference Ray asks the raylet, which doubles a call's cost.
        snapshot = None if batch.request in worker.has else batch.snapshot
        if snapshot is not None:
            worker.has.append(batch.request)
        ref = worker.actor.run.remote(pickle.dumps((batch.request, batch.tasks)), snapshot)
        self._register(worker, ref, on_answer, batch)

    def take_answer(self, seconds: float) -> bool:
        """Wait for an answer and handle it; whether there was one."""
        ready: list[Any] = []
        if self._calls:
            ready, _ = self._ray.wait(list(self._calls), timeout=seconds)
        else:
            time.sleep(seconds)
        self._watch.look()
        if ready:
            self._handle_answer(self._calls.pop(ready[0]))
        return bool(ready)

    def supervise(self) -> None:
        """Match workers to nodes and give up starts that hang. Raises: RunError if none can run."""
        self._session.check()
        self._look_at_nodes()
        self._match_workers_to_nodes()
        for worker in self.workers:
            # One that has not identified itself may be waiting for a processor.
            if worker.node is not None and not worker.ready:
                seconds = self.now - worker.calls[0].since
                if seconds > self._timeouts.hung_start():
                    self.give_up(worker, seconds)
        self._check_for_workers()

    def give_up(self, worker: WorkerHandle, seconds: float) -> None:
        """Replace a worker that has not answered for `seconds`."""
        assert worker.node is not None
        worker.hangs += 1
        self._nodes.gave_up(worker.node, worker.calls[0].since, self.now)
        self.replace(worker, f"did not answer for {seconds:.0f} s", hung_seconds=seconds)

    def replace(
        self, worker: WorkerHandle, event: str, n_again: int = 0, hung_seconds: float | None = None
    ) -> None:
        """Put back what a worker had been given and start a fresh process in its place."""
        name = self.name(worker)
        n_again += self._take_back(worker, hung_seconds)
        self.notify(f"{name} {event}; replaced, {n_again} rollouts run again")
        self._kill(worker)
        self._start(worker)

    def name(self, worker: WorkerHandle) -> str:
        """A worker's name in messages."""
        where = (
            f" at {self._nodes.name(worker.node)}" if worker.node and len(self._nodes) > 1 else ""
        )
        return f"worker {worker.index} (pid {worker.pid or 'unknown'}{where})"

    def notify_once(self, message: str, topic: str | None = None) -> None:
        """Show a message once; of messages on the same `topic`, only the first."""
        if (topic or message) not in self._notified:
            self._notified.add(topic or message)
            self.notify(message)

    def close(self) -> None:
        """End the workers, and Ray with them if it was started here; safe to call twice."""
        workers, self.workers = self.workers, []
        self._calls.clear()
        self._view.close()
        for worker in workers:
            self._kill(worker)
        self._session.stop()

    # Calls

    def _register(
        self, worker: WorkerHandle, ref: Any, on_answer: OnAnswer, batch: TaskBatch | None = None
    ) -> None:
        call = Call(ref, worker, on_answer, batch, self.now)
        worker.calls.append(call)
        self._calls[ref] = call

    def _handle_answer(self, call: Call) -> None:
        worker = call.worker
        try:
            answer = self._ray.get(call.ref)
            if call.batch is not None:
                answer = pickle.loads(answer)
        except self._ray.exceptions.RayTaskError as error:  # such as an answer that does not pickle
            if call.batch is None:
                self._cannot_start(worker, one_line(error.cause))
                return
            names = [describe(self._spec, task) for task in call.batch.tasks]
            why = one_line(error.cause)
            answer = 0.0, [RolloutError(f"{name}: {why}") for name in names]
        except self._ray.exceptions.RayError as error:
            if worker.ready:
                self.replace(worker, "died")
            else:
                self._cannot_start(worker, explain_start_failure(error, self._session.shows_token))
            return
        worker.calls.remove(call)
        if worker.calls:
            worker.calls[0].since = self.now
        worker.hangs = 0
        if worker.node is not None:
            self._nodes.heard(worker.node, self.now)
        call.on_answer(call, answer)

    def _take_back(self, worker: WorkerHandle, hung_seconds: float | None = None) -> int:
        """Cancel all of a worker's calls; returns how many rollouts will run again."""
        n_again = 0
        # The oldest was running. The last to be put back is the first to be handed out again.
        while worker.calls:
            call = worker.calls.pop()
            self._calls.pop(call.ref, None)
            if call.batch is not None:
                ran = not worker.calls
                n_again += self._put_back(call.batch, ran, hung_seconds if ran else None)
        return n_again

    def _kill(self, worker: WorkerHandle) -> None:
        if self._ray.is_initialized():
            # Ray accepts a dead actor, but raises for one whose creation it gave up.
            with suppress(self._ray.exceptions.RaySystemError):
                self._ray.kill(worker.actor)

    # Starting a worker: it identifies itself, its machine is compared, and it builds.

    def _start(self, worker: WorkerHandle) -> None:
        """Start a worker's process."""
        worker.avoided = self._nodes.avoided(self._n_wanted())
        options = dict(self._options)
        if worker.avoided:
            nodes = ",".join(sorted(worker.avoided))
            options["label_selector"] = {"ray.io/node-id": f"!in({nodes})"}
        worker.actor = self._actor_class.options(**options).remote()
        worker.node, worker.pid, worker.ready, worker.fresh = None, 0, False, True
        worker.has.clear()
        self._register(worker, worker.actor.identify.remote(), self._identified)

    def _identified(self, call: Call, info: WorkerInfo) -> None:
        worker = call.worker
        worker.pid, worker.node = info.pid, info.node
        self._last_contact = self.now
        if reason := mismatch(machine(), info.machine):
            self._nodes.refuse(info.node, reason)
            self.notify_once(f"node {self._nodes.name(info.node)} is not used: {reason}")
            self._check_for_refusal()
            self._restart(worker)
            return
        if difference := other_kind(machine(), info.machine):
            self.notify_once(
                f"warning: another kind of machine may round differently: {difference}"
            )
        self._register(worker, worker.actor.build.remote(self._spec), self._finished_building)

    def _finished_building(self, call: Call, built: BuildResult) -> None:
        worker = call.worker
        if built.error is not None:
            self._cannot_start(worker, built.error)
            return
        if built.notice is not None:
            self.notify_once(f"warning: {self.name(worker)}: {built.notice}", built.notice)
        self._last_contact = self.now
        self._timeouts.learn_start(self.now - call.since)
        worker.ready, worker.tries = True, 0

    def _cannot_start(self, worker: WorkerHandle, reason: str) -> None:
        """Try again, up to `START_TRIES` times. Raises: RunError if no worker is left."""
        worker.tries += 1
        if worker.tries < START_TRIES:
            self._restart(worker)
            return
        self._dismiss(worker)
        if not self.workers:
            raise RunError(f"{self._spec.env_id}: a worker cannot start: {reason}")
        self._grow_from = self.now + PAUSE_SECONDS
        self.notify_once(f"a worker cannot start: {reason}; the others go on without it")

    def _restart(self, worker: WorkerHandle) -> None:
        self._take_back(worker)
        self._kill(worker)
        self._start(worker)

    def _dismiss(self, worker: WorkerHandle) -> None:
        self._take_back(worker)
        self._kill(worker)
        self.workers.remove(worker)

    # Nodes that come and go

    def _look_at_nodes(self) -> None:
        if self._view.age > HEAD_SECONDS:
            raise RunError(f"the Ray cluster's head has not answered for {HEAD_SECONDS:.0f} s")
        before = len(self._nodes), self._nodes.n_cpus()
        self._nodes.update(self._view.nodes, self.now)
        self._check_for_refusal()
        after = len(self._nodes), self._nodes.n_cpus()
        if before != after and before != (0, 0):
            self.notify(
                f"the cluster has {after[0]} nodes and {after[1]} processors now, "
                f"before {before[0]} and {before[1]}"
            )

    def _n_wanted(self) -> int:
        # One worker that waits for a node makes an autoscaler look for a node.
        return self._n_workers or max(1, self._nodes.n_cpus())

    def _match_workers_to_nodes(self) -> None:
        """Start, move and dismiss workers until they match the nodes."""
        avoided = self._nodes.avoided(self._n_wanted())
        for worker in self.workers:
            if worker.node is not None and self._nodes.gone(worker.node):
                self.replace(worker, "left with its node")
            elif worker.node is None and worker.avoided != avoided:
                self._restart(worker)
        n_missing = self._n_wanted() - len(self.workers)
        unplaced = [worker for worker in self.workers if worker.node is None]
        for worker in unplaced[: max(0, -n_missing)]:
            self._dismiss(worker)
        if self.now >= self._grow_from:
            for _ in range(n_missing):
                self._last_index += 1
                self.workers.append(WorkerHandle(self._last_index))
                self._start(self.workers[-1])

    def _check_for_refusal(self) -> None:
        if refusal := self._nodes.refusal():
            raise RunError(f"no node can be used: {refusal}")

    def _check_for_workers(self) -> None:
        """Raises: RunError if there has been no worker for too long."""
        if any(worker.ready for worker in self.workers):
            self._last_contact = self.now
        elif self.now - self._last_contact > self._patience:
            why = (
                "no free CPU in the Ray cluster, or the environment takes longer than that to "
                "construct"
                if len(self._nodes)
                else "no node is left in the Ray cluster"
            )
            raise RunError(f"no worker started within {self._patience:.0f} s: {why}")


def explain_start_failure(error: Exception, shows_token: bool) -> str:
    """Why Ray gave up a start: the last line of its message, and what to do if that is known."""
    words = str(error).strip().splitlines()[-1].strip()
    if shows_token and "never ran" in words:
        return (
            "this process has a token and the cluster perhaps no authentication; if so, set "
            f"RAY_AUTH_MODE=disabled ({words})"
        )
    return words
