"""A clock: sines and cosines of the time since the reset, as further numbers of an observation.

    envs.make("Minitaur", clock=6.4)           a rhythm of 6.4 steps a second
    envs.make("Hopper", clock=[1.5, 3.0])      two

With them a policy without memory can keep a rhythm of its own, as those can that modulate a
generator of trajectories (Iscen et al., 2018, arXiv 1910.02812) or joints that oscillate (Raffin et
al., 2023, arXiv 2310.05808).
"""

from __future__ import annotations

import math
import sys
from numbers import Real
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from envs.errors import WrongOptions

OPTION = "clock"  # of `envs.make`

Observation = NDArray[Any]


def frequencies_in(given: Any) -> list[float]:
    """The frequencies that a user or a file gives: one or several. Raises: WrongOptions."""
    numbers = list(given) if isinstance(given, list | tuple) else [given]
    for number in numbers:
        real = isinstance(number, Real) and not isinstance(number, bool)
        if not real or not 0 < number <= sys.float_info.max:
            raise WrongOptions(f"`clock` {number!r}: must be a frequency in hertz, above 0")
    return [float(number) for number in numbers]


def with_clock(env: gymnasium.Env[Any, Any], frequencies: list[float]) -> Clock:
    """An environment with a clock, closed again if it cannot have one. Raises: WrongOptions."""
    try:
        return Clock(env, frequencies)
    except WrongOptions:
        env.close()
        raise


def without_clock(env: gymnasium.Env[Any, Any]) -> Any:
    """What is around an environment but for its clock, if it has one."""
    return env.env if isinstance(env, Clock) else env


class Clock(gymnasium.Wrapper[Observation, Any, Observation, Any], RecordConstructorArgs):
    """Appends sin(2 pi f t) and cos(2 pi f t) for each frequency f to observations, float [n].

    Args:
        env: the environment.
        frequencies: in hertz, for a time t in seconds of its films, whose `render_fps` pictures a
            second are a step each.

    Raises:
        WrongOptions: observations are no vectors of floats, the environment has no `render_fps`, or
            a frequency is more than half of it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], frequencies: list[float]) -> None:
        RecordConstructorArgs.__init__(self, frequencies=frequencies)
        super().__init__(env)
        inner = env.observation_space
        if not isinstance(inner, spaces.Box) or inner.dtype.kind != "f" or len(inner.shape) != 1:
            raise WrongOptions("`clock`: is for observations that are vectors of floats")
        rate = env.metadata.get("render_fps")
        if not isinstance(rate, int | float) or not rate > 0:
            raise WrongOptions(
                "`clock`: the environment does not say how many steps a second has, by `render_fps`"
            )
        for frequency in frequencies:
            if frequency > rate / 2:
                raise WrongOptions(
                    f"`clock` {frequency:g}: {rate:g} steps a second show no more than "
                    f"{rate / 2:g} hertz"
                )
        self._per_step = [2 * math.pi * frequency / rate for frequency in frequencies]
        one = np.ones(2 * len(frequencies), inner.dtype)
        bounds = np.append(inner.low, -one), np.append(inner.high, one)
        self.observation_space = spaces.Box(*bounds, dtype=inner.dtype.type)
        self._steps = 0

    def after(self, steps: int) -> Observation:
        """What is appended after so many steps: [2 n], sine and cosine of each frequency."""
        angles = [steps * angle for angle in self._per_step]
        times = [f(angle) for angle in angles for f in (math.sin, math.cos)]
        return np.array(times, self.observation_space.dtype)

    def reset(self, **kwargs: Any) -> tuple[Observation, dict[str, Any]]:
        """Start an episode, and the clock."""
        obs, info = self.env.reset(**kwargs)
        self._steps = 0
        return np.append(obs, self.after(0)), info

    def step(self, action: Any) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        obs, *outcome = self.env.step(action)
        self._steps += 1
        return np.append(obs, self.after(self._steps)), *outcome  # type: ignore[return-value]
