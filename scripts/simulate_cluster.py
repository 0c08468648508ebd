"""Measure how many workers one driver can serve: the real trainer, pool and Ray; workers sleep.

    python scripts/simulate_cluster.py [--workers 16 64] [--directions 320] [--seconds 0.2]
        [--spread 0.5] [--iterations 3] [--eval-episodes 10]

An episode is one step that sleeps for `--seconds` or, with `--spread`, for a lognormal time with
that mean and a standard deviation of the logarithm of `--spread`, depending only on the reset seed.
Observations and actions have Humanoid's sizes. Start-up and the first iteration are not timed, and
neither is the only evaluation, unless `--eval-episodes` asks for one beside every iteration. Prints
for each number of workers:

efficiency   ideal time of an iteration over its real time, from log row to log row. The ideal is
             the minimum for any schedule: the sleeps divided evenly, but at least the longest one,
             and at least the shortest whole waves (10 for 640 rollouts on 64 workers)
driver busy  CPU seconds per second of the driver's process, including Ray's threads in it
CPU ms       CPU time of the pool per rollout, part of the above
worker ms    CPU time of the workers' processes per rollout, including the rollout
snapshot     pickled bytes of weights and normaliser
task, answer pickled bytes per rollout, to the worker and back
sent, received  bytes on the driver's TCP connections per rollout, including all that Ray adds
             (measured by `ss`; 0 if it is missing)

Everything runs on this machine, whose cores also start, wake and serve the workers. With more
workers than the machine can carry, the numbers show the limits of the simulation, not of the
driver. Each worker takes about 100 MB of memory.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import pickle
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from ars.training.display import Silent

if TYPE_CHECKING:
    from ars.algorithms.ars import ARS
    from ars.distributed.pool import RayPool
    from ars.rollout.task import RolloutSpec

ENV_ID = f"{Path(__file__).stem}:Sleep-v0"
OBSERVATION = gymnasium.spaces.Box(-math.inf, math.inf, (44,), np.float64)
ACTION = gymnasium.spaces.Box(-1.0, 1.0, (17,), np.float32)


def sleep_seconds(seed: int, mean: float, spread: float) -> float:
    """Return how long the episode with a reset seed sleeps."""
    if spread == 0.0:
        return mean
    rng = np.random.default_rng(seed)
    return mean * float(rng.lognormal(-0.5 * spread * spread, spread))


class Sleep(gymnasium.Env[Any, Any]):
    """One step that sleeps; its return depends on the action and on the seed."""

    observation_space = OBSERVATION
    action_space = ACTION

    def __init__(self, seconds: float, spread: float) -> None:
        self._mean, self._spread = seconds, spread
        self._seconds = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        assert seed is not None
        self._seconds = sleep_seconds(seed, self._mean, self._spread)
        return self.np_random.standard_normal(OBSERVATION.shape), {}

    def step(self, action: Any) -> Any:
        time.sleep(self._seconds)
        obs = self.np_random.standard_normal(OBSERVATION.shape)
        return obs, float(action.sum()), True, False, {}


gymnasium.register("Sleep-v0", Sleep)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Mark:
    """Time and CPU time used by the end of an iteration."""

    seconds: float
    pool_seconds: float
    process_seconds: float
    worker_seconds: float
    n_answered: int


class Marks(Silent):
    """A display that records the ends of the first and last iteration, and prints only events."""

    def __init__(self, n_iterations: int) -> None:
        self._n_iterations = n_iterations
        self.pool: RayPool | None = None
        self.first = self.last = Mark(0.0, 0.0, 0.0, 0.0, 0)
        self.bytes_before = self.bytes_after = (0, 0)

    def progress(self, row: dict[str, Any]) -> None:
        """Record the end of an iteration; counting bytes is not timed."""
        if row["iteration"] == 1:
            self.bytes_before = tcp_bytes()
            self.first = self._mark()
        elif row["iteration"] == self._n_iterations:
            self.last = self._mark()
            self.bytes_after = tcp_bytes()

    def _mark(self) -> Mark:
        assert self.pool is not None
        return Mark(
            time.perf_counter(),
            self.pool.cpu_seconds,
            time.process_time(),
            cpu_seconds(self.pool.pids()),
            self.pool.n_answered,
        )

    def notify(self, message: str) -> None:
        """Print events: a late or lost worker would spoil the measurement."""
        print(message, flush=True)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time that some processes have used so far; 0 if there is no /proc."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def tcp_bytes() -> tuple[int, int]:
    """Return the bytes sent and received so far on this process's open TCP connections."""
    if shutil.which("ss") is None:
        return 0, 0
    done = subprocess.run(["ss", "-tinpHO"], capture_output=True, text=True, check=True)
    ours = [line for line in done.stdout.splitlines() if f"pid={os.getpid()}," in line]

    def total(name: str) -> int:
        return sum(int(n) for line in ours for n in re.findall(rf"\b{name}:(\d+)", line))

    return total("bytes_sent"), total("bytes_received")


def ideal_seconds(sleeps: Sequence[float], n_workers: int) -> float:
    """Return a lower bound on the time that any schedule needs."""
    # Some worker runs at least `waves` rollouts, at best those with the shortest sleeps.
    waves = math.ceil(len(sleeps) / n_workers)
    return max(sum(sleeps) / n_workers, max(sleeps), sum(sorted(sleeps)[:waves]))


