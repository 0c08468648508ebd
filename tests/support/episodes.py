"""Episodes of given actions, as what compares bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np

import envs

ROBOTS = [row.name for row in envs.table() if row.id.startswith("bullet/")]


def episode(env: Any, seed: int, actions: Iterable[Any]) -> list[tuple[bytes, float, bool, bool]]:
    """Every step's observation, reward, whether it ended the episode, and whether it cost a life.

    The first is the reset's.
    """
    space, over, truncated = env.observation_space, False, False
    obs, _ = env.reset(seed=seed)
    steps = [(obs.tobytes(), 0.0, False, False)]
    for action in actions:
        obs, reward, over, truncated, info = env.step(action)
        assert (obs.dtype, obs.shape) == (space.dtype, space.shape)
        steps.append((obs.tobytes(), reward, over, bool(info.get("cut_returns"))))
        if over or truncated:
            break
    return steps


def random_actions(env: Any, count: int, seed: int = 0) -> list[Any]:
    """So many actions of an environment, drawn uniformly (of a Box: from -1 to 1)."""
    rng, space = np.random.default_rng(seed), env.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
        return list(rng.integers(space.n, size=count).tolist())
    return list(rng.uniform(-1.0, 1.0, (count, *space.shape)).astype(np.float32))
