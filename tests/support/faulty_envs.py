"""CartPole with faults to order; reached as `faulty_envs:Id-v0`, from workers too."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv


class BrokenConstructor(CartPoleEnv):
    """Cannot be made where `flag` exists."""

    def __init__(self, flag: str) -> None:
        if Path(flag).exists():
            raise OSError("no such\nrobot")
        super().__init__()


class Raises(CartPoleEnv):
    """Raises in the episode whose reset seed is `seed`; if `flag` is given, once."""

    def __init__(self, seed: int = -1, flag: str = "") -> None:
        super().__init__()
        self._seed, self._flag, self._armed = seed, flag, False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._armed = seed == self._seed
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        if self._armed and (not self._flag or not Path(self._flag).exists()):
            if self._flag:
                Path(self._flag).touch()
            raise ValueError("the pole\nsnapped")
        return super().step(action)


class Kills(Raises):
    """Takes its process along instead, without a word."""

    def step(self, action: Any) -> Any:
        try:
            return super().step(action)
        except ValueError:
            os._exit(1)


class Hangs(Raises):
    """Never comes back instead, and keeps its processor busy."""

    def step(self, action: Any) -> Any:
        try:
            return super().step(action)
        except ValueError:
            while True:
                pass


class Straggles(Raises):
    """Takes ten minutes instead."""

    def step(self, action: Any) -> Any:
        try:
            return super().step(action)
        except ValueError:
            time.sleep(600)
            return super().step(action)


class Slow(CartPoleEnv):
    """Sleeps a little at every step."""

    def step(self, action: Any) -> Any:
        time.sleep(0.001)
        return super().step(action)


class KillsAtTheEnd(Raises):
    """Takes its process along with the last step: all is computed, nothing answered."""

    def step(self, action: Any) -> Any:
        result = super(Raises, self).step(action)
        if self._armed and result[2] and not Path(self._flag).exists():
            Path(self._flag).touch()
            os._exit(1)
        return result


class Corrupts(Raises):
    """Says something wrong instead: `what` is reward, observation, shape, type or tuple."""

    def __init__(self, what: str, seed: int = -1, value: str = "nan") -> None:
        super().__init__(seed)
        self._what, self._value = what, float(value)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, info = super().reset(seed=seed, options=options)
        return (obs * self._value if self._armed and self._what == "reset" else obs), info

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super(Raises, self).step(action)
        if not self._armed:
            return obs, reward, *rest
        if self._what == "tuple":
            return obs, reward
        wrong = {
            "number": obs[:1],
            "observation": np.full(4, self._value, np.float32),
            "shape": obs[:3],
            "type": np.array(["left"] * 4),
        }
        return wrong.get(self._what, obs), self._value if self._what == "reward" else reward, *rest


class Strays(gymnasium.Env[Any, Any]):
    """Counts its steps, in the episode of `seed` further than its space goes."""

    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._goes_on, self._steps = seed == self._seed, 2
        return self._steps, {}

    def step(self, action: Any) -> Any:
        self._steps = self._steps + 1 if self._goes_on else 0
        return self._steps, 1.0, False, False, {}


class EndsWhere(CartPoleEnv):
    """Ends with its third step where `flag` exists: it does not repeat itself."""

    def __init__(self, flag: str) -> None:
        super().__init__()
        self._flag, self._steps = Path(flag), 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._steps = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self._steps += 1
        obs, reward, ends, *rest = super().step(action)
        return obs, reward, ends or (self._steps == 3 and self._flag.exists()), *rest


class Pays(CartPoleEnv):
    """Pays `reward` for every step."""

    def __init__(self, reward: float) -> None:
        super().__init__()
        self._reward = reward

    def step(self, action: Any) -> Any:
        obs, _, *rest = super().step(action)
        return obs, self._reward, *rest


class Dawdles(CartPoleEnv):
    """Sleeps now and then, for how long nobody knows: answers come in any order."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        time.sleep(random.SystemRandom().uniform(0.0, 0.05))
        return super().reset(seed=seed, options=options)


def hopper_without_numba(**kwargs: Any) -> Any:
    """Hopper in a process that cannot compile its loop."""
    from envs.bullet.locomotion import Hopper

    sys.modules["numba"] = None  # type: ignore[assignment]
    return Hopper(**kwargs)


gymnasium.register(
    "HopperWithoutNumba-v0", hopper_without_numba, max_episode_steps=1000, order_enforce=False
)
for _class in (
    BrokenConstructor,
    Raises,
    Kills,
    KillsAtTheEnd,
    Hangs,
    Straggles,
    Slow,
    Dawdles,
    Corrupts,
    Strays,
    EndsWhere,
    Pays,
):
    gymnasium.register(f"{_class.__name__}-v0", entry_point=_class)  # type: ignore[arg-type]
