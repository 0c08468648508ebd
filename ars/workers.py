"""A pool of rollout workers on Ray: this machine's cores, or a cluster. The only user of Ray.

Tasks wait in one queue and go out as workers come free; a rollout lost with its worker is run
again, bit for bit the same. So neither the number of workers, nor their speed, nor the death of
any of them can be seen in the results.
"""

from __future__ import annotations

import functools
import os
import queue
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ars.errors import RunError
from ars.rollout import Episode, RolloutError, Rollouts, RolloutSpec, Snapshot, Task, one_line
from ars.tickets import Batch, Tickets

# A call costs the driver and the worker about 0.8 ms together, so 40 ms of work makes it 2 %.
CALL_SECONDS = 0.04
# A second call waits at a worker only where calls are short: elsewhere it would make a tail.
SHORT_CALL_SECONDS = 2 * CALL_SECONDS
START_TRIES = 3  # of one worker, before its constructor's error is the run's
START_SECONDS = 60.0  # without a single worker


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


class RayPool:
    """A `Pool` of `n_workers` processes, one core each.

    address: of a running Ray cluster; by default Ray starts on this machine, on the loopback
        interface alone and with a random token, and stops with the pool. If this process
        uses Ray already, the pool joins in and leaves it running.
    on_event: is told, a line each, of workers that died and were replaced.

    The constructor does not wait for the workers. Raises: RunError if Ray or a worker cannot start.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        n_workers: int,
        address: str | None = None,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        self._stop_ray = start_ray(n_workers, address)
        import ray

        self._ray = ray
        self._spec = spec
        self._on_event = on_event or (lambda message: None)
        # The nodes of a cluster are filled evenly.
        strategy = "SPREAD" if address else "DEFAULT"
        self._actor_class = ray.remote(_Actor).options(num_cpus=1, scheduling_strategy=strategy)
        self._workers = [_Worker(index) for index in range(n_workers)]
        self._tickets = Tickets(spec)
        # Under way: the worker and what it was given, None for its start; a worker's oldest first.
        self._calls: dict[Any, tuple[_Worker, Batch | None]] = {}
        self._pace: float | None = None  # seconds per rollout, a moving average
        for worker in self._workers:
            self._start(worker)

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """See Pool."""
        ticket = self._tickets.add(self._ray.put(snapshot), tasks)
        self._dispatch()
        return ticket

    def collect(self, ticket: int) -> list[Episode]:
        """See Pool. Tasks of other tickets go on meanwhile."""
        while not self._tickets.done(ticket):
            self._pump()
        return self._tickets.collect(ticket)

    def pids(self) -> list[int]:
        """The process ids of the workers that have started."""
        return [worker.pid for worker in self._workers if worker.pid]

    def close(self) -> None:
        """End the workers, and Ray with them if the pool started it; safe to call twice."""
        workers, self._workers = self._workers, []
        self._calls.clear()
        for worker in workers:
            self._kill(worker)
        self._stop_ray()

    def _start(self, worker: _Worker) -> None:
        worker.actor = self._actor_class.remote(self._spec)
        worker.pid = worker.n_calls = 0
        worker.tries += 1
        worker.started = time.monotonic()
        self._calls[worker.actor.start.remote()] = worker, None

    def _kill(self, worker: _Worker) -> None:
        if self._ray.is_initialized():
            self._ray.kill(worker.actor)  # a dead or never placed one is fine too

    def _pump(self) -> None:
        """Take in one answer, or wait a second for it; hand out what can be."""
        ready, _ = self._ray.wait(list(self._calls), timeout=1.0)
        if ready:
            self._settle(ready[0])
            self._dispatch()
        elif not self.pids():
            waited = time.monotonic() - max(worker.started for worker in self._workers)
            if waited > START_SECONDS:
                raise RunError(
                    f"no worker started within {START_SECONDS:.0f} s: no free CPU in the Ray "
                    "cluster, or the environment takes longer than that to construct"
                )

    def _settle(self, ref: Any) -> None:
        worker, batch = self._calls[ref]
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise RolloutError(f"worker {worker.index}: {one_line(error.cause)}") from None
        except self._ray.exceptions.RayError as error:
            self._lost(worker, error)
            return
        del self._calls[ref]
        if batch is None:
            self._started(worker, *answer)
        else:
            self._answered(worker, batch, *answer)

    def _started(self, worker: _Worker, pid: int, error: str | None) -> None:
        if error is None:
            worker.pid, worker.tries = pid, 0
        elif worker.tries < START_TRIES:
            self._kill(worker)
            self._start(worker)
        else:
            raise RunError(f"{self._spec.env_id}: a worker cannot start: {error}")

    def _answered(
        self,
        worker: _Worker,
        batch: Batch,
        seconds: float,
        results: Sequence[Episode | RolloutError],
    ) -> None:
        worker.n_calls -= 1
        pace = seconds / len(results)
        self._pace = pace if self._pace is None else self._pace + 0.3 * (pace - self._pace)
        self._tickets.answer(batch, results)
        errors = [result for result in results if isinstance(result, RolloutError)]
        if errors:  # that environment may be in any state: go on in a fresh process
            self._replace(worker, f"failed ({errors[0]})", len(errors))

    def _lost(self, worker: _Worker, error: Exception) -> None:
        if worker.pid == 0 and worker.tries >= START_TRIES:
            reason = str(error).strip().splitlines()[-1].strip()
            raise RunError(f"{self._spec.env_id}: a worker cannot start: {reason}") from None
        self._replace(worker, "died")

    def _replace(self, worker: _Worker, event: str, n_again: int = 0) -> None:
        """Start a worker afresh and put back what it had been given."""
        lost = [(ref, batch) for ref, (owner, batch) in self._calls.items() if owner is worker]
        # The oldest was running. The last to be put back is the first to go out again.
        for age, (ref, batch) in reversed(list(enumerate(lost))):
            del self._calls[ref]
            if batch is not None:
                n_again += self._tickets.put_back(batch, ran=age == 0)
        self._on_event(
            f"worker {worker.index} (pid {worker.pid or 'unknown'}) {event}; replaced, "
            f"{n_again} rollouts run again"
        )
        self._kill(worker)
        self._start(worker)

    def _dispatch(self) -> None:
        """Hand out waiting tasks: a call to each idle worker, then, where short, a second one."""
        short = self._pace is not None and self._pace < SHORT_CALL_SECONDS
        for n_calls in range(2 if short and not self._tickets.suspicious() else 1):
            for worker in self._workers:
                if worker.pid and worker.n_calls == n_calls and not self._hand_out(worker):
                    return

    def _hand_out(self, worker: _Worker) -> bool:
        """Give a worker the tasks that wait first; False if there are none."""
        n_tasks = 1 if self._pace is None else int(CALL_SECONDS / max(self._pace, 1e-6))
        batch = self._tickets.take(n_tasks, len(self._workers))
        if batch is None:
            return False
        self._calls[worker.actor.run.remote(batch.snapshot, batch.tasks)] = worker, batch
        worker.n_calls += 1
        return True


def default_workers() -> int:
    """The CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_ray(n_cpus: int, address: str | None = None) -> Callable[[], None]:
    """Start Ray here, or connect to a cluster's `address`; returns what undoes it.

    Does nothing where this process uses Ray already. Raises: RunError.
    """
    with _environment(_QUIET_ENVIRONMENT | (_local_environment() if address is None else {})):
        import ray

        if ray.is_initialized():
            return lambda: None
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
        if address is not None:
            # It tries for ever where the token is wrong or nobody answers.
            _, release = _in_thread(lambda: ray.init(address, **quiet), START_SECONDS)
            session = None
        else:
            context, release = _in_thread(
                lambda: ray.init(
                    "local",
                    num_cpus=n_cpus,
                    object_store_memory=100 << 20,  # bytes; snapshots and answers are kilobytes
                    include_dashboard=False,
                    **quiet,
                ),
                None,
            )
            session = context.address_info["session_dir"]

    def stop() -> None:
        if ray.is_initialized():
            ray.shutdown(wait_for_processes=session is not None)  # a cluster goes on
        release()
        if session is not None:
            shutil.rmtree(session, ignore_errors=True)

    return stop


