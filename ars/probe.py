"""A look at an environment before training: its spaces, and whether it repeats itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

import envs
from policies import space_spec

STEPS = 20


@dataclass(frozen=True)
class Probe:
    """An environment's spaces, and what to warn of: it does not repeat itself, or runs slowly."""

    observation_space: Any
    action_space: Any
    warnings: tuple[str, ...]


def probe(env_id: str, env_kwargs: dict[str, Any]) -> Probe:
    """Construct the environment once, read its spaces and play one short episode twice.

    Raises: UnsupportedSpace, envs.UnknownEnvironment, or what the environment raises.
    """
    env = envs.make(env_id, **env_kwargs)
    try:
        space_spec(env.observation_space, "observation")
        space_spec(env.action_space, "action")
        first = _play(env, seed=1)
        _play(env, seed=2)  # another history
        again = _play(env, seed=1)
        # Where there is a loop to compile, it is compiled here, once for all the workers to come.
        _, notice = envs.accelerate(env)
    finally:
        env.close()
    warnings = [notice] if notice else []
    for step, (a, b) in enumerate(itertools.zip_longest(first, again)):
        if a is None or b is None or not np.array_equal(a, b, equal_nan=True):
            warnings.append(
                f"{env_id} does not repeat an episode from its seed and actions (step {step}): "
                "learning curves will not be identical between runs"
            )
            break
    return Probe(env.observation_space, env.action_space, tuple(warnings))


def _play(env: gymnasium.Env[Any, Any], seed: int) -> list[Any]:
    """Observations and rewards of a few random steps, which depend on `seed` alone."""
    env.action_space.seed(seed)
    obs, _ = env.reset(seed=seed)
    seen = [np.ravel(obs)]
    for _ in range(STEPS):
        obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        seen.append(np.append(np.ravel(obs), float(reward)))
        if terminated or truncated:
            break
    return seen
