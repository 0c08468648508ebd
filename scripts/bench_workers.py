"""Measure the overhead of the pool: workers through Ray, compared with bare processes.

    python scripts/bench_workers.py [--robot HalfCheetah] [--workers 2] [--directions 32]
        [--rounds 5]

Both run the same rollouts of the shipped policy (or from zero if there is none) and must give the
same returns. Each bare process runs its share of the tasks in a `LocalPool`. Their time is the mean
over the processes, as if they never waited for each other, which no pool can beat. The pool's time
runs from `submit` to the end of `collect`, including sending, waiting and the slowest worker. The
two take turns. Ray runs only during the pool's turn, and its start and a first batch are not timed.
Prints steps per second and the ratio (bare time / pool time) for each round, then medians.
Run it on an idle machine with as many cores as workers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ars.algorithms.ars import ARS
    from ars.rollout.task import RolloutSpec, Snapshot, Task

# Seconds, the return of each rollout, and the total number of steps.
TimedRound = tuple[float, list[float], int]


def make_algorithm(robot: str, directions: int) -> ARS:
    """Return ARS as `ars.train` would run it, starting from the shipped policy if there is one."""
    from ars.algorithms.ars import ARS, ARSConfig
    from ars.algorithms.base import TrainingContext
    from ars.common.errors import UsageError
    from ars.training.env_check import probe
    from ars.training.rebuild import chosen_policy

    found = probe(robot, {})
    context = TrainingContext(robot, found.observation_space, found.action_space)
    algorithm = ARS(ARSConfig(variant="v2", n_directions=directions), context)
    try:
        algorithm.start_from(chosen_policy(robot).file.policy)
    except UsageError as error:
        print(f"from zero: {error}", flush=True)
    return algorithm


def make_tasks(number: int, directions: int) -> list[Task]:
    """Return the tasks of a round: both signs of every direction."""
    from ars.common.seeding import Stream
    from ars.rollout.task import Task

    return [
        Task(Stream.TRAINING, number, index, sign)
        for index in range(directions)
        for sign in (1, -1)
    ]


def play_bare(pipe: Connection, spec: RolloutSpec) -> None:
    """Run the tasks received through a pipe until None is received (in a bare process)."""
    from ars.rollout.pool import LocalPool

    with closing(LocalPool(spec)) as pool:
        while (request := pipe.recv()) is not None:
            snapshot, tasks = request
            began = time.perf_counter()
            episodes = pool.collect(pool.submit(snapshot, tasks))
            seconds = time.perf_counter() - began
            returns = [episode.total_reward for episode in episodes]
            pipe.send((seconds, returns, sum(episode.length for episode in episodes)))


class Bare:
    """Parallel processes without Ray."""

    def __init__(self, spec: RolloutSpec, n_processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        for _ in range(n_processes):
            ours, theirs = context.Pipe()
            context.Process(target=play_bare, args=(theirs, spec), daemon=True).start()
            self._pipes.append(ours)

    def play(self, snapshot: Snapshot, tasks: Sequence[Task]) -> TimedRound:
        """Give every n-th task to each process; the seconds are the mean over the processes."""
        n = len(self._pipes)
        for number, pipe in enumerate(self._pipes):
            pipe.send((snapshot, tasks[number::n]))
        timings: list[TimedRound] = [pipe.recv() for pipe in self._pipes]
        returns = [0.0] * len(tasks)
        for number, timing in enumerate(timings):
            returns[number::n] = timing[1]
        seconds = statistics.mean(timing[0] for timing in timings)
        return seconds, returns, sum(timing[2] for timing in timings)

    def close(self) -> None:
        """Let the processes end."""
        for pipe in self._pipes:
            pipe.send(None)


def play_pool(
    spec: RolloutSpec, n_workers: int, snapshot: Snapshot, warm: Sequence[Task], tasks: list[Task]
) -> TimedRound:
    """Start Ray, wait for all workers, run a first batch, then time the tasks."""
    from ars.distributed.pool import RayPool

    with closing(RayPool(spec, n_workers)) as pool:
        while len(pool.pids()) < n_workers:
            pool.collect(pool.submit(snapshot, warm[:1]))
        pool.collect(pool.submit(snapshot, warm))
        began = time.perf_counter()
        episodes = pool.collect(pool.submit(snapshot, tasks))
        seconds = time.perf_counter() - began
    returns = [episode.total_reward for episode in episodes]
    return seconds, returns, sum(episode.length for episode in episodes)


def main() -> None:
    """Print each round and the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--robot", default="HalfCheetah")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--directions", type=int, default=32, help="of a round, two rollouts each")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    algorithm = make_algorithm(arguments.robot, arguments.directions)
    spec, snapshot = algorithm.rollout_spec, algorithm.snapshot()
    warm = make_tasks(0, 2 * arguments.workers)
    speeds: list[tuple[float, float]] = []
    with closing(Bare(spec, arguments.workers)) as bare:
        bare.play(snapshot, warm)
        for number in range(1, arguments.rounds + 1):
            tasks = make_tasks(number, arguments.directions)
            theirs = bare.play(snapshot, tasks)
            ours = play_pool(spec, arguments.workers, snapshot, warm, tasks)
            if ours[1:] != theirs[1:]:
                sys.exit("error: the pool's returns differ from those of the bare processes")
            speeds.append((ours[2] / ours[0], theirs[2] / theirs[0]))
            print(f"round {number}: {report(*speeds[-1])}", flush=True)
    mine, bare_speed = (statistics.median(column) for column in zip(*speeds, strict=True))
    ratio = statistics.median(a / b for a, b in speeds)
    print(f"median: pool {mine:,.0f}, bare {bare_speed:,.0f} steps/s, ratio {ratio:.3f}")


def report(ours: float, theirs: float) -> str:
    """Return the line of a round, or of the medians."""
    return f"pool {ours:,.0f}, bare {theirs:,.0f} steps/s, ratio {ours / theirs:.3f}"


if __name__ == "__main__":
    main()
