"""Compare the training speed of the deep baselines with Stable-Baselines3 at the same settings.

    python scripts/bench_baselines.py [--rounds 5] [--only "a2c CartPole-v1" ...] [--share 1.0]

Both sides have the same network, hyperparameters and number of environments, and do the same work:
acting, stepping and learning. On CartPole-v1 (DQN, A2C, PPO) both step Gymnasium's environment. PPO
on HalfCheetah is run in two pairings: each toolkit with its own robot (this toolkit's, and
HalfCheetahBulletEnv-v0 of `pybullet_envs_gymnasium`), and both with this toolkit's robot. For
HalfCheetah the environments are distributed over processes: in this toolkit over as many as there
are cores, in Stable-Baselines3 with one environment per process (SubprocVecEnv), as is usual there.

The two sides take turns, in reverse order in every other round. Each turn is a fresh process, and
its start-up and first steps, including those before learning starts, are not timed. Prints the
steps per second of every round, then medians, including that of the rounds' ratios. `--share`
shortens the turns. Needs Stable-Baselines3: pip install -e ".[bench]"
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcomes.peer import run_again

# Ids with their module, so that none of this toolkit's presets is applied.
CARTPOLE = "gymnasium:CartPole-v1"
OUR_ROBOT = "envs:bullet/HalfCheetah-v0"
PEER_ROBOT = "pybullet_envs_gymnasium:HalfCheetahBulletEnv-v0"


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        algo: the algorithm.
        ours: this toolkit's environment.
        theirs: Stable-Baselines3's environment.
        n_envs: number of environments.
        words: arguments for `ars.train`.
        peer: keyword arguments for Stable-Baselines3's class.
        warm_up: timesteps before timing starts.
        steps: timesteps that are timed.
        robots: whether observations and rewards are normalised and the environments run in
            processes of their own.
    """

    algo: str
    ours: str
    theirs: str
    n_envs: int
    words: str
    peer: dict[str, Any]
    warm_up: int
    steps: int
    robots: bool = False


# Where nothing is given, Stable-Baselines3's defaults apply: [64, 64] units (tanh) each for actor
# and critic, one such network (relu) for DQN; a discount of 0.99; Adam, or RMSprop for A2C. This
# toolkit is configured to match.
_DQN = Case(
    "dqn",
    CARTPOLE,
    CARTPOLE,
    1,
    # RL Baselines3 Zoo, hyperparams/dqn.yml, except for its 128 minibatches in a row.
    "--learning-rate 0.0023 --batch-size 64 --buffer-size 100000 --learning-starts 1000 "
    "--train-freq 4 --gradient-steps 2 --target-update 10 --no-double --hidden-sizes 64 64 "
    "--max-grad-norm 10 --exploration-steps 8000 --epsilon-end 0.04 --n-steps 500",
    {
        "learning_rate": 0.0023,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1000,
        "train_freq": 4,
        "gradient_steps": 2,
        "target_update_interval": 10,
        "exploration_fraction": 0.2,
        "exploration_final_eps": 0.04,
    },
    warm_up=3000,
    steps=20_000,
)
_A2C = Case(
    "a2c",
    CARTPOLE,
    CARTPOLE,
    8,
    "--n-steps 5 --learning-rate 7e-4 --entropy-coef 0 --value-coef 0.5 --max-grad-norm 0.5 "
    "--iteration-steps 500",
    {"n_steps": 5, "learning_rate": 7e-4, "ent_coef": 0.0},
    warm_up=8000,
    steps=80_000,
)
_PPO = Case(
    "ppo",
    CARTPOLE,
    CARTPOLE,
    8,
    # RL Baselines3 Zoo, hyperparams/ppo.yml, with a constant learning rate and clip range.
    "--n-steps 32 --batch-size 256 --n-epochs 20 --gae-lambda 0.8 --gamma 0.98 "
    "--learning-rate 0.001 --learning-rate-schedule constant --clip-range-schedule constant",
    {
        "n_steps": 32,
        "batch_size": 256,
        "n_epochs": 20,
        "gae_lambda": 0.8,
        "gamma": 0.98,
        "learning_rate": 0.001,
        "ent_coef": 0.0,
    },
    warm_up=8192,
    steps=81_920,
)


