"""Replay buffers: transitions kept to be learned from repeatedly.

Rows are steps and columns are environments; the newest row replaces the oldest. n-step returns
(Sutton, 1988) are accumulated as rewards arrive: the row of step t holds

    obs_t, action_t, sum_{k<m} gamma^k r_{t+k}, obs_{t+m}, gamma^m or 0

with m = n, or less where the episode ended before. The last entry is 0 after a termination: there
is nothing to bootstrap from. After a truncation it is gamma^m, and obs_{t+m} is the episode's final
observation, never the next episode's first. A row is drawn only once it is complete.

`ars.experience.storage` keeps the observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ars.common.settings import counted
from ars.experience.storage import (
    HostFrameStorage,
    Indices,
    MakeFrameStorage,
    ObservationStorage,
    StackedFrameStorage,
    VectorStorage,
)
from policies.state import State


class ReplaySamples(NamedTuple):
    """B transitions drawn, in the buffer's own arrays, which the next draw overwrites.

    Attributes:
        obs: [B, *shape], float32, or bytes where the frames are stored.
        actions: int64 [B].
        returns: float32 [B].
        next_obs: like `obs`.
        discounts: float32 [B], the factors of the values of `next_obs`.
        weights: float32 [B], importance sampling weights.
        indices: [B], of the transitions in the buffer.
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

    Args:
        capacity: transitions of all environments together, rounded down to whole rows.
        n_envs: environments whose steps are added together.
        shape: of an observation.
        dtype: of an observation; where it has one byte, images are kept as frames, else vectors
            and single numbers as float32.
        n_stacked: frames in an image, those of consecutive steps.
        frame_storage: makes the storage of the frames.
        n_step: the most rewards in a return.
        gamma: discount factor.
        n_actions: how many there are; a state with others is refused.

    Raises:
        ValueError: the capacity is too small for one return.
        MemoryError: there is not enough memory.
    """

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        shape: tuple[int, ...],
        *,
        dtype: Any = np.float32,
        n_stacked: int = 1,
        frame_storage: MakeFrameStorage = HostFrameStorage,
        n_step: int = 1,
        gamma: float = 0.99,
        n_actions: int = 2**31,
    ) -> None:
        self._rows = capacity // n_envs
        if self._rows < n_step:
            raise ValueError(
                f"{capacity} transitions of {n_envs} environments are too few for returns of "
                f"{counted(n_step, 'step')}"
            )
        self._n_actions = n_actions
        self.n_envs, self.n_step, self._powers = n_envs, n_step, gamma ** np.arange(n_step + 1)
        self._storage: ObservationStorage
        if np.dtype(dtype).itemsize > 1 or not shape:
            self._storage = VectorStorage(self._rows, n_envs, shape)
        else:
            self._storage = StackedFrameStorage(
                self._rows, n_envs, shape, np.dtype(dtype), n_stacked, frame_storage
            )
        self._actions = np.zeros((self._rows, n_envs), np.int64)
        self._returns = np.zeros((self._rows, n_envs), np.float32)
        self._discounts = np.zeros((self._rows, n_envs), np.float32)
        self._open = np.zeros((self._rows, n_envs), np.bool_)  # more rewards may come
        self._columns: dict[str, NDArray[Any]] = {
            "actions": self._actions,
            "returns": self._returns,
            "discounts": self._discounts,
            "open": self._open,
        }
        self._added = 0  # rows ever added
        self._first = 0  # the oldest row still held, numbered likewise
        self._pairs: dict[int, Any] = {}
        self._batches: dict[int, ReplaySamples] = {}

    def __len__(self) -> int:
        """Transitions that may be drawn."""
        return max(0, self._added - (self.n_step - 1) - self._first) * self.n_envs

    @property
    def capacity(self) -> int:
        """The most transitions it can hold."""
        return self._rows * self.n_envs

    @property
    def nbytes(self) -> int:
        """Bytes of memory, and about as many in a checkpoint."""
        return self._storage.nbytes + sum(column.nbytes for column in self._columns.values())

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

        All are [n_envs, ...]. `next_obs`: what the step led to, so the final observation where an
        episode ended. `cut`: returns end here as at a termination, but the episode goes on (a life
        lost in a game).
        """
        row = self._added % self._rows
        self._storage.write(row, obs, next_obs)
        self._actions[row] = actions
        self._returns[row] = rewards
        final = terminated if cut is None else terminated | cut
        bootstrapped = ~final
        self._discounts[row] = bootstrapped * self._powers[1]
        if self.n_step > 1:
            self._fold_into_earlier(row, rewards, bootstrapped)
        self._added += 1
        self._first = max(self._first, self._added - self._rows)
        while self._storage.is_overwritten(self._first % self._rows):
            self._first += 1
        ended = terminated | truncated
        self._open[row] = ~(final | truncated)
        if ended.any():
            self._storage.end_episodes(ended)

    def end_episodes(self, which: Sequence[int]) -> None:
        """Take the last step of the environments `which` as the last of its episode, cut short."""
        ended = np.isin(np.arange(self.n_envs), which)
        if self._added:
            self._open[(self._added - 1) % self._rows, ended] = False
            self._storage.end_episodes(ended)

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
            self._storage.extend(earlier, row, envs)

    def sample(self, rng: np.random.Generator, n: int) -> ReplaySamples:
        """Draw `n` transitions, with replacement. Raises: ValueError if there are none."""
        if not len(self):
            raise ValueError("nothing to draw from yet")
        start = self._first * self.n_envs
        indices = (rng.integers(0, len(self), n) + start) % self.capacity
        return self._batch(indices)

    def _batch(self, indices: Indices) -> ReplaySamples:
        n = len(indices)
        batch = self._batches.get(n) or self._new_batch(n)
        self._storage.read(indices, self._pairs[n])
        self._actions.take(indices, out=batch.actions, mode="wrap")
        self._returns.take(indices, out=batch.returns, mode="wrap")
        self._discounts.take(indices, out=batch.discounts, mode="wrap")
        batch.indices[:] = indices
        return batch

    def _new_batch(self, n: int) -> ReplaySamples:
        self._pairs[n] = self._storage.allocate(n)
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

    def state(self) -> State:
        """The rows in use."""
        rows = min(self._added, self._rows)
        state = self._storage.state(rows)
        state.arrays |= {name: column[:rows].copy() for name, column in self._columns.items()}
        state.values |= {"added": self._added, "first": self._first}
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        added = state.count("added")
        rows = min(added, self._rows)
        first = state.count("first", added - rows, added)
        bounds = {"actions": (0, self._n_actions - 1), "discounts": (0.0, 1.0)}
        columns = {
            name: state.array(name, (rows, self.n_envs), column.dtype, *bounds.get(name, ()))
            for name, column in self._columns.items()
        }
        self._storage.restore(state, rows)
        for name, column in columns.items():
            self._columns[name][:rows] = column
        self._added, self._first = added, first
        if first < added and self._storage.is_overwritten(first % self._rows):
            raise state.error("first", f"row {first}, whose frames are no longer there")
