"""Check that memory stays flat over many resets and steps of every robot in one process.

    python scripts/soak.py [--robots HalfCheetah Ant] [--resets 100000] [--steps 10000000]

Resets and steps are divided equally among the robots. Half of the steps are run by the compiled
loop, if there is one, and the other half by the Python environment; actions are random. Each robot
has one environment for the whole run, and every thousandth reset makes and closes another one.
Prints the process's resident memory at ten points of the run. The exit status is 1 if it grows by
more than 8 MiB after the first of them.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np

import envs

POINTS = 10
ALLOWED_GROWTH = 8.0  # MiB


def resident() -> float:
    """Return this process's resident memory in MiB. Raises: OSError if there is no /proc.

    First, freed memory is returned to the system. glibc keeps some of it, sometimes the 28 MiB of a
    whole simulation, and counting it would hide a leak or show one that does not exist.
    """
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


class SoakedRobot:
    """A robot's environment, its compiled player, and an iterator over unused seeds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.env = envs.make(name)
        self.seeds = itertools.count()
        self.resets = itertools.count(1)
        self.player, _ = envs.accelerate(self.env)
        self.rng = np.random.default_rng(0)

    def reset(self, count: int) -> None:
        """Reset `count` times."""
        for seed in itertools.islice(self.seeds, count):
            self.env.reset(seed=seed)
            if next(self.resets) % 1000 == 0:
                other = envs.make(self.name)
                other.reset(seed=seed)
                other.close()

    def step(self, count: int) -> tuple[int, int]:
        """Run `count` steps or slightly more; return the numbers of steps and resets."""
        if self.player is not None:
            halves = [self._play_compiled(count // 2), self._play_plain(count // 2)]
        else:
            halves = [self._play_plain(count)]
        steps, resets = zip(*halves, strict=True)
        return sum(steps), sum(resets)

    def _play_compiled(self, count: int) -> tuple[int, int]:
        assert self.player is not None
        n_obs, n_act = self.env.observation_space.shape[0], self.env.action_space.shape[0]  # type: ignore[index]
        steps = resets = 0
        while steps < count:
            weights = self.rng.normal(0.0, 0.1, n_obs * n_act)
            policy = self.player.lay_out_policy(weights, (n_obs, n_act), bias=False)
            found: Any = (np.zeros(n_obs), np.zeros(n_obs))
            steps += self.player.play(policy, next(self.seeds), 1000, statistics=found)[2]
            resets += 1
        return steps, resets

    def _play_plain(self, count: int) -> tuple[int, int]:
        resets, over = 0, True
        for _ in range(count):
            if over:
                self.env.reset(seed=next(self.seeds))
                resets += 1
            action = self.rng.uniform(-1.0, 1.0, self.env.action_space.shape).astype(np.float32)
            _, _, terminated, truncated, _ = self.env.step(action)
            over = terminated or truncated
        return count, resets


def main() -> int:
    """Print memory during the run; return 1 if it grows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [row.name for row in envs.table() if row.id.startswith("bullet/")]
    parser.add_argument("--robots", nargs="+", choices=names, default=names)
    parser.add_argument("--resets", type=int, default=100_000, help="at least")
    parser.add_argument("--steps", type=int, default=10_000_000, help="at least")
    arguments = parser.parse_args()
    robots = [SoakedRobot(name) for name in arguments.robots]
    shares = POINTS * len(robots)
    sizes = []
    steps = resets = 0
    for _ in range(POINTS):
        for robot in robots:
            share = -(-arguments.resets // shares)
            robot.reset(share)
            counts = robot.step(-(-arguments.steps // shares) + 1)
            steps, resets = steps + counts[0], resets + share + counts[1]
        sizes.append(resident())
        print(f"{steps:12,} steps  {resets:9,} resets  {sizes[-1]:8.1f} MiB", flush=True)
    growth = sizes[-1] - sizes[0]
    print(f"growth after the first point: {growth:+.1f} MiB (allowed {ALLOWED_GROWTH:.0f})")
    return int(growth > ALLOWED_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
