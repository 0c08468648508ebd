"""Compare the speed of linear ARS on HalfCheetah with sb3-contrib's ARS on the reference robot.

    python scripts/bench_training.py [--rounds 5] [--iterations 4] [--directions 8]

Both play the same number of directions, both signs of each, with 1000 steps per episode, on two
processes and with the same step size and noise. This toolkit uses Ray and its own HalfCheetah;
sb3-contrib uses LinearPolicy, VecNormalize, AsyncEval with two processes, and
HalfCheetahBulletEnv-v0 of `pybullet_envs_gymnasium`. Training starts from zero, where robots lie on
the floor and contacts make the physics slow on both sides, and from the shipped policy, as later in
training. The two sides take turns. Each turn is a fresh process, and its start-up and first
iteration are not timed. Prints steps per second and the ratio for each round, then medians.
Needs sb3-contrib: pip install -e ".[bench]"
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

from outcomes.peer import run_again

EPISODE_STEPS = 1000
PEER_ENV = "pybullet_envs_gymnasium:HalfCheetahBulletEnv-v0"
STEP_SIZE, DELTA_STD = 0.02, 0.03
STARTS = {"from zero": None, "from a trained policy": "HalfCheetah"}


def ours(iterations: int, directions: int, start: str | None) -> float:
    """Return the steps per second of `python -m ars.train`, from its log."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["HalfCheetah", "--n-workers", "2", "--n-iterations", iterations + 1]
        words += ["--n-directions", directions, "--run-dir", run, "--variant", "v2"]
        words += ["--rollout-length", EPISODE_STEPS]
        words += ["--step-size", STEP_SIZE, "--delta-std", DELTA_STD]
        words += ["--init-from", start] if start else []
        # The only evaluation runs beside the first iteration.
        words += ["--eval-freq", 10**6, "--eval-episodes", 1]
        command = [sys.executable, "-m", "ars.train", *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = list(csv.DictReader((run / "progress.csv").read_text().splitlines()))
    first, last = rows[0], rows[-1]
    steps = int(last["timesteps"]) - int(first["timesteps"])
    # From row to row, so that the update and logging are timed too.
    return steps / (float(last["time_seconds"]) - float(first["time_seconds"]))


def theirs(iterations: int, directions: int, start: str | None) -> float:
    """Return the steps per second of sb3-contrib's ARS, run in a separate process."""
    words = [start or "", "--iterations", iterations, "--directions", directions]
    return float(run_again(__file__, words))


def run_peer(iterations: int, directions: int, start: str) -> float:
    """Train with sb3-contrib in this process; return the steps per second."""
    import gymnasium
    import torch
    from sb3_contrib import ARS
    from sb3_contrib.common.vec_env import AsyncEval
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    from ars.training.rebuild import chosen_policy

    policy = chosen_policy(start).file.policy if start else None

    def make() -> VecNormalize:
        env = DummyVecEnv([lambda: gymnasium.make(PEER_ENV)])
        normalized = VecNormalize(env, norm_reward=False)
        if policy is not None and policy.normalizer is not None:
            known = policy.normalizer
            normalized.obs_rms.mean, normalized.obs_rms.var = known.mean, known.std**2
            normalized.obs_rms.count = known.count
        return normalized

    class RolloutTimes(BaseCallback):  # type: ignore[misc]
        """Notes the time at the end of each iteration's rollouts."""

        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            self.times.append(time.perf_counter())

    sizes = {"n_delta": directions, "n_top": directions, "learning_rate": STEP_SIZE}
    model = ARS("LinearPolicy", make(), delta_std=DELTA_STD, seed=0, **sizes)
    if policy is not None:
        model.weights = torch.tensor(policy.weights, dtype=model.weights.dtype)
    pool, rollouts = AsyncEval([make, make], model.policy), RolloutTimes()
    steps = 2 * directions * EPISODE_STEPS
    model.learn((iterations + 1) * steps, callback=rollouts, async_eval=pool)
    if model.num_timesteps != len(rollouts.times) * steps:
        sys.exit("error: the peer's episodes were not all of 1000 steps; nothing to compare")
    return iterations * steps / (rollouts.times[iterations] - rollouts.times[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--directions", type=int, default=8)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer is not None:
        print(json.dumps(run_peer(args.iterations, args.directions, args.peer)))
        return
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in STARTS}
    for number in range(args.rounds):
        for name, start in STARTS.items():
            case = args.iterations, args.directions, start
            pair = ours(*case), theirs(*case)
            rows[name].append(pair)
            print(f"round {number + 1}, {name}: {report(*pair, pair[0] / pair[1])}", flush=True)
    for name, pairs in rows.items():
        mine, peer = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"median, {name}: {report(mine, peer, ratio)}")


def report(ours: float, theirs: float, ratio: float) -> str:
    """Return the numbers of one line of the report."""
    return f"ours {ours:,.0f}, sb3-contrib {theirs:,.0f} steps/s, ratio {ratio:.2f}"


if __name__ == "__main__":
    main()
