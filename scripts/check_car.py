"""Does a policy drive the obstacle car well, and not in circles?

    python -m ars.train ObstacleCar --algo dqn --n-seeds 3 --run-dir runs/car/dqn
    python scripts/check_car.py runs/car

Plays the best policy of every run in the folders and, beside them, a driver who steers at random
and one who always steers left. Prints a row for each, means over the episodes: their length, how
many times that of the random driver's it is, the return, the stations reached, the distinct cells
visited and how close the car came to a wall. Exits with 1 if a policy's episodes are not five times
as long as the random driver's, or if it visits fewer than five times the cells of the smallest
circle.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.car import HEADINGS
from policies import load_policy

LONGER = 5.0
COLUMNS = ("return", "stations", "cells", "nearest wall")


def play(act: Callable[[Any], Any], episodes: int) -> tuple[float, ...]:
    """Means over episodes: length, return, and what `info` tells at the end."""
    env, rows = envs.make("ObstacleCar"), []
    for seed in range(episodes):
        obs, _ = env.reset(seed=seed)
        length, total, over = 0, 0.0, False
        while not over:
            obs, reward, terminated, truncated, info = env.step(act(obs))
            length, total, over = length + 1, total + float(reward), terminated or truncated
        rows.append((length, total, info["stations"], info["cells"], info["nearest_wall"]))
    env.close()
    return tuple(float(column) for column in np.mean(rows, axis=0))


def main() -> None:
    """Play, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="*", type=Path, help="folders with runs on ObstacleCar")
    parser.add_argument("--episodes", type=int, default=100)
    args = parser.parse_args()

    def row(name: str, length: float, *others: float) -> None:
        told = " | ".join(f"{value:.1f}" for value in others)
        print(f"| {name} | {length:.1f} | {length / randomly[0]:.1f} | {told} |", flush=True)

    rng = np.random.default_rng(0)
    randomly = play(lambda obs: int(rng.integers(3)), args.episodes)
    print(f"| driver | length | times random | {' | '.join(COLUMNS)} |")
    print("|---" * (3 + len(COLUMNS)) + "|")
    row("at random", *randomly)
    row("always left", *play(lambda obs: 1, args.episodes))
    bad = []
    for folder in args.folder:
        paths = sorted(folder.rglob("best_policy.safetensors"))
        if not paths:
            sys.exit(f"{folder}: no policy is below it")
        for path in paths:
            found = play(load_policy(path).act, args.episodes)
            row(str(path.parent), *found)
            if found[0] < LONGER * randomly[0] or found[3] < LONGER * HEADINGS:
                bad.append(str(path.parent))
    if bad:
        sys.exit(f"not good enough: {', '.join(bad)}")


if __name__ == "__main__":
    main()
