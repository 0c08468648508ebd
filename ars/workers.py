"""A pool of rollout workers on Ray: this machine's cores, or a cluster. The only user of Ray.

Tasks wait in one queue, first ticket first, and go out as workers come free. An answer is filed
under its task, so neither the number of workers, nor their speed, nor the death of any of them
can be seen in the results: a rollout lost with its worker is run again, bit for bit the same.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ars import cluster
from ars.rollout import Episode, RolloutError, Rollouts, RolloutSpec, Snapshot, Task, one_line

# A call costs the driver and the worker about 0.8 ms together, so 40 ms of work makes it 2 %.
CALL_SECONDS = 0.04
# A second call waits at a worker only where calls are short: elsewhere it would make a tail.
SHORT_CALL_SECONDS = 2 * CALL_SECONDS
START_TRIES = 3  # of one worker, before its constructor's error is the run's
START_SECONDS = 60.0  # without a single worker
ROLLOUT_TRIES = 2  # of a rollout that raises
LOST_TRIES = 10  # of a rollout whose worker dies: then the rollout is what kills it


class _Actor:
    """What runs in a worker process. Failures are answers: Ray's own tracebacks stay out of it."""

    def __init__(self, spec: RolloutSpec) -> None:
        self._error: str | None = None
        try:
            self._rollouts = Rollouts(spec)
        except Exception as error:
            self._error = one_line(error)

    def start(self) -> tuple[int, str | None]:
        """The process id, and what the constructor raised."""
        return os.getpid(), self._error

    def run(
        self, snapshot: Snapshot, tasks: Sequence[Task]
    ) -> tuple[float, list[Episode | RolloutError]]:
        """Seconds taken, and an episode or an error for each task."""
        began = time.perf_counter()
        results = [self._run_one(snapshot, task) for task in tasks]
        return time.perf_counter() - began, results

    def _run_one(self, snapshot: Snapshot, task: Task) -> Episode | RolloutError:
        try:
            return self._rollouts.run(snapshot, [task])[0]
        except RolloutError as error:
            return RolloutError(one_line(error))  # without its cause, which may not pickle


@dataclass
class _Worker:
    """A place in the pool; `pid` is 0 until the process in it has answered."""

    index: int
    actor: Any = None
    pid: int = 0
    tries: int = 0
    started: float = 0.0
    n_calls: int = 0


@dataclass
class _Ticket:
    """Tasks handed in together. `waiting`: indices not handed out; `missing`: not answered."""

    snapshot: Any  # an ObjectRef
    tasks: list[Task]
    waiting: deque[int]
    results: dict[int, Episode] = field(default_factory=dict)
    failures: Counter[int] = field(default_factory=Counter)
    losses: Counter[int] = field(default_factory=Counter)
    error: RolloutError | None = None

    @property
    def complete(self) -> bool:
        return self.error is not None or len(self.results) == len(self.tasks)


@dataclass(frozen=True)
class _Call:
    """A call under way; without a ticket it is the worker's start."""

    worker: _Worker
    ticket: int | None = None
    indices: tuple[int, ...] = ()


