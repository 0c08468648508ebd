"""A pool of rollout workers on Ray: this machine's cores, or a cluster whose nodes come and go.

Tasks wait in one queue and go out as workers come free; a rollout lost with its worker is run
again, and one that is late is run a second time elsewhere, bit for bit the same. So neither the
number of workers, nor their speed, nor the death of any of them can be seen in the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ars.common.errors import RolloutError
from ars.distributed.supervisor import Call, Crew, Worker
from ars.distributed.task_queue import Tickets
from ars.distributed.timeouts import Deadlines
from ars.distributed.worker import Answer
from ars.rollout.episode import Episode
from ars.rollout.task import RolloutSpec, Snapshot, Task

# A call costs the driver and the worker about 0.8 ms together, so 40 ms of work makes it 2 %. Where
# many workers call on one driver, 20 ms for each of them leave it idle most of its time.
CALL_SECONDS = 0.04
CALL_SECONDS_PER_WORKER = 0.02
# A second call waits at a worker, so that none waits for the driver: where calls are short, or as
# long as so many rollouts wait for each worker. Near the end it would make a tail; so early not
# even that of a worker which takes so many times as long as the others.
SHORT_CALL_SECONDS = 2 * CALL_SECONDS
WAITING_PER_WORKER = 3
TEND_SECONDS = 1.0  # between two looks at the nodes and at the deadlines


class RayPool:
    """A `Pool` of processes with one core each.

    n_workers: how many; by default as many as the Ray cluster has processors, at any time.
    address: of a running Ray cluster; by default Ray starts on this machine, on the loopback
        interface alone and with a random token, and stops with the pool. If this process
        uses Ray already, the pool joins in and leaves it running.
    on_event: is told, a line each, of workers and nodes that came, died or were replaced.

    `n_answered`: rollouts that came back, second copies included; `cpu_seconds`: what they have
    cost this process, Ray's threads in it included.

    The constructor does not wait for the workers. Raises: RunError if Ray or a worker cannot start.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        n_workers: int | None,
        address: str | None = None,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        self._tickets = Tickets(spec)
        self._deadlines = Deadlines(max(spec.rollout_length, spec.eval_length or 0))
        notify = on_event or (lambda message: None)
        put_back = self._tickets.put_back
        self._crew = Crew(spec, n_workers, address, self._deadlines, put_back, notify)
        self._tend_at = 0.0
        self.n_answered = 0
        self.cpu_seconds = 0.0

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """See Pool."""
        began = time.process_time()
        ticket = self._tickets.add(self._crew.put(snapshot), tasks)
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
        return [worker.pid for worker in self._crew.workers if worker.ready]

    def close(self) -> None:
        """End the workers, and Ray with them if the pool started it; safe to call twice."""
        self._crew.close()

    def _pump(self) -> None:
        """Take in an answer, look after nodes and deadlines from time to time, hand out tasks."""
        self._crew.take_in(TEND_SECONDS)
        if self._crew.now >= self._tend_at:
            self._tend_at = self._crew.now + TEND_SECONDS
            while self._crew.take_in(0.0):  # whoever has answered is not late
                pass
            self._crew.tend()
            self._dispatch()
            self._judge()
        self._dispatch()

    def _dispatch(self) -> None:
        """Hand out waiting tasks: a call to each idle worker, then perhaps a second one."""
        workers = self._crew.workers
        for worker in workers:
            if worker.ready and not worker.calls and not self._hand_out(worker):
                return
        pace = self._deadlines.pace
        if pace is None or self._tickets.suspicious():
            return
        enough = 1 if pace < SHORT_CALL_SECONDS else WAITING_PER_WORKER * len(workers)
        for worker in workers:
            if worker.ready and len(worker.calls) == 1:
                if self._tickets.n_waiting() < enough:
                    return
                self._hand_out(worker)

    def _hand_out(self, worker: Worker) -> bool:
        """Give a worker the tasks that wait first; False if there are none."""
        pace, n_workers = self._deadlines.pace, len(self._crew.workers)
        call_seconds = max(CALL_SECONDS, CALL_SECONDS_PER_WORKER * n_workers)
        n_tasks = 1 if pace is None else int(call_seconds / max(pace, 1e-6))
        batch = self._tickets.take(n_tasks, n_workers)
        if batch is not None:
            self._crew.run(worker, batch, self._answered)
        return batch is not None

    def _answered(self, call: Call, answer: Answer) -> None:
        assert call.batch is not None
        seconds, results = answer
        call.worker.fresh = False
        self.n_answered += len(results)
        self._tickets.answer(call.batch, results)
        errors = [result for result in results if isinstance(result, RolloutError)]
        if errors:  # that environment may be in any state: go on in a fresh process
            self._crew.replace(call.worker, f"failed ({errors[0]})", len(errors))
            return
        n_steps = sum(result.length for result in results if isinstance(result, Episode))
        self._deadlines.learn(seconds, len(results), n_steps)

    def _judge(self) -> None:
        """Give up workers that hang; have the rollouts of late ones run by idle ones as well."""
        late = []
        for worker in self._crew.workers:
            if not worker.ready or not worker.calls:
                continue
            call = worker.calls[0]
            seconds = self._crew.now - call.since
            if seconds > self._hung_after(call):
                self._crew.give_up(worker, seconds)
            elif call.batch and seconds > self._deadlines.late(len(call.batch.tasks)):
                late.append(call)
        idle = [worker for worker in self._crew.workers if worker.ready and not worker.calls]
        for first in sorted(late, key=lambda call: call.since):
            for call in list(first.worker.calls):  # those in its mailbox wait for it too
                self._run_elsewhere(call, idle)

    def _hung_after(self, call: Call) -> float:
        assert call.batch is not None
        tries = max(call.worker.hangs, self._tickets.hangs(call.batch))
        seconds = self._deadlines.hung(len(call.batch.tasks), tries)
        # The first rollout in a process may still compile or load something.
        return seconds + self._deadlines.hung_start() if call.worker.fresh else seconds

    def _run_elsewhere(self, call: Call, idle: list[Worker]) -> None:
        """Start a second copy of a call; the first answer to each of its rollouts counts."""
        if not idle or call.batch is None or (batch := self._tickets.copy(call.batch)) is None:
            return
        other = min(idle, key=lambda worker: worker.node == call.worker.node)
        idle.remove(other)
        self._crew.notify_once(
            f"{self._crew.name(call.worker)} is late; its rollouts also run elsewhere"
        )
        self._crew.run(other, batch, self._answered)
