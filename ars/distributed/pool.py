"""A pool of rollout workers on Ray: this machine's cores, or a cluster whose nodes come and go.

Tasks wait in one queue and are handed out as workers become free. A rollout that is lost with its
worker runs again, and one that is late runs a second time elsewhere, bit for bit the same. So the
results depend neither on the number of workers, nor on their speed, nor on the death of any.
`docs/how-a-rollout-travels.md` has a diagram.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ars.common.errors import RolloutError
from ars.distributed.calls import Call, CallAnswer, WorkerHandle
from ars.distributed.supervisor import Supervisor
from ars.distributed.task_queue import TaskQueue
from ars.distributed.timeouts import Timeouts
from ars.rollout.episode import Episode
from ars.rollout.pool import Unwatched, Watch
from ars.rollout.task import RolloutSpec, Snapshot, Task

# A call costs the driver and the worker about 0.8 ms together, so 40 ms of work makes it 2 %. Where
# many workers call one driver, 20 ms for each of them leave the driver idle most of the time.
CALL_SECONDS = 0.04
CALL_SECONDS_PER_WORKER = 0.02
# A worker may have a second call waiting in its mailbox, so that it never waits for the driver:
# where calls are short, or while at least this many rollouts per worker are queued. Near the end of
# a request a second call could delay it, but not this early: not even on a worker that is this many
# times slower than the others.
SHORT_CALL_SECONDS = 2 * CALL_SECONDS
WAITING_PER_WORKER = 3
SUPERVISE_SECONDS = 1.0  # between two checks of nodes and timeouts


class RayPool:
    """A `Pool` of worker processes with one core each.

    Args:
        spec: what all rollouts share.
        n_workers: how many; None for as many as the Ray cluster has processors at any time.
        address: of a running Ray cluster. By default Ray starts on this machine, on the loopback
            interface alone and with a random token, and stops with the pool. If this process
            uses Ray already, the pool uses that and leaves it running. Ray that a pool has
            started, or a cluster that it has joined, serves this one pool of the process.
        on_event: called with a line on each worker or node that came, died or was replaced.
        env_seconds: how long making an environment took elsewhere, as far as is known.
        watch: hears of every rollout.

    Attributes:
        n_answered: rollouts that came back, second copies included.
        cpu_seconds: the processor time they cost this process, including Ray's threads in it.

    Raises:
        RunError: Ray or a worker cannot start. The constructor does not wait for the workers, so
            this may come later.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        n_workers: int | None,
        address: str | None = None,
        on_event: Callable[[str], None] | None = None,
        env_seconds: float = 0.0,
        watch: Watch | None = None,
    ) -> None:
        self._queue, self._watch = TaskQueue(spec), watch or Unwatched()
        longest = max(spec.rollout_length, spec.eval_length or 0)
        self._timeouts = Timeouts(longest, env_seconds)
        notify = on_event or (lambda message: None)
        put_back = self._queue.put_back
        self._supervisor = Supervisor(spec, n_workers, address, self._timeouts, put_back, notify)
        self._supervise_at = 0.0
        self.n_answered = 0
        self.cpu_seconds = 0.0

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Queue tasks that share a snapshot; returns the request's number without waiting."""
        began = time.process_time()
        request = self._queue.add(self._supervisor.put(snapshot), tasks)
        self._watch.submitted(len(tasks))
        self._dispatch()
        self.cpu_seconds += time.process_time() - began
        return request

    def collect(self, request: int) -> list[Episode]:
        """Wait for a request's episodes, in task order; other requests go on meanwhile.

        Raises:
            RolloutError: a rollout failed.
            RunError: no worker is left to run them.
        """
        began = time.process_time()
        while not self._queue.done(request):
            self._pump()
        self.cpu_seconds += time.process_time() - began
        return self._queue.collect(request)

    def abandon(self) -> None:
        """Forget all requests; a rollout that runs already ends unheard."""
        self._queue.clear()

    def pids(self) -> list[int]:
        """The process ids of the workers that have started."""
        return [worker.pid for worker in self._supervisor.workers if worker.ready]

    def close(self) -> None:
        """End the workers, and Ray with them if the pool started it; safe to call twice."""
        self._supervisor.close()

    def _pump(self) -> None:
        """Handle an answer, check nodes and timeouts from time to time, hand out tasks."""
        self._watch.waiting()
        self._supervisor.take_answer(SUPERVISE_SECONDS)
        if self._supervisor.now >= self._supervise_at:
            self._supervise_at = self._supervisor.now + SUPERVISE_SECONDS
            while self._supervisor.take_answer(0.0):  # a worker that has answered is not late
                pass
            self._supervisor.supervise()
            self._dispatch()
            self._check_timeouts()
        self._dispatch()

    def _dispatch(self) -> None:
        """Hand out waiting tasks: a call to each idle worker, then perhaps a second one."""
        workers = self._supervisor.workers
        for worker in workers:
            if worker.ready and not worker.calls and not self._hand_out(worker):
                return
        pace = self._timeouts.pace
        if pace is None or self._queue.has_losses():
            return
        enough = 1 if pace < SHORT_CALL_SECONDS else WAITING_PER_WORKER * len(workers)
        for worker in workers:
            if worker.ready and len(worker.calls) == 1:
                if self._queue.n_waiting() < enough:
                    return
                self._hand_out(worker)

    def _hand_out(self, worker: WorkerHandle) -> bool:
        """Give a worker the tasks at the head of the queue; False if there are none."""
        pace, n_workers = self._timeouts.pace, len(self._supervisor.workers)
        call_seconds = max(CALL_SECONDS, CALL_SECONDS_PER_WORKER * n_workers)
        n_tasks = 1 if pace is None else int(call_seconds / max(pace, 1e-6))
        batch = self._queue.take(n_tasks, n_workers)
        if batch is not None:
            self._supervisor.run(worker, batch, self._file_answer)
        return batch is not None

    def _file_answer(self, call: Call, answer: CallAnswer) -> None:
        assert call.batch is not None
        seconds, results = answer
        call.worker.fresh = False
        self.n_answered += len(results)
        self._queue.answer(call.batch, results)
        errors = [result for result in results if isinstance(result, RolloutError)]
        n_steps = sum(result.length for result in results if isinstance(result, Episode))
        if len(errors) < len(results):
            self._watch.answered(len(results) - len(errors), n_steps, seconds)
        if errors:  # the worker's environment may be in any state: go on in a fresh process
            self._supervisor.replace(call.worker, f"failed ({errors[0]})", len(errors))
            return
        self._timeouts.learn(seconds, len(results), n_steps)

    def _check_timeouts(self) -> None:
        """Give up workers that hang; have idle workers run the rollouts of late ones as well."""
        late = []
        for worker in self._supervisor.workers:
            if not worker.ready or not worker.calls:
                continue
            call = worker.calls[0]
            seconds = self._supervisor.now - call.since
            if seconds > self._hung_after(call):
                self._supervisor.give_up(worker, seconds)
            elif call.batch and seconds > self._timeouts.late(len(call.batch.tasks)):
                late.append(call)
        idle = [worker for worker in self._supervisor.workers if worker.ready and not worker.calls]
        for first in sorted(late, key=lambda call: call.since):
            for call in list(first.worker.calls):  # those in the mailbox are held up too
                self._run_elsewhere(call, idle)

    def _hung_after(self, call: Call) -> float:
        """Seconds after which a call's worker is given up."""
        assert call.batch is not None
        tries = max(call.worker.hangs, self._queue.hangs(call.batch))
        seconds = self._timeouts.hung(len(call.batch.tasks), tries)
        # The first rollout in a process may still compile or load something.
        return seconds + self._timeouts.hung_start() if call.worker.fresh else seconds

    def _run_elsewhere(self, call: Call, idle: list[WorkerHandle]) -> None:
        """Start a second copy of a late call; the first result of each of its rollouts counts."""
        if not idle or call.batch is None or (batch := self._queue.copy(call.batch)) is None:
            return
        other = min(idle, key=lambda worker: worker.node == call.worker.node)
        idle.remove(other)
        self._supervisor.notify_once(
            f"{self._supervisor.name(call.worker)} is late; its rollouts also run elsewhere"
        )
        self._supervisor.run(other, batch, self._file_answer)
