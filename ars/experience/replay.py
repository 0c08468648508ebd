"""Replay buffers: what happened, to be learned from again and again. NumPy alone.

Time runs along the rows and environments along the columns; the newest row takes the oldest's
place. n-step returns (Sutton, 1988) are folded in as rewards arrive: the row of step t holds

    obs_t, action_t, sum_{k<m} gamma^k r_{t+k}, obs_{t+m}, gamma^m or 0

with m = n, or less where the episode ended before. Termination makes the last of them 0: there is
nothing to bootstrap from. Truncation leaves it, and obs_{t+m} is then the episode's final
observation, never the next episode's first. A row is drawn only once nothing can be added to it.

Images are kept as frames: a frame that stands in several stacks is kept once, and stacks are put
together again when drawn. A row names its frames, so no stack reaches across an episode's border.
Frames alone may lie elsewhere than in the main memory: they are what is large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ars.experience.storage import (
    Arrays,
    Frames,
    HostMemory,
    Indices,
    NewMemory,
    Store,
    Vectors,
    put,
)


class ReplaySamples(NamedTuple):
    """Transitions drawn, B of them; the buffer's own arrays, which the next draw overwrites.

    `obs`, `next_obs`: [B, *shape], float32, or bytes where the frames' memory puts them;
    `actions`: int64 [B]; `returns`: float32 [B]; `discounts`: float32 [B], what multiplies the
    value of `next_obs`; `weights`: float32 [B], importance weights; `indices`: [B], to name the
    transitions by.
    """

    obs: Any
    actions: NDArray[np.int64]
    returns: NDArray[np.float32]
    next_obs: Any
    discounts: NDArray[np.float32]
    weights: NDArray[np.float32]
    indices: Indices


class ReplayBuffer:
    """The latest transitions of several environments, drawn uniformly (Lin, 1992).

    `capacity`: transitions of all environments together, rounded down to whole rows; `shape`: of
    an observation. Observations of a `dtype` of one byte are kept as frames, of which each holds
    `n_stacked`, those of consecutive steps, and which lie in a `memory`; others as float32.
    """

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        shape: tuple[int, ...],
        *,
        dtype: Any = np.float32,
        n_stacked: int = 1,
        memory: NewMemory = HostMemory,
        n_step: int = 1,
        gamma: float = 0.99,
    ) -> None:
        self._rows = capacity // n_envs
        if self._rows < n_step:
            raise ValueError(f"room for {capacity} transitions of {n_envs} environments")
        self.n_envs, self.n_step, self._powers = n_envs, n_step, gamma ** np.arange(n_step + 1)
        self._store: Store
        if np.dtype(dtype).itemsize > 1:
            self._store = Vectors(self._rows, n_envs, shape)
        else:
            self._store = Frames(self._rows, n_envs, shape, np.dtype(dtype), n_stacked, memory)
        self._actions = np.zeros((self._rows, n_envs), np.int64)
        self._returns = np.zeros((self._rows, n_envs), np.float32)
        self._discounts = np.zeros((self._rows, n_envs), np.float32)
        self._open = np.zeros((self._rows, n_envs), np.bool_)  # more rewards may come
        self._added = 0  # rows ever added
        self._first = 0  # the oldest row still there, counted likewise
        self._pairs: dict[int, Any] = {}
        self._batches: dict[int, ReplaySamples] = {}

    def __len__(self) -> int:
        """Transitions that may be drawn."""
        return max(0, self._added - (self.n_step - 1) - self._first) * self.n_envs

    @property
    def capacity(self) -> int:
        """The most transitions there may be."""
        return self._rows * self.n_envs

    @property
    def nbytes(self) -> int:
        """Bytes of memory, and about as many in a checkpoint."""
        own = (self._actions, self._returns, self._discounts, self._open)
        return self._store.nbytes + sum(array.nbytes for array in own)

    def add(
        self,
        obs: NDArray[Any],
        actions: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        next_obs: NDArray[Any],
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add a step of every environment.

        All [n_envs, ...]; `next_obs`: what the step gave, so the final observation where an
        episode ended. `cut`: returns end here as at a termination, but the episode goes on (a
        life lost in a game).
        """
        row = self._added % self._rows
        self._store.begin(row, obs, next_obs)
        self._actions[row] = actions
        self._returns[row] = rewards
        final = terminated if cut is None else terminated | cut
        bootstrapped = ~final
        self._discounts[row] = bootstrapped * self._powers[1]
        if self.n_step > 1:
            self._fold_into_earlier(row, rewards, bootstrapped)
        self._added += 1
        self._first = max(self._first, self._added - self._rows)
        while self._store.lost(self._first % self._rows):
            self._first += 1
        ended = terminated | truncated
        self._open[row] = ~(final | truncated)
        if ended.any():
            self._store.end(ended)

    def _fold_into_earlier(
        self, row: int, rewards: NDArray[Any], bootstrapped: NDArray[np.bool_]
    ) -> None:
        """Continue the n-step returns of the rows before this one."""
        still = self._open[row - 1]
        for back in range(1, min(self.n_step, self._added + 1)):
            earlier = (row - back) % self._rows
            still = still & self._open[earlier]
            # A whole row costs a third of a masked one.
            envs = still if not still.all() else slice(None)
            self._returns[earlier, envs] += self._powers[back] * rewards[envs]
            self._discounts[earlier, envs] = self._powers[back + 1] * bootstrapped[envs]
            self._store.extend(earlier, row, envs)

    def sample(self, rng: np.random.Generator, n: int) -> ReplaySamples:
        """Draw `n` transitions, with replacement. Raises: ValueError where there are none."""
        if not len(self):
            raise ValueError("nothing to draw from yet")
        start = self._first * self.n_envs
        indices = (rng.integers(0, len(self), n) + start) % self.capacity
        return self._batch(indices)

    def _batch(self, indices: Indices) -> ReplaySamples:
        n = len(indices)
        batch = self._batches.get(n) or self._new_batch(n)
        self._store.draw(indices, self._pairs[n])
        self._actions.take(indices, out=batch.actions, mode="wrap")
        self._returns.take(indices, out=batch.returns, mode="wrap")
        self._discounts.take(indices, out=batch.discounts, mode="wrap")
        batch.indices[:] = indices
        return batch

    def _new_batch(self, n: int) -> ReplaySamples:
        self._pairs[n] = self._store.room(n)
        self._batches[n] = ReplaySamples(
            self._pairs[n][:, 0],
            np.empty(n, np.int64),
            np.empty(n, np.float32),
            self._pairs[n][:, 1],
            np.empty(n, np.float32),
            np.ones(n, np.float32),
            np.empty(n, np.intp),
        )
        return self._batches[n]

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Arrays and JSON values from which `restore` goes on exactly."""
        rows = min(self._added, self._rows)
        arrays, values = self._store.state(rows)
        arrays |= {
            "actions": self._actions[:rows].copy(),
            "returns": self._returns[:rows].copy(),
            "discounts": self._discounts[:rows].copy(),
            "open": self._open[:rows].copy(),
        }
        return arrays, {**values, "added": self._added, "first": self._first}

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take back a `state`. Raises: KeyError or ValueError where it is not one."""
        self._store.restore(arrays, values)
        put(self._actions, arrays["actions"])
        put(self._returns, arrays["returns"])
        put(self._discounts, arrays["discounts"])
        put(self._open, arrays["open"])
        self._added, self._first = int(values["added"]), int(values["first"])