class RayPool:
    """A `Pool` of `n_workers` processes, one core each.

    address: of a running Ray cluster; by default Ray starts on this machine, on the loopback
        interface alone and with a random token, and stops with the pool. If this process
        uses Ray already, the pool joins in and leaves it running.
    on_event: is told, a line each, of workers that died and were replaced.

    The constructor does not wait for the workers. Raises: RolloutError if Ray cannot start.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        n_workers: int,
        address: str | None = None,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        self._connection = cluster.connect(address, n_workers, START_SECONDS)
        import ray

        self._ray = ray
        self._spec = spec
        self._on_event = on_event or (lambda message: None)
        # Rays of one machine need no spreading; nodes of a cluster are filled evenly.
        strategy = "SPREAD" if address else "DEFAULT"
        self._actor_class = ray.remote(_Actor).options(num_cpus=1, scheduling_strategy=strategy)
        self._workers = [_Worker(index) for index in range(n_workers)]
        self._tickets: dict[int, _Ticket] = {}
        self._calls: dict[Any, _Call] = {}
        self._last_ticket = 0
        self._pace: float | None = None  # seconds per rollout, a moving average
        for worker in self._workers:
            self._start(worker)

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """See Pool."""
        self._last_ticket += 1
        ref = self._ray.put(snapshot)
        self._tickets[self._last_ticket] = _Ticket(ref, list(tasks), deque(range(len(tasks))))
        self._dispatch()
        return self._last_ticket

    def collect(self, ticket: int) -> list[Episode]:
        """See Pool. Tasks of other tickets go on meanwhile."""
        wanted = self._tickets[ticket]
        while not wanted.complete:
            self._pump()
        del self._tickets[ticket]
        if wanted.error is not None:
            raise wanted.error
        return [wanted.results[index] for index in range(len(wanted.tasks))]

    def pids(self) -> list[int]:
        """The process ids of the workers that have started."""
        return [worker.pid for worker in self._workers if worker.pid]

    def close(self) -> None:
        """End the workers, and Ray with them if the pool started it; safe to call twice."""
        workers, self._workers = self._workers, []
        self._calls.clear()
        self._tickets.clear()
        for worker in workers:
            self._kill(worker)
        self._connection.close()

    def _start(self, worker: _Worker) -> None:
        worker.actor = self._actor_class.remote(self._spec)
        worker.pid = worker.n_calls = 0
        worker.tries += 1
        worker.started = time.monotonic()
        self._calls[worker.actor.start.remote()] = _Call(worker)

    def _kill(self, worker: _Worker) -> None:
        # A dead or never placed actor is fine too.
        if self._ray.is_initialized():
            self._ray.kill(worker.actor)

    def _pump(self) -> None:
        """Take in one answer, or wait a second for it; hand out what can be."""
        ready, _ = self._ray.wait(list(self._calls), timeout=1.0)
        if ready:
            self._settle(self._calls.pop(ready[0]), ready[0])
            self._dispatch()
        elif not self.pids():
            waited = time.monotonic() - max(worker.started for worker in self._workers)
            if waited > START_SECONDS:
                raise RolloutError(
                    f"no worker started within {START_SECONDS:.0f} s: no free CPU in the Ray "
                    "cluster, or the environment takes longer to construct"
                )

    def _settle(self, call: _Call, ref: Any) -> None:
        call.worker.n_calls -= call.ticket is not None
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise RolloutError(f"worker {call.worker.index}: {one_line(error.cause)}") from None
        except self._ray.exceptions.RayError as error:
            self._lost(call, error)
            return
        if call.ticket is None:
            self._started(call.worker, *answer)
        else:
            self._answered(call, *answer)

    def _started(self, worker: _Worker, pid: int, error: str | None) -> None:
        if error is None:
            worker.pid, worker.tries = pid, 0
        elif worker.tries < START_TRIES:
            self._kill(worker)
            self._start(worker)
        else:
            raise RolloutError(f"{self._spec.env_id}: a worker cannot start: {error}")

    def _answered(
        self, call: _Call, seconds: float, results: Sequence[Episode | RolloutError]
    ) -> None:
        pace = seconds / len(results)
        self._pace = pace if self._pace is None else self._pace + 0.3 * (pace - self._pace)
        ticket = self._tickets.get(call.ticket or 0)
        if ticket is None:  # collected already: it failed
            return
        failed = False
        for index, result in zip(call.indices, results, strict=True):
            if isinstance(result, Episode):
                ticket.results[index] = result
                continue
            failed = True
            ticket.failures[index] += 1
            if ticket.failures[index] < ROLLOUT_TRIES:
                ticket.waiting.appendleft(index)
            else:
                ticket.error = ticket.error or result
        if failed:  # the environment may be in any state: go on in a fresh process
            self._replace(call.worker, "had an environment that raised")

    def _lost(self, call: _Call, error: Exception) -> None:
        worker = call.worker
        self._calls[object()] = call  # with the worker's other calls
        if worker.pid == 0 and worker.tries >= START_TRIES:
            reason = str(error).strip().splitlines()[-1].strip()
            raise RolloutError(f"{self._spec.env_id}: a worker cannot start: {reason}") from None
        self._replace(worker, "died")

    def _replace(self, worker: _Worker, event: str) -> None:
        """Start a worker afresh and put back what it had been given."""
        mine = {ref: call for ref, call in self._calls.items() if call.worker is worker}
        n_again = 0
        for ref, call in reversed(mine.items()):
            del self._calls[ref]
            n_again += self._put_back(call)
        pid = worker.pid
        self._kill(worker)
        self._start(worker)
        self._on_event(
            f"worker {worker.index} (pid {pid or 'unknown'}) {event}; replaced, "
            f"{n_again} rollouts run again"
        )

    def _put_back(self, call: _Call) -> int:
        ticket = self._tickets.get(call.ticket or 0)
        if ticket is None:
            return 0
        ticket.waiting.extendleft(reversed(call.indices))
        ticket.losses.update(call.indices)
        worst, losses = ticket.losses.most_common(1)[0]
        if losses >= LOST_TRIES:
            name = describe(self._spec, ticket.tasks[worst])
            ticket.error = RolloutError(f"{name}: its worker died {losses} times")
        return len(call.indices)

    def _dispatch(self) -> None:
        """Hand out waiting tasks: a call to each idle worker, then, where short, a second one."""
        for n_calls in range(self._depth()):
            for worker in self._workers:
                if worker.pid and worker.n_calls == n_calls and not self._hand_out(worker):
                    return

    def _depth(self) -> int:
        return 2 if self._pace is not None and self._pace < SHORT_CALL_SECONDS else 1

    def _hand_out(self, worker: _Worker) -> bool:
        """Give a worker the first tasks that wait; False if there are none."""
        for number, ticket in self._tickets.items():
            if ticket.waiting and ticket.error is None:
                break
        else:
            return False
        n_tasks = 1
        if self._pace is not None:
            # Half of a fair share at most: then what is left at the end is small.
            share = math.ceil(len(ticket.waiting) / (2 * len(self._workers)))
            n_tasks = max(1, min(share, int(CALL_SECONDS / max(self._pace, 1e-6))))
        indices = tuple(ticket.waiting.popleft() for _ in range(min(n_tasks, len(ticket.waiting))))
        tasks = [ticket.tasks[index] for index in indices]
        self._calls[worker.actor.run.remote(ticket.snapshot, tasks)] = _Call(
            worker, number, indices
        )
        worker.n_calls += 1
        return True


def default_workers() -> int:
    """The CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
