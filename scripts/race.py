"""Race this toolkit and Stable-Baselines3 to a return, each with the best settings that it has.

    python scripts/race.py [--only Hopper ...] [--seeds 0 1] [--minutes 5] [--runs runs/race]

On each robot run this toolkit's presets of ARS and PPO, sb3-contrib's ARS and Stable-Baselines3's
PPO with the tuned settings of RL Baselines3 Zoo (hyperparams/ars.yml and ppo.yml, same robots, of
`pybullet_envs_gymnasium`). Each has one core and so many minutes, its own evaluations included:
five episodes about every 20,000 steps there, what the preset says here. Contestants of one robot
and seed start one after the other in turns, ours first for even seeds. Prints, for each, after how
many seconds an evaluation first reached the return, or the best one when time was up; then a table.
What has ended is kept in the folder: stopped, the same command goes on with the others.

Needs Stable-Baselines3: pip install -e ".[bench]"
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from outcomes.peer import run_again

from policies.file import write_atomically

TARGETS = {"Hopper": 2000.0, "HalfCheetah": 1200.0, "Ant": 1500.0}
EPISODES, EVERY = 5, 20_000  # of Stable-Baselines3's evaluations


class Contestant(NamedTuple):
    """A toolkit and an algorithm."""

    toolkit: str
    algo: str


CONTESTANTS = (
    Contestant("ours", "ars"),
    Contestant("Stable-Baselines3", "ars"),
    Contestant("ours", "ppo"),
    Contestant("Stable-Baselines3", "ppo"),
)

# hyperparams/ars.yml; the policy's kind, its hidden layers, then the rest.
_ARS: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "HalfCheetah": (
        "MlpPolicy",
        [64, 64],
        {"learning_rate": 0.02, "delta_std": 0.03, "n_delta": 8, "n_top": 8, "zero_policy": False},
    ),
    "Ant": (
        "MlpPolicy",
        [128, 64],
        {"learning_rate": 0.02, "delta_std": 0.03, "n_delta": 32, "zero_policy": False},
    ),
    "Hopper": (
        "LinearPolicy",
        [],
        {
            "learning_rate": 0.01,
            "delta_std": 0.025,
            "n_delta": 8,
            "n_top": 4,
            "alive_bonus_offset": -1,
        },
    ),
}


class Over(Exception):
    """The race is over for one; sb3-contrib's ARS does not end where a callback says so."""


class Finish(NamedTuple):
    """How a race ended for one: seconds and steps to the target, or to the end, and the best."""

    reached: bool
    seconds: float
    steps: int
    best: float

    def __str__(self) -> str:
        if self.reached:
            return f"{self.seconds:.0f} s ({self.steps / 1000:,.0f}k steps)"
        return f"not in {self.seconds:.0f} s: {self.best:,.0f} ({self.steps / 1000:,.0f}k steps)"


def ours(robot: str, algo: str, seed: int, minutes: float, folder: Path) -> Finish:
    """Train with this toolkit's preset until the target or the end."""
    words = [robot, "--algo", algo, "--seed", seed, "--n-workers", 0, "--run-dir", folder]
    words += ["--target-return", TARGETS[robot], "--time-budget", f"{round(60 * minutes)}s"]
    command = [sys.executable, "-m", "ars.train", *map(str, words)]
    shutil.rmtree(folder, ignore_errors=True)  # one that was stopped: a race has no second half
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=one_thread())
    rows = list(csv.DictReader((folder / "evaluations.csv").read_text().splitlines()))
    best = max(float(row["return_mean"]) for row in rows)
    reached = [row for row in rows if float(row["return_mean"]) >= TARGETS[robot]]
    last = reached[0] if reached else rows[-1]
    seconds = float(last["time_seconds"]) if reached else 60 * minutes
    return Finish(bool(reached), seconds, int(last["timesteps"]), best)


def theirs(robot: str, algo: str, seed: int, minutes: float) -> Finish:
    """Train with Stable-Baselines3, in a process of its own."""
    words = [robot, algo, seed, "--minutes", minutes]
    return Finish(*run_again(__file__, words, one_thread()))


