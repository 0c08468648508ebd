"""Compare the speed of whole episodes with the reference and with the bare physics.

    python scripts/bench_envs.py [--robots HalfCheetah Ant] [--rounds 9] [--steps 1000]
                                 [--policies runs/HalfCheetah/ars-s0/best_policy.safetensors]

Prints steps per second of CPU time, which other programs disturb less. Resets are not included;
their cost in microseconds is printed separately. All variants take turns at every episode and use
the same policy: one from a file given for the robot, else the shipped policy, else the network of
PyBullet's example, else small random weights; the last column says which. Speeds are medians over
the rounds, and ratios are medians of the rounds' ratios.

    compiled    the compiled loop: policy, observation, reward and statistics
    plain       the same in Python, step by step
    reference   `pybullet_envs_gymnasium` in the same Python loop
    limit       the bare physics: PyBullet's `stepSimulation` after one batched call that sets
                recorded torques, without observations; no environment that calls PyBullet from
                Python can be faster
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

try:
    from references import published
except ImportError as error:
    sys.exit(f"the reference is missing ({error}): pip install -e '.[test]'")

import envs
from ars.common.shipped import shipped
from ars.rollout.episode import compiled_rollout, rollout
from ars.training.rebuild import chosen_policy
from envs.bullet.client import pybullet, quiet
from envs.bullet.compiled.player import CompiledPlayer
from policies import Policy, RunningMeanStd, make_policy, read_policy

LENGTH = 1000  # maximum number of steps in an episode
ROBOTS = [row.name for row in envs.table() if row.compiled]
CONTENDERS = ("compiled", "plain", "reference", "limit")
RATIOS = (("compiled", "limit"), ("plain", "reference"), ("compiled", "reference"))


class Started:
    """Wraps an environment so that its resets are timed separately from its steps."""

    def __init__(self, env: Any) -> None:
        self.env, self.step, self._first = env, env.step, None
        self.seconds = 0.0  # of CPU time, in all resets
        self.count = 0

    def start(self, seed: int) -> None:
        """Reset the environment and add the CPU time that this takes to `seconds`."""
        began = time.process_time()
        self._first = self.env.reset(seed=seed)
        self.seconds += time.process_time() - began
        self.count += 1

    def reset(self, seed: int) -> Any:
        """Return the result of the last `start`."""
        return self._first


def choose_policy(robot: str, env: Any, files: list[Path]) -> tuple[Policy, str]:
    """Return the policy for a robot, and its origin."""
    for file in map(read_policy, files):
        if file.env_id == robot:
            return file.policy, "given"
    if robot in shipped():
        return chosen_policy(robot).file.policy, "shipped"
    if (network := published(robot, env)) is not None:
        return network, "PyBullet's"
    policy = make_policy("linear", env.observation_space, env.action_space)
    policy.weights = 0.05 * np.random.default_rng(0).standard_normal(policy.weights.size)
    return policy, "random"


def record_torques(env: Any, policy: Policy, seed: int) -> list[list[float]]:
    """Return the torques of every step of an episode."""
    torques, over = [], False
    robot = env.unwrapped
    obs, _ = env.reset(seed=seed)
    while not over:
        action = policy.act(obs)
        torques.append(robot._torques(action))
        obs, _, terminated, truncated, _ = env.step(action)
        over = terminated or truncated
    return torques


def simulate(env: Any, torques: dict[int, list[list[float]]], seed: int) -> int:
    """Simulate an episode from recorded torques; return its length."""
    for forces in torques[seed]:
        pybullet.setJointMotorControlArray(
            env._body,
            env._motors,
            pybullet.TORQUE_CONTROL,
            forces=forces,
            physicsClientId=env._client,
        )
        pybullet.stepSimulation(env._client)
    return len(torques[seed])


def play(how: Callable[..., Any], subject: Any, policy: Policy, seed: int) -> int:
    """Play an episode in the same way as a training rollout; return its length."""
    zeros = RunningMeanStd.zeros(policy.spec.observation.size)
    length: int = how(subject, policy, seed, LENGTH, shift=1.0, statistics=zeros).length
    return length


def race(
    contenders: Mapping[str, tuple[Started, Callable[[int], int]]], seeds: list[int]
) -> dict[str, float]:
    """Return each variant's steps per second of CPU time; they take turns at every episode."""
    seconds, steps = dict.fromkeys(contenders, 0.0), 0
    for seed in seeds:
        lengths = set()
        for name, (env, contender) in contenders.items():
            env.start(seed)
            began = time.process_time()
            lengths.add(contender(seed))
            seconds[name] += time.process_time() - began
        (length,) = lengths  # fails unless all played the same episode
        steps += length
    return {name: steps / seconds[name] for name in contenders}


def compare(robot: str, rounds: int, steps: int, files: list[Path]) -> str:
    """Return one line of the report."""
    env = envs.make(robot)
    ours = env.unwrapped
    with quiet():
        reference = gymnasium.make(f"{robot}BulletEnv-v0", disable_env_checker=True)
        reference.reset(seed=0)  # its first episode differs from the later ones
    policy, origin = choose_policy(robot, ours, files)
    torques: dict[int, list[list[float]]] = {}
    for seed in itertools.count():
        torques[seed] = record_torques(env, policy, seed)
        if sum(map(len, torques.values())) >= steps:
            break
    player = CompiledPlayer(env)
    mine, other = Started(env), Started(reference)
    player.env = mine  # type: ignore[assignment]
    contenders = {
        "compiled": (mine, functools.partial(play, compiled_rollout, player, policy)),
        "plain": (mine, functools.partial(play, rollout, mine, policy)),
        "reference": (other, functools.partial(play, rollout, other, policy)),
        "limit": (mine, functools.partial(simulate, ours, torques)),
    }
    table = [race(contenders, list(torques)) for _ in range(rounds)]
    env.close()
    reference.close()
    rates = "".join(f"{statistics.median(row[name] for row in table):11.0f}" for name in CONTENDERS)
    ratios = "".join(
        f"{statistics.median(row[a] / row[b] for row in table):22.2f}" for a, b in RATIOS
    )
    length = sum(map(len, torques.values())) / len(torques)
    resets = "".join(f"{1e6 * env.seconds / env.count:11.0f}" for env in (mine, other))
    return f"{robot:24}{rates}{ratios}{length:8.0f} {resets}  {origin}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--robots", nargs="+", choices=ROBOTS, default=ROBOTS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=1000, help="at least, in each round")
    parser.add_argument("--policies", nargs="+", type=Path, default=[], help="policy files")
    arguments = parser.parse_args()
    words = ["robot".ljust(24), *(f"{name:>11}" for name in CONTENDERS)]
    words += [
        *(f"{a} / {b}".rjust(22) for a, b in RATIOS),
        "   steps  reset: ours  reference  policy",
    ]
    print("".join(words))
    for robot in arguments.robots:
        found = compare(robot, arguments.rounds, arguments.steps, arguments.policies)
        print(found, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
