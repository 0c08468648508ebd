"""Check that the robots match the reference, and the compiled loop the robots, bit for bit.

    python scripts/check_identity.py [--robots HalfCheetah Ant] [--episodes 50]
                                     [--policies runs/Walker2D/ars-s0/best_policy.safetensors]

Each robot plays whole episodes of zero, random and saturated linear policies and of trained ones:
shipped policies, policies given as files, and the network of PyBullet's example. Every bit of every
observation, reward and termination is compared with `pybullet_envs_gymnasium`. The return, the
length and the statistics of the observations are compared with the compiled loop. Prints one line
per robot; the exit status is 1 if anything differs. Needs the reference: pip install -e ".[test]"
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from references import PORTED, Reference, published

import envs
from ars.common.shipped import shipped
from ars.rollout.episode import Episode, compiled_rollout, rollout
from ars.training.rebuild import chosen_policy
from envs.bullet.client import quiet
from policies import Policy, RunningMeanStd, make_policy, read_policy


class Witness:
    """Wraps an environment and computes a digest of everything it returns in an episode."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def reset(self, seed: int) -> Any:
        """Start an episode and a new digest."""
        obs, info = self.env.reset(seed=seed)
        self.digest = hashlib.sha256(obs.tobytes())
        return obs, info

    def step(self, action: Any) -> Any:
        """Take a step and add it to the digest."""
        found = self.env.step(action)
        self.digest.update(found[0].tobytes() + repr((float(found[1]), found[2])).encode())
        return found


def policies(env: Any, trained: list[Policy]) -> list[Policy]:
    """Return the policies that take turns: four linear ones, then the trained ones."""
    made = []
    for scale in (0.0, 0.05, 0.3, 30.0):
        policy = make_policy("linear", env.observation_space, env.action_space)
        policy.weights = np.full(policy.weights.size, scale)
        made.append(policy)
    return made + trained


def bits(episode: Episode) -> tuple[Any, ...]:
    """Return the results of an episode in a form that can be compared exactly."""
    found = episode.statistics
    assert found is not None
    numbers = repr(episode.total_reward), episode.length
    return *numbers, found.count, found.mean.tobytes(), found.m2.tobytes()


def compare(robot: str, episodes: int, trained: list[Policy]) -> tuple[str, int]:
    """Return one line of the report, and the number of episodes that differ."""
    env, second = envs.make(robot), envs.make(robot)
    player, notice = envs.accelerate(second)
    if notice is not None:
        sys.exit(f"error: {notice}")
    with quiet():
        reference = Reference(env.unwrapped)
    if (network := published(robot, env)) is not None:
        trained = [*trained, network]
    ours, theirs, steps, early = Witness(env), Witness(reference), 0, 0
    limit = env.spec.max_episode_steps if env.spec and env.spec.max_episode_steps else 1000
    other = unlike = 0
    for seed in range(episodes):
        choices = policies(env, trained)
        policy = choices[seed % len(choices)]
        if policy not in trained:
            signs = np.random.default_rng(seed).standard_normal(policy.weights.size)
            policy.weights = policy.weights * signs
        found = []
        for how, subject in ((rollout, ours), (rollout, theirs), (compiled_rollout, player)):
            if subject is not None:
                zeros = RunningMeanStd.zeros(policy.spec.observation.size)
                found.append(how(subject, policy, seed, limit, statistics=zeros))  # type: ignore[arg-type]
        steps += found[0].length
        early += found[0].length < limit
        other += ours.digest.digest() != theirs.digest.digest()
        unlike += player is not None and bits(found[0]) != bits(found[2])
    env.close()
    second.close()
    reference.close()
    compiled = "-" if player is None else str(unlike)
    line = f"{robot:24}{episodes:9}{early:12}{steps:9}{other:22}{compiled:>21}"
    return line + f"{len(trained):10}", other + unlike


def main() -> int:
    """Print the table; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--robots", nargs="+", choices=PORTED, default=PORTED)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--policies", nargs="+", type=Path, default=[], help="policy files")
    arguments = parser.parse_args()
    files = [chosen_policy(name).file for name in shipped()]
    files += map(read_policy, arguments.policies)
    heads = "episodes ended early    steps  unlike the reference  unlike the compiled   trained"
    print(f"{'robot':24} {heads}")
    differences = 0
    for robot in arguments.robots:
        trained = [file.policy for file in files if file.env_id == robot]
        line, count = compare(robot, arguments.episodes, trained)
        print(line, flush=True)
        differences += count
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
