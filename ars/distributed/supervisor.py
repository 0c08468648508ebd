"""The worker processes of a pool: started where there is room, checked, replaced when lost.

The tasks that a lost worker had been given go back to the pool's queue.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import Any, Protocol

from ars.common.errors import ClusterError, RolloutError, RunError
from ars.common.resources import n_processors, require_memory
from ars.distributed.calls import Call, OnAnswer, WorkerHandle
from ars.distributed.nodes import Nodes
from ars.distributed.ray_actors import CallFailed, Parcel, RayActors, WorkerLost
from ars.distributed.ray_session import RayDied
from ars.distributed.task_queue import TaskBatch
from ars.distributed.timeouts import SteadyClock, Timeouts
from ars.distributed.versions import machine, mismatch, other_kind
from ars.distributed.worker import BuildResult, WorkerInfo
from ars.rollout.task import RolloutSpec, describe

HEAD_SECONDS = 30.0  # of silence from the head; after 60 s Ray would end this process
WORKER_BYTES = 100e6  # of memory of its own; more where the environment is large
RAY_TRIES = 3  # to start Ray again in a row
START_TRIES = 3  # of one worker in a row
PAUSE_SECONDS = 30.0  # until it is tried again, while other workers run
LIFE_SECONDS = 10.0  # a process that ends sooner was not worth its start
SHORT_LIVES = 12  # in a row of every worker, until the run fails
START_SECONDS = 60.0  # without any worker, until the run fails
NODE_SECONDS = 300.0  # the same on a cluster, where a node may have to be rented first


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
        if address is None and n_workers:
            require_memory(n_workers * WORKER_BYTES, f"`n_workers` {n_workers}")
        n_cpus = n_workers or n_processors()
        self._actors = RayActors(n_cpus, address, spec.env_id, spec.env_kwargs)
        self._spec, self._n_workers = spec, n_workers
        self._timeouts, self._put_back, self.notify = timeouts, put_back, notify
        self._patience = timeouts.patience(START_SECONDS if address is None else NODE_SECONDS)
        self.workers: list[WorkerHandle] = []
        self._last_index = -1
        self._calls: dict[Any, Call] = {}
        self._notified: set[str] = set()
        self._watch = SteadyClock(time.monotonic)
        self._grow_from = self._last_contact = 0.0
        self._nodes = Nodes()
        self._n_answers, self._head_answered = 0, 0.0  # of the head
        self._n_deaths = 0  # of Ray, since a worker last answered
        try:
            if address == "auto" and self._actors.head is not None:
                self.notify(f"`ray_address` auto: the Ray cluster at {self._actors.head}")
            self._warn_of_folder("this machine", self._actors.open_folder)
            self._look_at_nodes()
            self._match_workers_to_nodes()
        except BaseException:
            self.close()
            raise

    @property
    def now(self) -> float:
        """Seconds on the watch, which does not count long pauses of this process."""
        return self._watch.now

    def put(self, value: Any) -> Parcel:
        """A value to send to workers."""
        self._watch.look()
        self._check_ray()
        return Parcel(value)

    def run(self, worker: WorkerHandle, batch: TaskBatch, on_answer: OnAnswer) -> None:
        """Have a worker run a batch; `on_answer` gets a `CallAnswer`."""
        # A snapshot is sent once: for a reference Ray asks the raylet, which doubles a call's cost.
        snapshot = None if batch.request in worker.has else batch.snapshot
        if snapshot is not None:
            worker.has.append(batch.request)
        tasks = pickle.dumps((batch.request, batch.tasks))
        ref = self._actors.call(worker.actor, "run", tasks, snapshot)
        self._register(worker, ref, on_answer, batch)

    def take_answer(self, seconds: float) -> bool:
        """Wait for an answer and handle it; whether there was one."""
        ref = None
        if self._calls:
            ref = self._actors.first_answered(self._calls, seconds)
        else:
            time.sleep(seconds)
        self._watch.look()
        if ref is not None:
            self._handle_answer(self._calls.pop(ref))
        return ref is not None

    def supervise(self) -> None:
        """Match workers to nodes and give up starts that hang. Raises: RunError if none can run."""
        self._check_ray()
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
        """Put back what a worker had been given and start a fresh process in its place.

        Raises: RolloutError if every worker ends soon after its start, again and again.
        """
        name = self.name(worker)
        if hung_seconds is None and not (worker.node and self._nodes.gone(worker.node)):
            self._count_life(worker, event)
        n_again += self._take_back(worker, hung_seconds)
        self.notify(f"{name} {event}; replaced, {n_again} rollouts run again")
        self._actors.kill(worker.actor)
        self._start(worker)

    def _count_life(self, worker: WorkerHandle, event: str) -> None:
        """Count a process that ended by itself."""
        short = self.now - worker.built < LIFE_SECONDS
        worker.short_lives = worker.short_lives + 1 if short else 0
        if all(
            other.short_lives >= SHORT_LIVES
            and not (other.ready and self.now - other.built >= LIFE_SECONDS)
            for other in self.workers
        ):
            raise RolloutError(
                f"{self._spec.env_id}: each worker has ended {SHORT_LIVES} times in a row within "
                f"{LIFE_SECONDS:.0f} s of its start; the last one {event}"
            )

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
        if not self._actors.can_start_again:
            self._actors.wait_for(
                [worker.calls[0].ref for worker in workers if worker.calls and worker.node is None]
            )
        self._calls.clear()
        for worker in workers:
            self._actors.kill(worker.actor)
        self._actors.close()

    # Ray

    def _check_ray(self) -> bool:
        """Start Ray again if it has died; whether it had. Raises: RunError if that is no use."""
        try:
            self._actors.check()
        except RayDied as death:
            if not self._actors.can_start_again or self._n_deaths >= RAY_TRIES:
                raise
            self._start_again(str(death))
            return True
        return False

    def _start_again(self, event: str) -> None:
        self._n_deaths += 1
        n_again = sum(self._take_back(worker) for worker in self.workers)
        self.notify(f"{event}; Ray is started again, {n_again} rollouts run again")
        self._actors.start_again()
        self._watch.look()
        self._nodes, self._last_contact, self._n_answers = Nodes(), self.now, 0
        self._look_at_nodes()
        for worker in self.workers:
            self._start(worker)

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
            answer = self._actors.answer(call.ref)
            if call.batch is not None:
                answer = pickle.loads(answer)
        except CallFailed as error:
            if call.batch is None:
                self._cannot_start(worker, str(error))
                return
            names = [describe(self._spec, task) for task in call.batch.tasks]
            answer = 0.0, [RolloutError(f"{name}: {error}") for name in names]
        except WorkerLost as error:
            if self._check_ray():
                return
            if worker.ready:
                self.replace(worker, "died")
            else:
                self._cannot_start(worker, str(error))
            return
        worker.calls.remove(call)
        if worker.calls:
            worker.calls[0].since = self.now
        worker.hangs = 0
        if call.batch is not None:
            self._n_deaths = 0
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

    # Starting a worker: it identifies itself, its machine is compared, and it builds.

    def _start(self, worker: WorkerHandle) -> None:
        """Start a worker's process."""
        worker.avoided = self._nodes.avoided(self._n_wanted())
        worker.actor = self._actors.start(worker.avoided)
        worker.node, worker.pid, worker.ready, worker.fresh = None, 0, False, True
        worker.has.clear()
        self._register(worker, self._actors.call(worker.actor, "identify"), self._identified)

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
        self._warn_of_folder(self._nodes.name(info.node), info.open_folder)
        if difference := other_kind(machine(), info.machine):
            self.notify_once(
                f"warning: another kind of machine may round differently: {difference}"
            )
        ref = self._actors.call(worker.actor, "build", self._spec)
        self._register(worker, ref, self._finished_building)

    def _warn_of_folder(self, machine: str, folder: str | None) -> None:
        if folder is not None:
            self.notify_once(
                f"warning: {machine}: other users can replace what is in {folder}, and so run "
                "programs as this one; start Ray with a private temp-dir there (docs/clusters.md)"
            )

    def _finished_building(self, call: Call, built: BuildResult) -> None:
        worker = call.worker
        if built.error is not None:
            self._cannot_start(worker, built.error)
            return
        if built.notice is not None:
            self.notify_once(f"warning: {self.name(worker)}: {built.notice}", built.notice)
        self._last_contact = self.now
        self._timeouts.learn_start(self.now - call.since)
        worker.ready, worker.tries, worker.built = True, 0, self.now

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
        self._actors.kill(worker.actor)
        self._start(worker)

    def _dismiss(self, worker: WorkerHandle) -> None:
        self._take_back(worker)
        self._actors.kill(worker.actor)
        self.workers.remove(worker)

    # Nodes that come and go

    def _look_at_nodes(self) -> None:
        n_answers = self._actors.view.n_answers
        if n_answers != self._n_answers:
            self._n_answers, self._head_answered = n_answers, self.now
        elif self.now - self._head_answered > HEAD_SECONDS:
            raise ClusterError(f"the Ray cluster's head has not answered for {HEAD_SECONDS:.0f} s")
        before = len(self._nodes), self._nodes.n_cpus()
        self._nodes.update(self._actors.view.nodes, self.now)
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
            raise ClusterError(f"no node can be used: {refusal}")

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
            raise ClusterError(f"no worker started within {self._patience:.0f} s: {why}")
