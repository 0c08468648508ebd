"""Finite observation spaces: their states are numbered, and networks see which one it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class FiniteSpec:
    """The states of a Discrete space, of a MultiDiscrete, or of a Tuple of Discrete spaces.

    States are numbered from 0, the last number of an observation counting fastest. Tables have a
    row a state; networks and linear policies see a vector that is 1 at the state's number and 0
    elsewhere, as in Stable-Baselines3.

    Attributes:
        shape: of an observation; () for a Discrete space.
        sizes: how many values each number of an observation has.
        starts: the least value of each.
    """

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    starts: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of states."""
        return math.prod(self.sizes)

    @property
    def dtype(self) -> str:
        """The type of observations in arrays."""
        return "int64"

    def state(self, obs: Any) -> int:
        """The number of an observation's state. Raises: ValueError if it is none of the space."""
        state, values = 0, np.ravel(obs).tolist() if self.shape else [obs]
        for value, size, start in zip(values, self.sizes, self.starts, strict=True):
            if not start <= value < start + size or value % 1:
                raise self._outside(obs)
            state = state * size + int(value) - start
        return state

    def one_hot(self, obs: ArrayLike) -> NDArray[np.float64]:
        """The vector of an observation's state, float64 [size]. Raises: ValueError."""
        vector = np.zeros(self.size)
        vector[self.state(obs)] = 1.0
        return vector

    def one_hots(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        """The same of several observations, [n, *shape] -> float32 [n, size]."""
        vectors = np.zeros((len(obs), self.size), np.float32)
        places = (obs.reshape(len(obs), -1) - np.array(self.starts)).astype(np.int64).T
        try:
            vectors[np.arange(len(obs)), np.ravel_multi_index(tuple(places), self.sizes)] = 1.0
        except ValueError:
            raise next(self._outside(one) for one in obs if not self._has(one)) from None
        return vectors

    def _has(self, obs: Any) -> bool:
        try:
            self.state(obs)
        except ValueError:
            return False
        return True

    def _outside(self, obs: Any) -> ValueError:
        bounds = [
            f"{start} to {start + size - 1}"
            for size, start in zip(self.sizes, self.starts, strict=True)
        ]
        shown = " ".join(f"{value:g}" for value in np.ravel(obs).tolist())
        return ValueError(f"observation {shown}: not in its space, {' and '.join(bounds)}")
