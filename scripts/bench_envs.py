"""How fast our robots step, against the reference and against the physics alone.

    python scripts/bench_envs.py [--robots HalfCheetah Ant] [--rounds 15] [--steps 400]

Steps a second, medians over rounds in which the contenders take turns, all under the same random
actions and reset seeds; resets are off the clock and timed apart. `limit` is PyBullet's
`stepSimulation` after one batched call that sets the torques, nothing observed, in our own world
and through the same states: no environment that calls PyBullet from Python can be faster. The
reference is `pybullet_envs_gymnasium`.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import envs
from envs.bullet.client import pybullet, quiet

RESETS = 20


class PhysicsOnly:
    """One of our robots, simulated and not looked at; it ends where the real episodes end."""

    def __init__(self, env: Any, actions: NDArray[np.float32]) -> None:
        self._env = env
        self._torques = [env._torques(action) for action in actions]
        self._ends = []
        env.reset(seed=0)
        for index, action in enumerate(actions):
            self._ends.append(env.step(action)[2])
            if self._ends[-1]:
                env.reset(seed=index + 1)

    def reset(self, *, seed: int) -> None:
        self._env.reset(seed=seed)
        self._index = seed  # an episode's seed is the index of its first action

    def step(self, action: NDArray[np.float32]) -> tuple[Any, Any, bool]:
        index, env = self._index, self._env
        pybullet.setJointMotorControlArray(
            env._body,
            env._joints,
            pybullet.TORQUE_CONTROL,
            forces=self._torques[index],
            physicsClientId=env._client,
        )
        pybullet.stepSimulation(env._client)
        self._index = index + 1
        return None, None, self._ends[index]


def steps_per_second(contender: Any, actions: NDArray[np.float32]) -> float:
    """Return the rate of `step`; what an episode's end costs is not counted."""
    contender.reset(seed=0)
    elapsed, start = 0.0, time.perf_counter()
    for index, action in enumerate(actions):
        if contender.step(action)[2]:
            elapsed += time.perf_counter() - start
            contender.reset(seed=index + 1)
            start = time.perf_counter()
    elapsed += time.perf_counter() - start
    return len(actions) / elapsed


def resets_per_second(contender: Any) -> float:
    """Return the rate of `reset`."""
    start = time.perf_counter()
    for seed in range(RESETS):
        contender.reset(seed=seed)
    return RESETS / (time.perf_counter() - start)


def compare(robot: str, rounds: int, steps: int) -> str:
    """Return one line of the report."""
    ours = envs.make(robot).unwrapped
    with quiet():
        reference = gymnasium.make(f"{robot}BulletEnv-v0", disable_env_checker=True).unwrapped
        reference.reset(seed=0)  # its first episode is unlike the others
    (size,) = ours.action_space.shape or (0,)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (steps, size)).astype(np.float32)
    limit = PhysicsOnly(ours, actions)
    rates = [
        (
            steps_per_second(ours, actions),
            steps_per_second(reference, actions),
            steps_per_second(limit, actions),
            resets_per_second(ours),
            resets_per_second(reference),
        )
        for _ in range(rounds)
    ]
    ours.close()
    reference.close()
    own, port, physics, own_resets, port_resets = (
        statistics.median(column) for column in zip(*rates, strict=True)
    )
    return (
        f"{robot:12}{own:9.0f}{port:11.0f}{physics:9.0f}{own / port:12.2f}{own / physics:12.2f}"
        f"{own_resets:10.0f}{port_resets:11.0f}"
    )


def main() -> int:
    """Print the table; 2 where the reference is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--robots", nargs="+", choices=envs.names(), default=envs.names())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=400)
    arguments = parser.parse_args()
    try:
        importlib.import_module("pybullet_envs_gymnasium")
    except ImportError as error:
        print(f"the reference is missing ({error}): pip install -e '.[test]'", file=sys.stderr)
        return 2
    print("            steps a second                          ratio           resets a second")
    print("robot            ours  reference    limit  ours/ref.  ours/limit      ours  reference")
    for robot in arguments.robots:
        print(compare(robot, arguments.rounds, arguments.steps), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
