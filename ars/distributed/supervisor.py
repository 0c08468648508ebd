"""The worker processes of a pool: started where there is room, found fit, replaced when lost.

What a worker was given when it was lost goes back to the pool, which knows the rest.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from ars.common.errors import RolloutError, RunError, one_line
from ars.distributed.nodes import Nodes
from ars.distributed.ray_session import NodeView, default_workers, start_ray
from ars.distributed.task_queue import TaskBatch
from ars.distributed.timeouts import Deadlines, Watch
from ars.distributed.versions import machine, mismatch, other_kind
from ars.distributed.worker import SNAPSHOTS_KEPT, Actor, Answer, Built, Hello, Order
from ars.rollout.task import RolloutSpec, describe

SENT_BYTES = 2**16  # with a call; Ray puts up to 100 KB there, and asks its raylet for the rest
HEAD_SECONDS = 30.0  # without a word from it; after 60 s Ray would end this process
START_TRIES = 3  # of one worker in a row
PAUSE_SECONDS = 30.0  # then, while others run
START_SECONDS = 60.0  # without a single worker
NODE_SECONDS = 300.0  # the same on a cluster, where a node may have to be bought first


@dataclass(eq=False)
class Worker:
    """A place in the crew, and the process in it.

    `node` and `pid` are known once it has said hello; it is `ready` once it is built.
    """

    index: int
    actor: Any = None
    node: str | None = None
    pid: int = 0
    ready: bool = False
    fresh: bool = True  # nothing has come back from it yet
    avoided: frozenset[str] = frozenset()  # nodes on which it was not to be placed
    tries: int = 0  # to start it
    hangs: int = 0  # since it last answered
    calls: deque[Call] = field(default_factory=deque)  # the oldest, first, is the one that runs
    # Tickets whose snapshots it has, as soon as it has come to the last of its calls.
    has: deque[int] = field(default_factory=lambda: deque(maxlen=SNAPSHOTS_KEPT))


Settle = Callable[["Call", Any], None]


@dataclass(eq=False)
class Call:
    """Something asked of a worker: to start (no batch), or to run one.

    `settle` takes in the answer; `since`: when it began to run, as far as can be told from here.
    """

    ref: Any
    worker: Worker
    settle: Settle
    batch: TaskBatch | None
    since: float


class PutBack(Protocol):
    """Takes a lost batch back; returns how many rollouts will run again. See Tickets."""

    def __call__(self, batch: TaskBatch, ran: bool, hung_seconds: float | None) -> int: ...


class Crew:
    """As many workers as asked for or, by default, as the living nodes have processors."""

    def __init__(
        self,
        spec: RolloutSpec,
        n_workers: int | None,
        address: str | None,
        deadlines: Deadlines,
        put_back: PutBack,
        notify: Callable[[str], None],
    ) -> None:
        self._session = start_ray(n_workers or default_workers(), address, spec.env_id)
        import ray

        self._ray = ray
        self._spec, self._n_workers = spec, n_workers
        self._deadlines, self._put_back, self.notify = deadlines, put_back, notify
        # The nodes of a cluster are filled evenly.
        strategy = "SPREAD" if address else "DEFAULT"
        self._options: dict[str, Any] = {
            "num_cpus": 1,
            "scheduling_strategy": strategy,
            # Or each call would be told to the head: a fifth of what it costs all of Ray.
            "enable_task_events": False,
        }
        self._actor_class = ray.remote(Actor)
        self._patience = START_SECONDS if address is None else NODE_SECONDS
        self.workers: list[Worker] = []
        self._last_index = -1
        self._calls: dict[Any, Call] = {}
        self._said: set[str] = set()
        self._watch = Watch(time.monotonic)
        self._grow_from = self._last_sign = 0.0
        self._nodes, self._view = Nodes(), NodeView()
        self._look_at_nodes()
        self._fit()

    @property
    def now(self) -> float:
        """Seconds watched."""
        return self._watch.now

    def put(self, value: Any) -> Any:
        """A value for all workers: pickled, or, where that is large, a reference to it in Ray."""
        self._watch.look()
        self._session.check()
        data = pickle.dumps(value)
        return data if len(data) <= SENT_BYTES else self._ray.put(data)

    def run(self, worker: Worker, batch: TaskBatch, settle: Settle) -> None:
        """Have a worker run a batch; `settle` gets an `Answer`."""
        # Given once: for each call that has it Ray asks the raylet, twice the work of one without.
        snapshot = None if batch.ticket in worker.has else batch.snapshot
        if snapshot is not None:
            worker.has.append(batch.ticket)
        order = pickle.dumps(Order(batch.ticket, batch.tasks))
        ref = worker.actor.run.remote(order, snapshot)
        self._ask(worker, ref, settle, batch)

    def take_in(self, seconds: float) -> bool:
        """Wait for an answer and settle it; whether there was one."""
        ready: list[Any] = []
        if self._calls:
            ready, _ = self._ray.wait(list(self._calls), timeout=seconds)
        else:
            time.sleep(seconds)
        self._watch.look()
        if ready:
            self._settle(self._calls.pop(ready[0]))
        return bool(ready)

    def tend(self) -> None:
        """Follow the nodes, give up starts that hang. Raises: RunError if there is no hope."""
        self._session.check()
        self._look_at_nodes()
        self._fit()
        for worker in self.workers:
            # Who has not said hello may be waiting for a processor.
            if worker.node is not None and not worker.ready:
                seconds = self.now - worker.calls[0].since
                if seconds > self._deadlines.hung_start():
                    self.give_up(worker, seconds)
        self._check_for_signs()

    def give_up(self, worker: Worker, seconds: float) -> None:
        """Replace a worker that has not answered for so long."""
        assert worker.node is not None
        worker.hangs += 1
        self._nodes.gave_up(worker.node, worker.calls[0].since, self.now)
        self.replace(worker, f"did not answer for {seconds:.0f} s", hung_seconds=seconds)

    def replace(
        self, worker: Worker, event: str, n_again: int = 0, hung_seconds: float | None = None
    ) -> None:
        """Start a worker afresh and put back what it had been given."""
        name = self.name(worker)
        n_again += self._take_back(worker, hung_seconds)
        self.notify(f"{name} {event}; replaced, {n_again} rollouts run again")
        self._kill(worker)
        self._start(worker)

    def name(self, worker: Worker) -> str:
        """A worker, for a message."""
        where = (
            f" at {self._nodes.name(worker.node)}" if worker.node and len(self._nodes) > 1 else ""
        )
        return f"worker {worker.index} (pid {worker.pid or 'unknown'}{where})"

    def notify_once(self, message: str, matter: str | None = None) -> None:
        """Tell the user, unless that, or something else of the same matter, has been told."""
        if (matter or message) not in self._said:
            self._said.add(matter or message)
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

    def _ask(
        self, worker: Worker, ref: Any, settle: Settle, batch: TaskBatch | None = None
    ) -> None:
        call = Call(ref, worker, settle, batch, self.now)
        worker.calls.append(call)
        self._calls[ref] = call

    def _settle(self, call: Call) -> None:
        worker = call.worker
        try:
            answer = self._ray.get(call.ref)
            if call.batch is not None:
                answer = pickle.loads(answer)
        except self._ray.exceptions.RayTaskError as error:  # an answer that does not pickle, say
            if call.batch is None:
                self._cannot_start(worker, one_line(error.cause))
                return
            names = [describe(self._spec, task) for task in call.batch.tasks]
            why = one_line(error.cause)
            answer = Answer(0.0, [RolloutError(f"{name}: {why}") for name in names])
        except self._ray.exceptions.RayError as error:
            if worker.ready:
                self.replace(worker, "died")
            else:
                self._cannot_start(worker, meaning(error, self._session.shows_token))
            return
        worker.calls.remove(call)
        if worker.calls:
            worker.calls[0].since = self.now
        worker.hangs = 0
        if worker.node is not None:
            self._nodes.heard(worker.node, self.now)
        call.settle(call, answer)

    def _take_back(self, worker: Worker, hung_seconds: float | None = None) -> int:
        """Forget what a worker was asked; how many rollouts will run again."""
        n_again = 0
        # The oldest was running. The last to be put back is the first to go out again.
        while worker.calls:
            call = worker.calls.pop()
            self._calls.pop(call.ref, None)
            if call.batch is not None:
                ran = not worker.calls
                n_again += self._put_back(call.batch, ran, hung_seconds if ran else None)
        return n_again

    def _kill(self, worker: Worker) -> None:
        if self._ray.is_initialized():
            # A dead or never placed one is fine too; one whose creation Ray gave up is an error.
            with suppress(self._ray.exceptions.RaySystemError):
                self._ray.kill(worker.actor)

    # Starting a worker: it says hello, is found fit or not, and is built.

    def _start(self, worker: Worker) -> None:
        """A fresh process in a place that has none."""
        worker.avoided = self._nodes.avoided(self._n_wanted())
        options = dict(self._options)
        if worker.avoided:
            nodes = ",".join(sorted(worker.avoided))
            options["label_selector"] = {"ray.io/node-id": f"!in({nodes})"}
        worker.actor = self._actor_class.options(**options).remote()
        worker.node, worker.pid, worker.ready, worker.fresh = None, 0, False, True
        worker.has.clear()
        self._ask(worker, worker.actor.hello.remote(), self._said_hello)

    def _said_hello(self, call: Call, hello: Hello) -> None:
        worker = call.worker
        worker.pid, worker.node = hello.pid, hello.node
        self._last_sign = self.now
        if reason := mismatch(machine(), hello.machine):
            self._nodes.refuse(hello.node, reason)
            self.notify_once(f"node {self._nodes.name(hello.node)} is not used: {reason}")
            self._check_for_refusal()
            self._restart(worker)
            return
        if difference := other_kind(machine(), hello.machine):
            self.notify_once(
                f"warning: another kind of machine may round differently: {difference}"
            )
        self._ask(worker, worker.actor.build.remote(self._spec), self._built)

    def _built(self, call: Call, built: Built) -> None:
        worker = call.worker
        if built.error is not None:
            self._cannot_start(worker, built.error)
            return
        if built.notice is not None:
            self.notify_once(f"warning: {self.name(worker)}: {built.notice}", built.notice)
        self._last_sign = self.now
        self._deadlines.learn_start(self.now - call.since)
        worker.ready, worker.tries = True, 0

    def _cannot_start(self, worker: Worker, reason: str) -> None:
        """Try again, but not for ever: the others may do without it, or all fail in this way."""
        worker.tries += 1
        if worker.tries < START_TRIES:
            self._restart(worker)
            return
        self._dismiss(worker)
        if not self.workers:
            raise RunError(f"{self._spec.env_id}: a worker cannot start: {reason}")
        self._grow_from = self.now + PAUSE_SECONDS
        self.notify_once(f"a worker cannot start: {reason}; the others go on without it")

    def _restart(self, worker: Worker) -> None:
        self._take_back(worker)
        self._kill(worker)
        self._start(worker)

    def _dismiss(self, worker: Worker) -> None:
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
        # One that waits for a node makes an autoscaler look for it.
        return self._n_workers or max(1, self._nodes.n_cpus())

    def _fit(self) -> None:
        """Bring the workers to what the nodes allow."""
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
                self.workers.append(Worker(self._last_index))
                self._start(self.workers[-1])

    def _check_for_refusal(self) -> None:
        if refusal := self._nodes.refusal():
            raise RunError(f"no node can be used: {refusal}")

    def _check_for_signs(self) -> None:
        """Raises: RunError where there has been no worker for too long."""
        if any(worker.ready for worker in self.workers):
            self._last_sign = self.now
        elif self.now - self._last_sign > self._patience:
            why = (
                "no free CPU in the Ray cluster, or the environment takes longer than that to "
                "construct"
                if len(self._nodes)
                else "no node is left in the Ray cluster"
            )
            raise RunError(f"no worker started within {self._patience:.0f} s: {why}")


def meaning(error: Exception, shows_token: bool) -> str:
    """Why Ray gave a start up: its last words, unless more can be said."""
    words = str(error).strip().splitlines()[-1].strip()
    if shows_token and "never ran" in words:
        return (
            "this process has a token and the cluster perhaps no authentication; if so, set "
            f"RAY_AUTH_MODE=disabled ({words})"
        )
    return words
