"""How fast our robots play whole episodes, against the reference and against the physics alone.

    python scripts/bench_envs.py [--robots HalfCheetah Ant] [--rounds 9] [--steps 1000]
                                 [--policies runs/HalfCheetah/ars-s0/best_policy.safetensors]

Steps a second, resets included: medians over rounds in which the contenders take turns at every
episode, with one policy: small random weights unless a file has one for the robot. In CPU time, so
that other programs disturb less. The ratios are medians of each round's.

    compiled    the compiled loop: policy, observation, reward and statistics
    plain       the same in Python, a step at a time
    reference   `pybullet_envs_gymnasium` in the same Python loop
    limit       the physics: PyBullet's `stepSimulation` after one batched call that sets recorded
                torques, nothing observed; no environment that calls PyBullet from Python is faster
"""

from __future__ import annotations

import argparse
import functools
import importlib
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import envs
from ars.rollout import compiled_rollout, rollout
from envs.bullet.client import pybullet, quiet
from envs.bullet.fast import FastRunner
from policies import Policy, RunningMeanStd, make_policy, read_policy

LENGTH = 1000  # steps of an episode, at most
RESETS = 20
CONTENDERS = ("compiled", "plain", "reference", "limit")
RATIOS = (("compiled", "limit"), ("compiled", "plain"), ("compiled", "reference"))


def choose_policy(robot: str, env: Any, files: list[Path]) -> Policy:
    """Return the first file's policy that is for this robot, or one of small random weights."""
    for file in map(read_policy, files):
        if file.env_id == robot:
            return file.policy
    policy = make_policy("linear", env.observation_space, env.action_space)
    policy.weights = 0.05 * np.random.default_rng(0).standard_normal(policy.weights.size)
    return policy


def record_torques(env: Any, policy: Policy, seed: int) -> list[list[float]]:
    """Return what one of our robots sets in an episode."""
    torques, over = [], False
    obs, _ = env.reset(seed=seed)
    while not over and len(torques) < LENGTH:
        action = policy.act(obs)
        torques.append(env._torques(action))
        obs, _, over, _, _ = env.step(action)
    return torques


def simulate(env: Any, torques: dict[int, list[list[float]]], seed: int) -> int:
    """Play an episode that is only physics."""
    env.reset(seed=seed)
    for forces in torques[seed]:
        pybullet.setJointMotorControlArray(
            env._body,
            env._joints,
            pybullet.TORQUE_CONTROL,
            forces=forces,
            physicsClientId=env._client,
        )
        pybullet.stepSimulation(env._client)
    return len(torques[seed])


def play(how: Callable[..., Any], subject: Any, policy: Policy, seed: int) -> int:
    """Play an episode as a training rollout is played."""
    zeros = RunningMeanStd.zeros(policy.spec.observation.size)
    length: int = how(subject, policy, seed, LENGTH, shift=1.0, statistics=zeros).length
    return length


def race(contenders: dict[str, Callable[[int], int]], seeds: list[int]) -> dict[str, float]:
    """Return each contender's steps a second of CPU time; they take turns at every episode."""
    seconds, steps = dict.fromkeys(contenders, 0.0), 0
    for seed in seeds:
        for name, contender in contenders.items():
            start = time.process_time()
            length = contender(seed)
            seconds[name] += time.process_time() - start
        steps += length
    return {name: steps / seconds[name] for name in contenders}


def resets(env: Any) -> float:
    """Return microseconds of CPU time for a reset."""
    start = time.process_time()
    for seed in range(RESETS):
        env.reset(seed=seed)
    return (time.process_time() - start) / RESETS * 1e6


def compare(robot: str, rounds: int, steps: int, files: list[Path]) -> str:
    """Return one line of the report."""
    env = envs.make(robot)
    ours = env.unwrapped
    with quiet():
        reference = gymnasium.make(f"{robot}BulletEnv-v0", disable_env_checker=True).unwrapped
        reference.reset(seed=0)  # its first episode is unlike the others
    policy = choose_policy(robot, ours, files)
    torques: dict[int, list[list[float]]] = {}
    for seed in itertools.count():
        torques[seed] = record_torques(ours, policy, seed)
        if sum(map(len, torques.values())) >= steps:
            break
    contenders = {
        "compiled": functools.partial(play, compiled_rollout, FastRunner(env), policy),
        "plain": functools.partial(play, rollout, env, policy),
        "reference": functools.partial(play, rollout, reference, policy),
        "limit": functools.partial(simulate, ours, torques),
    }
    table = [race(contenders, list(torques)) for _ in range(rounds)]
    cost = statistics.median(resets(ours) for _ in range(rounds))
    env.close()
    reference.close()
    rates = "".join(f"{statistics.median(row[name] for row in table):11.0f}" for name in CONTENDERS)
    ratios = "".join(
        f"{statistics.median(row[a] / row[b] for row in table):11.2f}" for a, b in RATIOS
    )
    length = sum(map(len, torques.values())) / len(torques)
    return f"{robot:12}{rates}{ratios}{length:9.0f}{cost:9.0f}"


def main() -> int:
    """Print the table; 2 where the reference is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--robots", nargs="+", choices=envs.names(), default=envs.names())
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=1000, help="at least, in each round")
    parser.add_argument("--policies", nargs="+", type=Path, default=[], help="policy files")
    arguments = parser.parse_args()
    try:
        importlib.import_module("pybullet_envs_gymnasium")
    except ImportError as error:
        print(f"the reference is missing ({error}): pip install -e '.[test]'", file=sys.stderr)
        return 2
    print(f"{'steps a second':>56}{'compiled, relative to':>33}{'steps an':>9}{'us to':>9}")
    heads = [*CONTENDERS, *(b for _, b in RATIOS)]
    print("robot       " + "".join(f"{head:>11}" for head in heads) + "  episode  a reset")
    for robot in arguments.robots:
        found = compare(robot, arguments.rounds, arguments.steps, arguments.policies)
        print(found, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