_QUIET_ENVIRONMENT = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # or Ray reports a dead worker in a paragraph of its own
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or Ray warns of a change to come
}


def _in_thread(start: Callable[[], Any], seconds: float | None) -> tuple[Any, Callable[[], None]]:
    """What `start` returns in a thread of its own, and what lets that thread end.

    In the main thread Ray would take over SIGTERM, and exit on it with half of itself started.
    The thread lives on: the system ends the processes it started when it ends.
    Raises: RunError where `start` fails or does not return in time.
    """
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()
    released = threading.Event()

    def run() -> None:
        try:
            outcome.put(start())
        except BaseException as error:
            outcome.put(error)
        released.wait()

    threading.Thread(target=run, daemon=True).start()
    try:
        result = outcome.get(timeout=seconds)
    except queue.Empty:
        raise RunError("Ray does not answer, or refuses this machine's token") from None
    if isinstance(result, BaseException):
        released.set()
        raise RunError(f"Ray does not start: {one_line(result)}") from None
    return result, released.set


@functools.cache
def _token() -> str:
    # One for the life of the process: Ray keeps the first that it reads.
    return secrets.token_hex(32)


def _local_environment() -> dict[str, str]:
    """What Ray's processes inherit. The driver's own environment is as before afterwards."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _token(),
        # On Linux too, this binds every port to the loopback interface alone.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # Workers import whatever this process can, the module of the user's own world included.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
