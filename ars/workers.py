"""A pool of rollout workers on Ray: this machine's cores, or a cluster whose nodes come and go.

Tasks wait in one queue and go out as workers come free; a rollout lost with its worker is run
again, and one that is late is run a second time elsewhere, bit for bit the same. So neither the
number of workers, nor their speed, nor the death of any of them can be seen in the results.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ars.actor import Actor, Hello
from ars.cluster import NodeView, start_ray
from ars.deadlines import Deadlines, Watch
from ars.errors import RunError
from ars.nodes import Nodes
from ars.rollout import Episode, RolloutError, RolloutSpec, Snapshot, Task, describe, one_line
from ars.tickets import Batch, Tickets
from ars.versions import machine, mismatch, other_kind

# A call costs the driver and the worker about 0.8 ms together, so 40 ms of work makes it 2 %.
CALL_SECONDS = 0.04
# A second call waits at a worker only where calls are short: elsewhere it would make a tail.
SHORT_CALL_SECONDS = 2 * CALL_SECONDS
TEND_SECONDS = 1.0  # between two looks at the nodes and at the deadlines
HEAD_SECONDS = 30.0  # without a word from it; after 60 s Ray would end this process
START_TRIES = 3  # of one worker in a row
PAUSE_SECONDS = 30.0  # then, while others run
START_SECONDS = 60.0  # without a single worker
NODE_SECONDS = 300.0  # the same on a cluster, where a node may have to be bought first


@dataclass(eq=False)
class _Worker:
    """A place in the pool, and the process in it.

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
    calls: deque[_Call] = field(default_factory=deque)  # the oldest, first, is the one that runs


@dataclass(eq=False)
class _Call:
    """Something asked of a worker: to start (no batch), or to run one.

    `settle` takes in the answer; `since`: when it began to run, as far as can be told from here.
    """

    ref: Any
    worker: _Worker
    settle: Callable[[_Call, Any], None]
    batch: Batch | None
    since: float


