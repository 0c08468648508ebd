"""Wrappers of CartPole, and what is none; named as `small_wrappers:Half`, from processes too."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

Env = gymnasium.Env[Any, Any]


class Half(gymnasium.RewardWrapper[Any, Any]):
    """Halves rewards."""

    def reward(self, reward: Any) -> float:
        return float(reward) / 2


class PlusOne(gymnasium.RewardWrapper[Any, Any]):
    """Adds 1 to rewards."""

    def reward(self, reward: Any) -> float:
        return float(reward) + 1


class WithBias(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Adds a constant number to observations."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        shape = ((env.observation_space.shape or (0,))[0] + 1,)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)

    def observation(self, observation: Any) -> Any:
        return np.append(observation, 1).astype(np.float32)


def short(env: Env) -> Env:
    """Cuts episodes at 7 steps."""
    return gymnasium.wrappers.TimeLimit(env, 7)


class BreaksInStep(gymnasium.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        raise ValueError("no\nstep")


class BreaksAtOnce(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: Env) -> None:
        super().__init__(env)
        raise TypeError("unexpected keyword argument 'sutton_barto_reward'")


class Coloured(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: Env, colour: str, shade: str = "light") -> None:
        super().__init__(env)


class NoWrapper:
    def __init__(self, env: Env) -> None: ...


def nothing(env: Env) -> None:
    """Forgets to return the environment."""
