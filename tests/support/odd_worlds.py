"""A world whose spaces and steps are a little unusual; reached as `odd_worlds:Odd-v0`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

Change = Callable[[Any], Any]

SPACES: dict[str, spaces.Space[Any]] = {
    "no-dimension": spaces.Box(-1, 1, (), np.float32),
    "byte": spaces.Box(0, 255, (), np.uint8),
    "bytes": spaces.Box(0, 255, (6,), np.uint8),
    "flags": spaces.Box(0, 1, (4,), np.bool_),
    "whole": spaces.Box(-5, 5, (3,), np.int64),
    "double": spaces.Box(-np.inf, np.inf, (2,), np.float64),
}
# What a step returns instead: the place of the value among the five, and the change of it.
CHANGES: dict[str, tuple[int, Change]] = {
    "obs-list": (0, lambda obs: obs.tolist()),
    "obs-tuple": (0, lambda obs: tuple(obs.tolist())),
    "obs-double": (0, lambda obs: obs.astype(np.float64)),
    "obs-outside": (0, lambda obs: 50 * obs),
    "reward-array": (1, lambda reward: np.array([reward])),
    "reward-0d": (1, lambda reward: np.array(reward, np.float32)),
    "reward-float32": (1, np.float32),
    "reward-int": (1, int),
    "reward-bool": (1, bool),
    "ends-numpy": (2, np.bool_),
    "ends-array": (2, lambda ends: np.array([ends])),
    "ends-int": (2, int),
    "info-none": (4, lambda info: None),
    "obs-column": (0, lambda obs: obs[:, None]),
    "obs-words": (0, lambda obs: ["left"] * len(obs)),
    "reward-none": (1, lambda reward: None),
    "reward-huge": (1, lambda reward: 10**400),
    "reward-two": (1, lambda reward: [reward, reward]),
    "reward-word": (1, lambda reward: "good"),
    "ends-word": (2, lambda ends: "no"),
    "info-list": (4, lambda info: []),
}
# What NumPy turns into numbers although it is none.
NO_NUMBERS: dict[str, tuple[int, Change]] = {
    "<U3": (0, lambda obs: ["1.0"] * len(obs)),
    "object": (0, lambda obs: obs.astype(object)),
    "complex64": (0, lambda obs: obs.astype(np.complex64)),
}
# What is said of each that cannot be meant.
REFUSED = {
    "obs-column": r"observation of shape \(2, 1\)",
    "obs-words": "could not convert string|of type <U4, not of numbers",
    "reward-none": "the reward None, not a number",
    "reward-huge": r"the reward 10{50,}\.\.\., not a number",
    "reward-two": r"the reward \[.*\], not a number",
    "reward-word": "the reward 'good', not a number",
    "ends-word": "terminated 'no', not True or False",
    "info-list": r"the info \[\], not a dict",
    "four": r"env.step returned 4 values, not \(observation, reward, terminated, truncated, info\)",
    "old-reset": r"env.reset returned one ndarray, not \(observation, info\)",
}


class Odd(gymnasium.Env[Any, Any]):
    """Ten steps; action -1 gives 1, the two others 0. `case`: of `SPACES`, `CHANGES` or "four"."""

    action_space = spaces.Discrete(3, start=-1)

    def __init__(self, case: str) -> None:
        self.observation_space = SPACES.get(case, spaces.Box(-1, 1, (2,), np.float32))
        self._case = case

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self._step = 0
        obs = self.observation_space.sample()
        return obs if self._case == "old-reset" else (obs, {})

    def step(self, action: Any) -> Any:
        reward = {-1: 1.0, 0: 0.0, 1: 0.0}[action.item()]  # as NumPy's integers can be asked
        self._step += 1
        result = [self.observation_space.sample(), reward, self._step >= 10, False, {}]
        if self._case == "four":
            return tuple(result[:4])
        if (changed := (CHANGES | NO_NUMBERS).get(self._case)) is not None:
            place, change = changed
            result[place] = change(result[place])
        return tuple(result)


class Bounded(gymnasium.Env[Any, Any]):
    """Ten steps, in each of which numbers from `low` to `high` are chosen; best is 3/4 of the way.

    0 is the best return, and about -7.5 that of the lower bound.
    """

    observation_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, low: Any = (1000,), high: Any = (2000,), dtype: str = "float32") -> None:
        self.action_space = spaces.Box(
            np.array(low, dtype), np.array(high, dtype), dtype=np.dtype(dtype)
        )
        self._low, self._width = np.array(low), np.subtract(high, low)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return np.ones(1, np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        self._step += 1
        share = (action.astype(np.float64) - self._low) / self._width
        reward = -float(np.mean(abs(share - 0.75)))
        return np.ones(1, np.float32), reward, self._step >= 10, False, {}


class Clock(gymnasium.Env[Any, Any]):
    """Ten steps, each showing the time in seconds since 1970.

    `late`: the number of episodes that show it since their beginning.
    """

    observation_space = spaces.Box(0, np.inf, (1,), np.float64)
    action_space = spaces.Discrete(2)

    def __init__(self, late: int = 0) -> None:
        self._late = late

    def _show(self) -> Any:
        return np.array([(0.0 if self._late >= 0 else 1.7e9) + self._step])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step, self._late = 0, self._late - 1
        return self._show(), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        return self._show(), 1.0, self._step >= 10, False, {}


class Fraction(gymnasium.Env[Any, Any]):
    """Ten steps, each showing a fraction; 1 for action 1 above a half and for action 0 below.

    `late`: the number of steps that show a whole number first.
    """

    action_space = spaces.Discrete(2)

    def __init__(self, dtype: str = "uint8", late: int = 0) -> None:
        self.observation_space = spaces.Box(0, 1, (2,), np.dtype(dtype))
        self._late = late

    def _show(self) -> Any:
        self._shown = 1.0 if self._late else float(self.np_random.random())
        self._late = max(0, self._late - 1)
        return np.array([self._shown, 1.0], np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return self._show(), {}

    def step(self, action: Any) -> Any:
        reward = float(action == (self._shown > 0.5))
        self._step += 1
        return self._show(), reward, self._step >= 10, False, {}


for _class in (Odd, Bounded, Clock, Fraction):
    gymnasium.register(f"{_class.__name__}-v0", _class)  # type: ignore[arg-type]
gymnasium.register("Clipped-v0", lambda **_: gymnasium.wrappers.ClipAction(Bounded()))