class RayPool:
    """A `Pool` of processes with one core each.

    n_workers: how many; by default as many as the Ray cluster has processors, at any time.
    address: of a running Ray cluster; by default Ray starts on this machine, on the loopback
        interface alone and with a random token, and stops with the pool. If this process
        uses Ray already, the pool joins in and leaves it running.
    on_event: is told, a line each, of workers and nodes that came, died or were replaced.

    The constructor does not wait for the workers. Raises: RunError if Ray or a worker cannot start.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        n_workers: int | None,
        address: str | None = None,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        self._session = start_ray(n_workers or default_workers(), address, spec.env_id)
        import ray

        self._ray = ray
        self._spec, self._n_workers = spec, n_workers
        self._on_event = on_event or (lambda message: None)
        self._said: set[str] = set()
        # The nodes of a cluster are filled evenly.
        strategy = "SPREAD" if address else "DEFAULT"
        self._placement: dict[str, Any] = {"num_cpus": 1, "scheduling_strategy": strategy}
        self._actor_class = ray.remote(Actor)
        self._patience = START_SECONDS if address is None else NODE_SECONDS
        self._tickets = Tickets(spec)
        self._deadlines = Deadlines(spec.rollout_length)
        self._nodes = Nodes()
        self._view = NodeView()
        self._workers: list[_Worker] = []
        self._last_index = -1
        self._calls: dict[Any, _Call] = {}
        self._watch = Watch(time.monotonic)
        self._next_tending = self._grow_from = self._last_sign = 0.0
        self.n_answered = 0  # rollouts, copies included
        self.cpu_seconds = 0.0  # of this process, Ray's threads in it included, for its rollouts
        self._look_at_nodes()
        self._fit()

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """See Pool."""
        began = time.process_time()
        self._watch.look()
        self._session.check()
        ticket = self._tickets.add(self._ray.put(snapshot), tasks)
        self._dispatch()
        self.cpu_seconds += time.process_time() - began
        return ticket

    def collect(self, ticket: int) -> list[Episode]:
        """See Pool. Tasks of other tickets go on meanwhile."""
        began = time.process_time()
        while not self._tickets.done(ticket):
            self._pump()
        self.cpu_seconds += time.process_time() - began
        return self._tickets.collect(ticket)

    def pids(self) -> list[int]:
        """The process ids of the workers that have started."""
        return [worker.pid for worker in self._workers if worker.ready]

    def close(self) -> None:
        """End the workers, and Ray with them if the pool started it; safe to call twice."""
        workers, self._workers = self._workers, []
        self._calls.clear()
        self._view.close()
        for worker in workers:
            self._kill(worker)
        self._session.stop()

    # One turn of the loop: take in an answer, look after nodes and deadlines, hand out tasks.

    def _pump(self) -> None:
        self._take_in(TEND_SECONDS)
        if self._watch.now >= self._next_tending:
            self._next_tending = self._watch.now + TEND_SECONDS
            while self._take_in(0.0):  # whoever has answered is not late
                pass
            self._session.check()
            self._look_at_nodes()
            self._fit()
            self._dispatch()
            self._judge()
            self._check_for_signs()
        self._dispatch()

    def _take_in(self, seconds: float) -> bool:
        """Wait for an answer and settle it; whether there was one."""
        if self._calls:
            ready, _ = self._ray.wait(list(self._calls), timeout=seconds)
        else:
            ready = []
            time.sleep(seconds)
        self._watch.look()
        if ready:
            self._settle(self._calls.pop(ready[0]))
        return bool(ready)

    def _settle(self, call: _Call) -> None:
        worker = call.worker
        try:
            answer = self._ray.get(call.ref)
        except self._ray.exceptions.RayTaskError as error:
            self._broke(call, one_line(error.cause))
        except self._ray.exceptions.RayError as error:
            if worker.ready:
                self._replace(worker, "died")
            else:
                self._cannot_start(worker, str(error).strip().splitlines()[-1].strip())
        else:
            self._over(call)
            call.settle(call, answer)

    def _over(self, call: _Call) -> None:
        worker = call.worker
        worker.calls.remove(call)
        if worker.calls:
            worker.calls[0].since = self._watch.now
        worker.hangs = 0
        if worker.node is not None:
            self._nodes.heard(worker.node, self._watch.now)

    def _broke(self, call: _Call, reason: str) -> None:
        """A call raised outside the environment: an answer that does not pickle, for example."""
        if call.batch is None:
            self._cannot_start(call.worker, reason)
            return
        self._over(call)
        names = [describe(self._spec, task) for task in call.batch.tasks]
        self._file(call, [RolloutError(f"{name}: {reason}") for name in names])

    # Starting a worker: it says hello, is found fit or not, and is built.

    def _start(self, worker: _Worker) -> None:
        """A fresh process in a place that has none."""
        worker.avoided = self._nodes.avoided(self._n_wanted())
        placement = dict(self._placement)
        if worker.avoided:
            nodes = ",".join(sorted(worker.avoided))
            placement["label_selector"] = {"ray.io/node-id": f"!in({nodes})"}
        worker.actor = self._actor_class.options(**placement).remote()
        worker.node, worker.pid, worker.ready, worker.fresh = None, 0, False, True
        self._ask(worker, worker.actor.hello.remote(), self._said_hello)

    def _ask(
        self,
        worker: _Worker,
        ref: Any,
        settle: Callable[[_Call, Any], None],
        batch: Batch | None = None,
    ) -> None:
        call = _Call(ref, worker, settle, batch, self._watch.now)
        worker.calls.append(call)
        self._calls[ref] = call

    def _said_hello(self, call: _Call, hello: Hello) -> None:
        worker = call.worker
        worker.pid, worker.node = hello.pid, hello.node
        self._last_sign = self._watch.now
        address = self._nodes.name(hello.node)
        if reason := mismatch(machine(), hello.machine):
            self._nodes.refuse(hello.node, reason)
            self._say_once(f"node {address} is not used: {reason}")
            self._check_for_refusal()
            self._kill(worker)
            self._start(worker)
            return
        if difference := other_kind(machine(), hello.machine):
            self._say_once(
                f"warning: another kind of machine may round differently: {difference}", difference
            )
        self._ask(worker, worker.actor.build.remote(self._spec), self._built)

    def _built(self, call: _Call, error: str | None) -> None:
        if error is not None:
            self._cannot_start(call.worker, error)
            return
        self._last_sign = self._watch.now
        self._deadlines.learn_start(self._watch.now - call.since)
        call.worker.ready, call.worker.tries = True, 0

    def _cannot_start(self, worker: _Worker, reason: str) -> None:
        """Try again, but not for ever: the others may do without it, or all fail in this way."""
        self._take_back(worker)
        self._kill(worker)
        worker.tries += 1
        if worker.tries < START_TRIES:
            self._start(worker)
            return
        self._workers.remove(worker)
        if not self._workers:
            raise RunError(f"{self._spec.env_id}: a worker cannot start: {reason}")
        self._grow_from = self._watch.now + PAUSE_SECONDS
        self._say_once(f"a worker cannot start: {reason}; the others go on without it")

    # Rollouts

    def _dispatch(self) -> None:
        """Hand out waiting tasks: a call to each idle worker, then, where short, a second one."""
        pace = self._deadlines.pace
        short = pace is not None and pace < SHORT_CALL_SECONDS
        for n_calls in range(2 if short and not self._tickets.suspicious() else 1):
            for worker in self._workers:
                if worker.ready and len(worker.calls) == n_calls and not self._hand_out(worker):
                    return

    def _hand_out(self, worker: _Worker) -> bool:
        """Give a worker the tasks that wait first; False if there are none."""
        pace = self._deadlines.pace
        n_tasks = 1 if pace is None else int(CALL_SECONDS / max(pace, 1e-6))
        batch = self._tickets.take(n_tasks, len(self._workers))
        if batch is not None:
            self._run(worker, batch)
        return batch is not None

    def _run(self, worker: _Worker, batch: Batch) -> None:
        ref = worker.actor.run.remote(batch.snapshot, batch.tasks)
        self._ask(worker, ref, self._answered, batch)

    def _answered(
        self, call: _Call, answer: tuple[float, Sequence[Episode | RolloutError]]
    ) -> None:
        seconds, results = answer
        call.worker.fresh = False
        n_steps = sum(result.length for result in results if isinstance(result, Episode))
        self._deadlines.learn(seconds, len(results), n_steps)
        self._file(call, results)

    def _file(self, call: _Call, results: Sequence[Episode | RolloutError]) -> None:
        assert call.batch is not None
        self.n_answered += len(results)
        self._tickets.answer(call.batch, results)
        errors = [result for result in results if isinstance(result, RolloutError)]
        if errors:  # that environment may be in any state: go on in a fresh process
            self._replace(call.worker, f"failed ({errors[0]})", len(errors))

    # Workers that are lost, late or hung

    def _replace(
        self, worker: _Worker, event: str, n_again: int = 0, hung_seconds: float | None = None
    ) -> None:
        """Start a worker afresh and put back what it had been given."""
        name = self._name(worker)
        n_again += self._take_back(worker, hung_seconds)
        self._on_event(f"{name} {event}; replaced, {n_again} rollouts run again")
        self._kill(worker)
        self._start(worker)

    def _name(self, worker: _Worker) -> str:
        where = (
            f" at {self._nodes.name(worker.node)}" if worker.node and len(self._nodes) > 1 else ""
        )
        return f"worker {worker.index} (pid {worker.pid or 'unknown'}{where})"

    def _take_back(self, worker: _Worker, hung_seconds: float | None = None) -> int:
        """Forget what a worker was asked; how many rollouts will run again."""
        n_again = 0
        # The oldest was running. The last to be put back is the first to go out again.
        while worker.calls:
            call = worker.calls.pop()
            self._calls.pop(call.ref, None)
            if call.batch is not None:
                ran = not worker.calls
                hung = hung_seconds if ran else None
                n_again += self._tickets.put_back(call.batch, ran, hung)
        return n_again

    def _kill(self, worker: _Worker) -> None:
        if self._ray.is_initialized():
            self._ray.kill(worker.actor)  # a dead or never placed one is fine too

    def _judge(self) -> None:
        """Give up workers that hang; have the rollouts of late ones run by idle ones as well."""
        now, late = self._watch.now, []
        for worker in self._workers:
            # Who has not said hello may be waiting for a processor.
            if worker.node is None or not worker.calls:
                continue
            call = worker.calls[0]
            seconds = now - call.since
            if seconds > self._hung_after(call):
                worker.hangs += 1
                self._nodes.gave_up(worker.node, call.since, now)
                self._replace(worker, f"did not answer for {seconds:.0f} s", 0, seconds)
            elif call.batch and seconds > self._deadlines.late(len(call.batch.tasks)):
                late.append(worker)
        idle = [worker for worker in self._workers if worker.ready and not worker.calls]
        for worker in sorted(late, key=lambda worker: worker.calls[0].since):
            for call in list(worker.calls):
                self._run_elsewhere(call, idle)

    def _hung_after(self, call: _Call) -> float:
        if call.batch is None:
            return self._deadlines.hung_start()
        tries = max(call.worker.hangs, self._tickets.hangs(call.batch))
        seconds = self._deadlines.hung(len(call.batch.tasks), tries)
        # The first rollout in a process may still compile or load something.
        return seconds + self._deadlines.hung_start() if call.worker.fresh else seconds

    def _run_elsewhere(self, call: _Call, idle: list[_Worker]) -> None:
        """Start a second copy of a call; the first answer to each of its rollouts counts."""
        if not idle or call.batch is None or (batch := self._tickets.copy(call.batch)) is None:
            return
        other = min(idle, key=lambda worker: worker.node == call.worker.node)
        idle.remove(other)
        self._say_once(f"{self._name(call.worker)} is late; its rollouts also run elsewhere")
        self._run(other, batch)

    # Nodes that come and go

    def _look_at_nodes(self) -> None:
        if self._view.age > HEAD_SECONDS:
            raise RunError(f"the Ray cluster's head has not answered for {HEAD_SECONDS:.0f} s")
        before = len(self._nodes), self._nodes.n_cpus()
        self._nodes.update(self._view.nodes, self._watch.now)
        self._check_for_refusal()
        after = len(self._nodes), self._nodes.n_cpus()
        if before != after and before != (0, 0):
            self._on_event(
                f"the cluster has {after[0]} nodes and {after[1]} processors now, "
                f"before {before[0]} and {before[1]}"
            )

    def _n_wanted(self) -> int:
        # One that waits for a node makes an autoscaler look for it.
        return self._n_workers or max(1, self._nodes.n_cpus())

    def _fit(self) -> None:
        """Bring the workers to what the nodes allow."""
        avoided = self._nodes.avoided(self._n_wanted())
        for worker in self._workers:
            if worker.node is not None and self._nodes.gone(worker.node):
                self._replace(worker, "left with its node")
            elif worker.node is None and worker.avoided != avoided:
                self._take_back(worker)
                self._kill(worker)
                self._start(worker)
        n_missing = self._n_wanted() - len(self._workers)
        unplaced = [worker for worker in self._workers if worker.node is None]
        for worker in unplaced[: max(0, -n_missing)]:
            self._take_back(worker)
            self._kill(worker)
            self._workers.remove(worker)
        if self._watch.now < self._grow_from:
            return
        for _ in range(n_missing):
            self._last_index += 1
            self._workers.append(_Worker(self._last_index))
            self._start(self._workers[-1])

    def _check_for_refusal(self) -> None:
        if refusal := self._nodes.refusal():
            raise RunError(f"no node can be used: {refusal}")

    def _check_for_signs(self) -> None:
        """Raises: RunError where there has been no worker for too long."""
        if any(worker.ready for worker in self._workers):
            self._last_sign = self._watch.now
        elif self._watch.now - self._last_sign > self._patience:
            raise RunError(
                f"no worker started within {self._patience:.0f} s: "
                + (
                    "no free CPU in the Ray cluster, or the environment takes longer than that "
                    "to construct"
                    if len(self._nodes)
                    else "no node is left in the Ray cluster"
                )
            )

    def _say_once(self, message: str, key: str | None = None) -> None:
        if (key or message) not in self._said:
            self._said.add(key or message)
            self._on_event(message)


def default_workers() -> int:
    """The CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