def _robots(theirs: str) -> Case:
    return Case(
        "ppo",
        OUR_ROBOT,
        theirs,
        8,
        "--n-steps 256 --batch-size 128 --n-epochs 10 --gae-lambda 0.95 --gamma 0.99 "
        "--learning-rate 3e-4 --learning-rate-schedule constant --clip-range-schedule constant "
        "--normalize-observations --normalize-rewards --hidden-sizes 64 64 "
        "--entropy-coef 0 --max-grad-norm 0.5",
        {
            "n_steps": 256,
            "batch_size": 128,
            "n_epochs": 10,
            "gae_lambda": 0.95,
            "learning_rate": 3e-4,
        },
        warm_up=4096,
        steps=32_768,
        robots=True,
    )


CASES = {
    "dqn CartPole-v1": _DQN,
    "a2c CartPole-v1": _A2C,
    "ppo CartPole-v1": _PPO,
    "ppo HalfCheetah, each its own": _robots(PEER_ROBOT),
    "ppo HalfCheetah, both ours": _robots(OUR_ROBOT),
}


def ours(case: Case, steps: int) -> float:
    """Return the steps per second of `python -m ars.train`, from its log."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = [case.ours, "--algo", case.algo, *case.words.split(), "--n-envs", case.n_envs]
        words += ["--total-timesteps", case.warm_up + steps, "--run-dir", run]
        # The only evaluation is before the first iteration, and the only checkpoint at the end.
        words += ["--eval-freq", 10**6, "--eval-episodes", 1, "--save-freq", 10**6]
        if case.robots:
            words += ["--env-processes", os.cpu_count()]
        command = [sys.executable, "-m", "ars.train", *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = list(csv.DictReader((run / "progress.csv").read_text().splitlines()))
    first = next(row for row in rows if int(row["timesteps"]) >= case.warm_up)
    last = rows[-1]
    done = int(last["timesteps"]) - int(first["timesteps"])
    # From row to row, so that logging is timed too.
    return done / (float(last["time_seconds"]) - float(first["time_seconds"]))


def theirs(name: str, steps: int) -> float:
    """Return the steps per second of Stable-Baselines3, run in a separate process."""
    return float(run_again(__file__, [name, "--steps", steps]))


def run_peer(case: Case, steps: int) -> float:
    """Train with Stable-Baselines3 in this process; return the steps per second."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

    # The same as in this toolkit: for networks this small, one thread is faster on both sides.
    torch.set_num_threads(1)
    kind = SubprocVecEnv if case.robots else DummyVecEnv
    vec_env: Any = make_vec_env(case.theirs, case.n_envs, vec_env_cls=kind)
    if case.robots:
        vec_env = VecNormalize(vec_env)
    learner = getattr(stable_baselines3, case.algo.upper())

    class WarmUpEnd(BaseCallback):  # type: ignore[misc]
        """Notes the time at the end of the warm-up."""

        started = 0.0
        at = 0

        def _on_step(self) -> bool:
            if not self.at and self.num_timesteps >= case.warm_up:
                self.started, self.at = time.perf_counter(), self.num_timesteps
            return True

    model = learner("MlpPolicy", vec_env, seed=0, device="cpu", **case.peer)
    warm_up_end = WarmUpEnd()
    model.learn(case.warm_up + steps, callback=warm_up_end)
    seconds = time.perf_counter() - warm_up_end.started
    vec_env.close()
    return float((model.num_timesteps - warm_up_end.at) / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer is not None:
        print(json.dumps(run_peer(CASES[args.peer], args.steps)))
        return
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in args.only}
    for number in range(args.rounds):
        for name, done in pairs.items():
            steps = int(CASES[name].steps * args.share)
            if number % 2:
                peer, mine = theirs(name, steps), ours(CASES[name], steps)
            else:
                mine, peer = ours(CASES[name], steps), theirs(name, steps)
            done.append((mine, peer))
            print(f"round {number + 1}, {name}: {report(mine, peer, mine / peer)}", flush=True)
    for name, done in pairs.items():
        mine, peer = (statistics.median(column) for column in zip(*done, strict=True))
        print(f"median, {name}: {report(mine, peer, statistics.median(a / b for a, b in done))}")


def report(ours: float, theirs: float, ratio: float) -> str:
    """Return the numbers of one line of the report."""
    return f"ours {ours:,.0f}, Stable-Baselines3 {theirs:,.0f} steps/s, ratio {ratio:.2f}"


if __name__ == "__main__":
    main()
