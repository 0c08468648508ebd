"""How fast linear ARS trains HalfCheetah, beside sb3-contrib's ARS on the reference port.

    python scripts/bench_training.py [--rounds 5] [--iterations 4] [--directions 8]

Both play the same number of directions, both signs of each, 1000 steps an episode, on two
processes: ours through Ray on our HalfCheetah, theirs (LinearPolicy, VecNormalize, AsyncEval with
two processes) on HalfCheetahBulletEnv-v0 of `pybullet_envs_gymnasium`. They take turns; each turn
is a fresh process whose first iteration, and all of its start-up, is off the clock. Prints steps
a second, medians over the rounds, and the ratio round by round.
Needs the peer: pip install -e ".[bench]"
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EPISODE_STEPS = 1000
PEER_WORLD = "pybullet_envs_gymnasium:HalfCheetahBulletEnv-v0"


def ours(iterations: int, directions: int) -> float:
    """Steps a second of `python -m ars.train`, read from its own log."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["HalfCheetah", "--n-workers", "2", "--n-iterations", iterations + 1]
        words += ["--n-directions", directions, "--run-dir", run]
        # The only evaluation runs beside the first iteration.
        words += ["--eval-freq", 10**6, "--eval-episodes", 1]
        command = [sys.executable, "-m", "ars.train", *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = list(csv.DictReader((run / "progress.csv").read_text().splitlines()))
    first, last = rows[0], rows[-1]
    steps = int(last["timesteps"]) - int(first["timesteps"])
    # From row to row, so that the update and the logs are on the clock too.
    return steps / (float(last["time_seconds"]) - float(first["time_seconds"]))


def theirs(iterations: int, directions: int) -> float:
    """Steps a second of sb3-contrib's ARS, in a process of its own."""
    words = ["--peer", "--iterations", str(iterations), "--directions", str(directions)]
    done = subprocess.run(
        [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def run_peer(iterations: int, directions: int) -> float:
    """Train with sb3-contrib here; returns steps a second."""
    import gymnasium
    from sb3_contrib import ARS
    from sb3_contrib.common.vec_env import AsyncEval
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    def make() -> VecNormalize:
        env = DummyVecEnv([lambda: gymnasium.make(PEER_WORLD)])
        return VecNormalize(env, norm_reward=False)

    class Clock(BaseCallback):
        """Notes when each iteration's rollouts are in."""

        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            self.times.append(time.perf_counter())

    model = ARS("LinearPolicy", make(), n_delta=directions, n_top=directions, seed=0)
    pool, clock = AsyncEval([make, make], model.policy), Clock()
    steps = 2 * directions * EPISODE_STEPS
    model.learn((iterations + 1) * steps, callback=clock, async_eval=pool)
    if model.num_timesteps != len(clock.times) * steps:
        sys.exit("error: the peer's episodes were not all of 1000 steps; nothing to compare")
    return iterations * steps / (clock.times[iterations] - clock.times[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--directions", type=int, default=8)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(run_peer(args.iterations, args.directions)))
        return
    rows = []
    for number in range(args.rounds):
        pair = ours(args.iterations, args.directions), theirs(args.iterations, args.directions)
        rows.append(pair)
        print(
            f"round {number + 1}: ours {pair[0]:,.0f} steps/s, sb3-contrib {pair[1]:,.0f} steps/s, "
            f"ratio {pair[0] / pair[1]:.2f}",
            flush=True,
        )
    mine, peer = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(a / b for a, b in rows)
    print(f"median: ours {mine:,.0f}, sb3-contrib {peer:,.0f} steps/s; median ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
