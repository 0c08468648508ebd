"""Tiny worlds that do things to the process they live in; reached as `rude_envs:Id-v0`.

`at`: where they do it: made, reset or step.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np


class Polite(gymnasium.Env[np.ndarray, Any]):
    """A random walk of `length` steps whose reward is the action; the base of all others."""

    def __init__(self, at: str = "", length: int = 20, box: bool = False) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space: Any = gymnasium.spaces.Discrete(2)
        if box:
            self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self._at, self._length, self._step, self._x = at, length, 0, np.zeros(2)
        self._maybe("made")

    def _maybe(self, moment: str) -> None:
        if moment == self._at:
            self.act()

    def act(self) -> None:
        """What is rude."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step, self._x = 0, self.np_random.uniform(-1, 1, 2)
        self._maybe("reset")
        return self._x.astype(np.float32), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        if self._step == 3:
            self._maybe("step")
        self._x = self._x + 0.1 * self.np_random.uniform(-1, 1, 2)
        reward = float(np.sum(action))
        return self._x.astype(np.float32), reward, self._step >= self._length, False, {}


class Exits(Polite):
    """Ends the program, after so many occasions to; `hard`: without Python's exception."""

    occasions = 0

    def __init__(self, at: str, hard: bool = False, after: int = 0) -> None:
        self._hard, self._after = hard, after
        super().__init__(at)

    def act(self) -> None:
        Exits.occasions += 1
        if Exits.occasions <= self._after:
            return
        if self._hard:
            os._exit(0)
        sys.exit()


class Panic(BaseException):
    """Derived from no Exception, as asyncio's cancellations and the panics of Rust are not."""


class Panics(Polite):
    """Raises what `except Exception` does not catch."""

    def act(self) -> None:
        raise Panic("index out of bounds")


class Moves(Polite):
    """Moves the process to a folder of its own, relative to where it is."""

    def act(self) -> None:
        os.chdir("elsewhere") if Path("elsewhere").is_dir() else None


class TakesSignals(Polite):
    """Takes Ctrl-C and SIGTERM for itself."""

    def act(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)


class Talks(Polite):
    """Prints, from Python and past it, also when it is closed and when the program ends."""

    def act(self) -> None:
        print("simulator ready")
        os.write(1, b"from C\n")

    def close(self) -> None:
        import atexit

        print("simulator closed")
        atexit.register(print, "goodbye")


class ClosesFiles(Polite):
    """Closes what it has not opened."""

    def act(self) -> None:
        os.closerange(0, 3)
        if sys.stdout is not None:
            sys.stdout.close()
        sys.stdout = None  # as some windowed programs do


class Forgets(Polite):
    """Sets Python as no toolkit needs it, and warns at every step."""

    def act(self) -> None:
        sys.path.clear()
        os.environ.clear()
        sys.setrecursionlimit(60 + len(inspect.stack(0)))

    def step(self, action: Any) -> Any:
        warnings.warn("old", stacklevel=1)
        return super().step(action)


class Unclosable(Polite):
    """Cannot be closed."""

    def close(self) -> None:
        raise AttributeError("there never was\na viewer")


class OneWorld(Polite):
    """All instances of a process share one world, as PyBullet without client numbers has it."""

    world: ClassVar[dict[str, Any]] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, info = super().reset(seed=seed)
        self.world["x"] = self._x
        return obs, info

    def step(self, action: Any) -> Any:
        self._x = self.world["x"]
        result = super().step(action)
        self.world["x"] = self._x
        return result


class OnePerProcess(Polite):
    """A second one in a process cannot be made."""

    open = False

    def __init__(self) -> None:
        if OnePerProcess.open:
            raise RuntimeError("the simulator runs already")
        OnePerProcess.open = True
        super().__init__()

    def close(self) -> None:
        OnePerProcess.open = False


class OneDevice(Polite):
    """A second one anywhere cannot be made: there is one robot."""

    def __init__(self, device: str) -> None:
        self._device = Path(device)
        self._device.touch(exist_ok=False)
        super().__init__()

    def close(self) -> None:
        self._device.unlink()


class HasChildren(Polite):
    """Has a process of its own that computes the reward."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = multiprocessing.get_context("spawn").Pool(1)

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, self._pool.apply(float, (reward,)), *rest

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


class Wanders(Polite):
    """Adds noise that no seed decides after `step` steps and `episode` episodes.

    `what`: to the reward or the observation, or the episode comes to its end.
    """

    def __init__(self, what: str = "reward", step: int = 0, episode: int = 0) -> None:
        super().__init__(length=40)
        self._what, self._from, self._left = what, step, episode
        self._noise = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._left -= 1
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        obs, reward, ends, *rest = super().step(action)
        if self._step <= self._from or self._left >= 0:
            return obs, reward, ends, *rest
        noise = float(self._noise.uniform(0.01, 0.02))
        if self._what == "observation":
            obs = obs + np.float32(noise)
        if self._what == "reward":
            reward += noise
        return obs, reward, ends or self._what == "end", *rest


class _Box(gymnasium.spaces.Box):
    """A Box with a name of its own."""


class _Discrete(gymnasium.spaces.Discrete):
    """A Discrete with a name of its own."""


class OwnSpaces(Polite):
    """Its spaces are of subclasses of Gymnasium's."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = _Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = _Discrete(2)


for _class in (
    Polite,
    Exits,
    Panics,
    Moves,
    TakesSignals,
    Talks,
    ClosesFiles,
    Forgets,
    Unclosable,
    OneWorld,
    OnePerProcess,
    OneDevice,
    HasChildren,
    Wanders,
    OwnSpaces,
):
    gymnasium.register(f"{_class.__name__}-v0", entry_point=_class)  # type: ignore[arg-type]
