"""Random numbers from counters: every draw is a function of (seed, stream, counters) alone.

No generator is shared or keeps state from one use to the next, so it does not matter which worker
draws, or how often.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What a draw is for; the first counter of every seed."""

    DIRECTIONS = 0
    TRAINING = 1  # resets of training rollouts
    EVALUATION = 2  # resets of scheduled evaluations: the same every time
    INITIAL_WEIGHTS = 3
    FINAL_EVALUATION = 4  # also `python -m ars.evaluate`
    RENDERING = 5
    ACTIONS = 6


def _sequence(seed: int, stream: Stream, counters: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(int(stream), *counters))


def generator(seed: int, stream: Stream, *counters: int) -> np.random.Generator:
    """A fresh PCG64 generator for these counters."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, stream, counters)))


def direction(seed: int, iteration: int, index: int, size: int) -> NDArray[np.float64]:
    """Direction `index` of an iteration: standard normal, float64 [size]."""
    return generator(seed, Stream.DIRECTIONS, iteration, index).standard_normal(size)


def reset_seed(seed: int, stream: Stream, *counters: int) -> int:
    """A 32-bit seed for `env.reset`."""
    return int(_sequence(seed, stream, counters).generate_state(1)[0])