def one_thread() -> dict[str, str]:
    """The environment of a process whose libraries use one thread, as networks this small want."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run_peer(robot: str, algo: str, seed: int, minutes: float) -> Finish:
    """Train with Stable-Baselines3 in this process."""
    import pybullet_envs_gymnasium  # noqa: F401  which registers its robots
    from sb3_contrib import ARS
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecNormalize, sync_envs_normalization
    from torch import nn

    env_id = f"{robot}BulletEnv-v0"
    n_envs = 16 if algo == "ppo" else 1
    env = VecNormalize(make_vec_env(env_id, n_envs, seed=seed), norm_reward=algo == "ppo")
    held_out = make_vec_env(env_id, 1, seed=seed + 1000)
    eval_env = VecNormalize(held_out, training=False, norm_reward=False)

    class Referee(BaseCallback):  # type: ignore[misc]
        """Evaluates now and then, and ends the race."""

        best = -float("inf")
        due = 0
        finish: Finish | None = None

        def _on_training_start(self) -> None:
            self.start = time.perf_counter()

        def _on_step(self) -> bool:
            if self.num_timesteps >= self.due:
                self.due = self.num_timesteps + EVERY
                sync_envs_normalization(self.training_env, eval_env)
                found, _ = evaluate_policy(self.model, eval_env, EPISODES, warn=False)
                self.best = max(self.best, found)
            seconds = time.perf_counter() - self.start
            reached = self.best >= TARGETS[robot]
            if reached or seconds > 60 * minutes:
                self.finish = Finish(bool(reached), seconds, self.num_timesteps, float(self.best))
                raise Over
            return True

    referee = Referee()
    if algo == "ars":
        kind, hidden, settings = _ARS[robot]
        policy: dict[str, Any] = {"net_arch": hidden} if hidden else {}
        model: Any = ARS(kind, env, policy_kwargs=policy, seed=seed, **settings)
    else:
        clip = 0.4
        model = PPO(
            "MlpPolicy",
            env,
            n_steps=512,
            batch_size=128,
            n_epochs=20,
            gae_lambda=0.9,
            use_sde=True,
            sde_sample_freq=4,
            learning_rate=3e-5,
            clip_range=(lambda left: clip * left) if robot == "Hopper" else clip,
            policy_kwargs={
                "log_std_init": -1 if robot == "Ant" else -2,
                "ortho_init": False,
                "activation_fn": nn.ReLU,
                "net_arch": {"pi": [256, 256], "vf": [256, 256]},
            },
            seed=seed,
            device="cpu",
        )
    with contextlib.suppress(Over):
        model.learn(75_000_000 if algo == "ars" else 2_000_000, callback=referee)
    assert referee.finish is not None
    return referee.finish


def main() -> None:
    """Run what has not been run, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--runs", type=Path, default=Path("runs/race"))
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer is not None:
        robot, algo, seed = args.peer
        print(json.dumps(run_peer(robot, algo, int(seed), args.minutes)))
        return
    args.runs.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, Contestant], list[Finish]] = {}
    for robot in args.only:
        for seed in args.seeds:
            for one in CONTESTANTS if seed % 2 == 0 else CONTESTANTS[::-1]:
                name = f"{robot}-{one.toolkit}-{one.algo}-s{seed}-{args.minutes:g}min"
                kept = args.runs / f"{name}.json"
                if not kept.exists():
                    run = (
                        ours(robot, one.algo, seed, args.minutes, args.runs / name)
                        if one.toolkit == "ours"
                        else theirs(robot, one.algo, seed, args.minutes)
                    )
                    write_atomically(kept, json.dumps(run).encode())
                finish = Finish(*json.loads(kept.read_text()))
                found.setdefault((robot, one), []).append(finish)
                print(f"{robot}, seed {seed}, {one.toolkit} {one.algo}: {finish}", flush=True)
    print("\n| robot, return | toolkit, algorithm | of each seed |\n| --- | --- | --- |")
    for (robot, one), finishes in found.items():
        words = "; ".join(map(str, finishes))
        print(f"| {robot}, {TARGETS[robot]:,.0f} | {one.toolkit}, {one.algo} | {words} |")


if __name__ == "__main__":
    main()
