"""Tiny environments with known answers; reached as `small_worlds:Id-v0`, from processes too."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class Identity(gymnasium.Env[np.ndarray, Any]):
    """Shows one of three things; naming it gives 1, anything else 0. Ends after `length` steps."""

    observation_space: gymnasium.Space[Any] = gymnasium.spaces.Box(0, 1, (3,), np.float32)

    def __init__(self, length: int = 20, start: int = 0) -> None:
        self.action_space = gymnasium.spaces.Discrete(3, start=start)
        self._length, self._start = length, start

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return self._show(), {}

    def _show(self) -> np.ndarray:
        self._shown = int(self.np_random.integers(3))
        shown: np.ndarray = np.eye(3, dtype=np.float32)[self._shown]
        return shown

    def step(self, action: Any) -> Any:
        reward = float(action == self._shown + self._start)
        self._step += 1
        return self._show(), reward, self._step >= self._length, False, {}


class IdentityBox(Identity):
    """The same with a number to name it by: -1, 0 or 1, less the squared distance from it."""

    def __init__(self, length: int = 20) -> None:
        super().__init__(length)
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        missed = float(action[0]) - (self._shown - 1)
        obs, _, *rest = super().step(0)
        return obs, 1.0 - missed**2, *rest


class Corridor(gymnasium.Env[np.ndarray, Any]):
    """Counts its steps in the observation; each gives 1, and nothing ends it but a time limit.

    A life is lost at step `cut`.
    """

    observation_space = gymnasium.spaces.Box(0, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, terminal: int = 1_000_000, cut: int = -1) -> None:
        self._terminal, self._cut = terminal, cut

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return np.zeros(1), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        over, info = self._step >= self._terminal, {"cut_returns": self._step == self._cut}
        return np.array([float(self._step)]), 1.0, over, False, info


class Careless(IdentityBox):
    """Shows numbers of another type than its space has, and changes the actions it is given."""

    def _show(self) -> np.ndarray:
        return super()._show().astype(np.float64) / 3

    def step(self, action: Any) -> Any:
        result = super().step(action)
        action *= 0.5
        return result


class Restless(Corridor):
    """Never shows the same again."""

    _count = 0

    def step(self, action: Any) -> Any:
        Restless._count += 1
        obs, *rest = super().step(action)
        return obs + Restless._count / 1000, *rest


class OneChoice(Identity):
    """There is but one name."""

    def __init__(self, length: int = 20) -> None:
        super().__init__(length)
        self.action_space = gymnasium.spaces.Discrete(1)


class OneWay(gymnasium.Env[Any, Any]):
    """A corridor with a model: each step costs 1, and the right end ends it."""

    observation_space = gymnasium.spaces.Discrete(40)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self) -> None:
        self.P = {
            s: {
                a: [(1.0, min(max(s + 2 * a - 1, 0), 39), -1.0, a == 1 and s == 39)] for a in (0, 1)
            }
            for s in range(40)
        }
        self.initial_state_distrib = np.eye(40)[0]


class Images(Identity):
    """Identity by pictures: which third of the image is bright."""

    observation_space = gymnasium.spaces.Box(0, 255, (2, 36, 36), np.uint8)

    def _show(self) -> np.ndarray:
        super()._show()
        image = np.zeros((2, 36, 36), np.uint8)
        image[:, :, 12 * self._shown : 12 * self._shown + 12] = 255
        return image


class Stacks(gymnasium.Env[np.ndarray, Any]):
    """Pictures of noise in stacks of 4, the newest last; `turned`: along the last axis.

    `broken`: no step can be taken.
    """

    action_space = gymnasium.spaces.Discrete(2)
    stack_size = 4

    def __init__(self, size: int = 32, turned: bool = False, broken: bool = False) -> None:
        shape = (size, size, 4) if turned else (4, size, size)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self._size, self._turned, self._broken = size, turned, broken

    def _frame(self) -> np.ndarray:
        return self.np_random.integers(0, 256, (self._size, self._size), np.uint8)

    def _show(self) -> np.ndarray:
        return np.stack(self._frames, -1 if self._turned else 0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._frames = [self._frame()] * 4
        return self._show(), {}

    def step(self, action: Any) -> Any:
        if self._broken:
            raise OSError("no camera")
        self._frames = [*self._frames[1:], self._frame()]
        return self._show(), 0.0, self.np_random.random() < 0.1, False, {}


class LunarLanderStandIn(gymnasium.Env[np.ndarray, Any]):
    """Stays at (3, 4), at 1 a step, for 10 steps."""

    observation_space = gymnasium.spaces.Box(-9, 9, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return np.array([3, 4, 0], np.float32), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        return np.array([3, 4, 0], np.float32), 1.0, self._step >= 10, False, {}


for _class in (
    Identity,
    LunarLanderStandIn,
    IdentityBox,
    OneChoice,
    OneWay,
    Corridor,
    Careless,
    Restless,
    Stacks,
    Images,
):
    gymnasium.register(f"{_class.__name__}-v0", _class)  # type: ignore[arg-type]
for _name, _steps in (("ShortCorridor-v0", 5), ("LongCorridor-v0", 1500)):
    gymnasium.register(_name, Corridor, max_episode_steps=_steps)  # type: ignore[arg-type]