def wait_for_workers(pool: RayPool, algorithm: ARS, n_workers: int) -> None:
    """Run rollouts until all workers have started."""
    from ars.common.seeding import Stream
    from ars.rollout.task import Task

    tasks = [Task(Stream.EVALUATION, 0, index) for index in range(n_workers)]
    while len(pool.pids()) < n_workers:
        pool.collect(pool.submit(algorithm.snapshot(), tasks[:1]))
    pool.collect(pool.submit(algorithm.snapshot(), tasks))  # each has played once


def simulate(arguments: argparse.Namespace, n_workers: int) -> dict[str, float]:
    """Train for some iterations; return a row of the table."""
    from ars.algorithms.ars import ARS, ARSConfig
    from ars.algorithms.base import TrainingContext
    from ars.common.interrupts import Interrupts
    from ars.distributed.pool import RayPool
    from ars.training.config import RunConfig
    from ars.training.trainer import Trainer

    n_iterations = arguments.iterations + 1
    marks, interrupts = Marks(n_iterations), Interrupts()
    env_kwargs = {"seconds": arguments.seconds, "spread": arguments.spread}
    context = TrainingContext(ENV_ID, OBSERVATION, ACTION, env_kwargs, notify=marks.notify)
    algorithm = ARS(ARSConfig(n_directions=arguments.directions, rollout_length=1), context)
    evaluating = arguments.eval_episodes > 0
    config = RunConfig(
        n_iterations=n_iterations,
        eval_freq=1 if evaluating else n_iterations,
        eval_episodes=arguments.eval_episodes or 1,
    )
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        interrupts.handled(),
        contextlib.closing(
            RayPool(algorithm.rollout_spec, n_workers, on_event=marks.notify)
        ) as pool,
    ):
        marks.pool = pool
        wait_for_workers(pool, algorithm, n_workers)
        started = time.perf_counter() - began
        trainer = Trainer(algorithm, pool, interrupts, Path(folder), config, marks, {}, {})
        trainer.run()
    first, last = marks.first, marks.last
    n_answered = last.n_answered - first.n_answered
    seconds = last.seconds - first.seconds
    ideal = ideal_training(algorithm.rollout_spec, arguments, n_workers)
    return {
        "workers": n_workers,
        "start s": started,
        "iteration s": seconds / arguments.iterations,
        "ideal s": ideal / arguments.iterations,
        "efficiency": ideal / seconds,
        "directions/s": arguments.directions * arguments.iterations / seconds,
        "driver busy": (last.process_seconds - first.process_seconds) / seconds,
        "CPU ms": 1e3 * (last.pool_seconds - first.pool_seconds) / n_answered,
        "worker ms": 1e3 * (last.worker_seconds - first.worker_seconds) / n_answered,
        **pickled_bytes(algorithm),
        "sent": (marks.bytes_after[0] - marks.bytes_before[0]) / n_answered,
        "received": (marks.bytes_after[1] - marks.bytes_before[1]) / n_answered,
    }


def ideal_training(spec: RolloutSpec, arguments: argparse.Namespace, n_workers: int) -> float:
    """Return the ideal seconds of all timed iterations."""
    from ars.common.seeding import Stream
    from ars.rollout.task import Task, task_seed

    total = 0.0
    for iteration in range(1, arguments.iterations + 1):
        tasks = [Task(Stream.EVALUATION, 0, index) for index in range(arguments.eval_episodes)]
        for index in range(arguments.directions):
            tasks += [Task(Stream.TRAINING, iteration, index, sign) for sign in (1, -1)]
        seeds = [task_seed(spec, task) for task in tasks]
        sleeps = [sleep_seconds(seed, arguments.seconds, arguments.spread) for seed in seeds]
        total += ideal_seconds(sleeps, n_workers)
    return total


def pickled_bytes(algorithm: ARS) -> dict[str, float]:
    """Return the pickled sizes of a snapshot, of a task, and of the answer to a task."""
    from ars.common.seeding import Stream
    from ars.rollout.episode import Episode
    from ars.rollout.task import Task

    episode = Episode(1.0, 1.0, 1, algorithm.statistics)
    objects = {
        "snapshot": algorithm.snapshot(),
        "task": [Task(Stream.TRAINING, 1, 1, 1)],
        "answer": (1.0, [episode]),
    }
    return {name: len(pickle.dumps(value, protocol=5)) for name, value in objects.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--directions", type=int, default=320, help="two rollouts each")
    parser.add_argument("--seconds", type=float, default=0.2, help="of a rollout")
    parser.add_argument("--spread", type=float, default=0.0)
    parser.add_argument("--iterations", type=int, default=3, help="on the clock")
    parser.add_argument("--eval-episodes", type=int, default=0, help="beside each iteration")
    arguments = parser.parse_args()
    for number, n_workers in enumerate(arguments.workers):
        row = simulate(arguments, n_workers)
        if number == 0:
            print("  ".join(f"{name:>12}" for name in row))
        cells = [f"{value:12,.0f}" if value >= 1e2 else f"{value:12.3g}" for value in row.values()]
        print("  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
