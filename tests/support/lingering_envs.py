"""CartPole with what outlives a careless driver; reached as `lingering_envs:Id-v0`."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv


class StartsAProcess(CartPoleEnv):
    """Starts a process, which it never ends, and writes its number into `folder`.

    Not in the driver itself, whose end nothing but the driver sees.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        if multiprocessing.parent_process() is not None:
            sleeper = subprocess.Popen(["sleep", "600"])
            (Path(folder) / str(sleeper.pid)).touch()


class Stuck(StartsAProcess):
    """Never comes back from its first step: it is in C code that keeps Python's lock."""

    def step(self, action: Any) -> Any:
        if multiprocessing.parent_process() is None:  # the driver's, which looks at one step
            return super().step(action)
        return sum(itertools.repeat(0))


class DiesThreeTimes(CartPoleEnv):
    """Takes its process along in its 20th step, until three files in `folder` say so."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder, self._n_steps = Path(folder), 0

    def step(self, action: Any) -> Any:
        self._n_steps += 1
        n_deaths = len(list(self._folder.iterdir()))
        if self._n_steps == 20 and n_deaths < 3:
            (self._folder / str(n_deaths)).touch()
            os._exit(1)
        return super().step(action)


for world in (StartsAProcess, Stuck, DiesThreeTimes):
    gymnasium.register(f"{world.__name__}-v0", world, max_episode_steps=500)  # type: ignore[arg-type]
