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

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Indices = NDArray[np.intp]
Envs = NDArray[np.bool_] | slice
# Makes a memory of so many frames of a shape and a type.
NewMemory = Callable[[int, tuple[int, ...], np.dtype[Any]], "Memory"]


class Batch(NamedTuple):
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


class Store(Protocol):
    """How the observations of `n_rows` times `n_envs` transitions are kept."""

    nbytes: int

    def begin(self, row: int, obs: NDArray[Any], next_obs: NDArray[Any]) -> None:
        """Write a row anew; both [n_envs, *shape]."""

    def extend(self, earlier: int, row: int, envs: Envs) -> None:
        """Give row `earlier` the next observation of `row`, for the environments marked."""

    def end(self, ended: NDArray[np.bool_]) -> None:
        """The episodes of the environments marked are over."""

    def lost(self, row: int) -> bool:
        """Whether the observations of a row have been overwritten."""

    def room(self, n: int) -> Any:
        """Where `draw` may write n transitions: [n, 2, *shape], all of its own."""

    def draw(self, indices: Indices, out: Any) -> None:
        """Copy out both ends of the transitions `indices` (row * n_envs + environment).

        `out`: [B, 2, *shape], a `room`.
        """

    def state(self, rows: int) -> tuple[Arrays, dict[str, Any]]:
        """What the first `rows` rows hold."""

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take back a `state`."""


class Vectors:
    """Observations as float32, both ends of each transition beside each other."""

    def __init__(self, n_rows: int, n_envs: int, shape: tuple[int, ...]) -> None:
        self._pairs = np.zeros((n_rows, n_envs, 2, *shape), np.float32)
        self._flat = self._pairs.reshape(n_rows * n_envs, 2, *shape)
        self.nbytes = self._pairs.nbytes

    def begin(self, row: int, obs: NDArray[Any], next_obs: NDArray[Any]) -> None:
        """See Store."""
        pair = self._pairs[row]
        pair[:, 0] = obs
        pair[:, 1] = next_obs

    def extend(self, earlier: int, row: int, envs: Envs) -> None:
        """See Store."""
        self._pairs[earlier, envs, 1] = self._pairs[row, envs, 1]

    def end(self, ended: NDArray[np.bool_]) -> None:
        """See Store."""

    def lost(self, row: int) -> bool:
        """See Store."""
        return False

    def room(self, n: int) -> NDArray[np.float32]:
        """See Store."""
        return np.empty((n, *self._flat.shape[1:]), np.float32)

    def draw(self, indices: Indices, out: NDArray[np.float32]) -> None:
        """See Store."""
        # In another mode than "raise", `take` writes to `out` without a copy of its own.
        self._flat.take(indices, axis=0, out=out, mode="wrap")

    def state(self, rows: int) -> tuple[Arrays, dict[str, Any]]:
        """See Store."""
        return {"pairs": self._pairs[:rows].copy()}, {}

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """See Store."""
        put(self._pairs, arrays["pairs"])


class Memory(Protocol):
    """Where frames lie: a fixed number of arrays of one shape and type, zero at first."""

    def __len__(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def write(self, place: int, frame: NDArray[Any]) -> None:
        """Keep a frame."""

    def room(self, shape: tuple[int, ...]) -> Any:
        """Where `read` may write: an array of frames, [*shape, *frame]."""

    def read(self, places: Indices, out: Any) -> None:
        """Copy the frames at `places` [*shape] into a `room` of that shape."""

    def first(self, n: int) -> NDArray[Any]:
        """A copy of the first n frames."""

    def restore(self, frames: NDArray[Any]) -> None:
        """Write the first frames back. Raises: ValueError where they do not fit."""


class HostMemory:
    """Frames in the main memory. See Memory."""

    def __init__(self, n_frames: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._frames = np.zeros((n_frames, *shape), dtype)
        self.nbytes = self._frames.nbytes

    def __len__(self) -> int:
        return len(self._frames)

    def write(self, place: int, frame: NDArray[Any]) -> None:
        """See Memory."""
        self._frames[place] = frame

    def room(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """See Memory."""
        return np.empty((*shape, *self._frames.shape[1:]), self._frames.dtype)

    def read(self, places: Indices, out: NDArray[Any]) -> None:
        """See Memory."""
        self._frames.take(places, axis=0, out=out, mode="wrap")

    def first(self, n: int) -> NDArray[Any]:
        """See Memory."""
        return self._frames[:n].copy()

    def restore(self, frames: NDArray[Any]) -> None:
        """See Memory."""
        put(self._frames, frames)


class Frames:
    """Stacked images [n_stacked, height, width] (or [n_stacked * c, ...]) of bytes, a frame once.

    A frame's number counts all frames ever seen; it lies at that number modulo the room there is.
    There is room for a sixteenth more frames than transitions, for those that begin an episode.
    Where episodes are so short that this is too little, the oldest transitions are lost earlier.
    """

    def __init__(
        self,
        n_rows: int,
        n_envs: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        n_stacked: int,
        memory: NewMemory,
    ) -> None:
        if not shape or shape[0] % n_stacked:
            raise ValueError(f"images of shape {shape} are no stack of {n_stacked}")
        # The last term is what the newest row may need, however short the episodes are.
        n_frames = n_rows * n_envs * 17 // 16 + (n_stacked + 1) ** 2 * n_envs
        self._frame_shape = (shape[0] // n_stacked, *shape[1:])
        self._frames = memory(n_frames, self._frame_shape, dtype)
        self._shape, self._n_stacked, self._seen = shape, n_stacked, 0
        # The numbers of the frames in each row's two stacks, oldest first.
        self._stacks = np.zeros((n_rows, n_envs, 2, n_stacked), np.int64)
        self._flat = self._stacks.reshape(n_rows * n_envs, 2, n_stacked)
        self._current = np.zeros((n_envs, n_stacked), np.int64)
        self._fresh = np.ones(n_envs, np.bool_)
        self.nbytes = self._frames.nbytes + self._stacks.nbytes

    def begin(self, row: int, obs: NDArray[Any], next_obs: NDArray[Any]) -> None:
        """See Store."""
        depth = self._frame_shape[0]
        for env in self._fresh.nonzero()[0].tolist():
            self._current[env] = self._first_stack(obs[env].reshape(-1, *self._frame_shape))
        self._fresh[:] = False
        stack = self._stacks[row]
        stack[:, 0] = self._current
        self._current[:, :-1] = self._current[:, 1:]
        self._current[:, -1] = [self._keep(newest) for newest in next_obs[:, -depth:]]
        stack[:, 1] = self._current

    def _first_stack(self, frames: NDArray[Any]) -> list[int]:
        """Numbers of an episode's first frames, which are usually one frame several times."""
        numbers: list[int] = []
        for index, frame in enumerate(frames):
            same = index > 0 and np.array_equal(frame, frames[index - 1])
            numbers.append(numbers[-1] if same else self._keep(frame))
        return numbers

    def _keep(self, frame: NDArray[Any]) -> int:
        number = self._seen
        self._frames.write(number % len(self._frames), frame)
        self._seen += 1
        return number

    def extend(self, earlier: int, row: int, envs: Envs) -> None:
        """See Store."""
        self._stacks[earlier, envs, 1] = self._stacks[row, envs, 1]

    def end(self, ended: NDArray[np.bool_]) -> None:
        """See Store."""
        self._fresh |= ended

    def lost(self, row: int) -> bool:
        """See Store."""
        return bool(self._stacks[row, :, 0].min() < self._seen - len(self._frames))

    def room(self, n: int) -> Any:
        """See Store."""
        return self._frames.room((n, 2, self._n_stacked)).reshape(n, 2, *self._shape)

    def draw(self, indices: Indices, out: Any) -> None:
        """See Store."""
        places = self._flat[indices] % len(self._frames)
        self._frames.read(places, out.reshape(*places.shape, *self._frame_shape))

    def state(self, rows: int) -> tuple[Arrays, dict[str, Any]]:
        """See Store."""
        arrays: Arrays = {
            "frames": self._frames.first(self._seen),
            "stacks": self._stacks[:rows].copy(),
            "current": self._current.copy(),
            "fresh": self._fresh.copy(),
        }
        return arrays, {"seen": self._seen}

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """See Store."""
        self._frames.restore(arrays["frames"])
        put(self._stacks, arrays["stacks"])
        put(self._current, arrays["current"])
        put(self._fresh, arrays["fresh"])
        self._seen = int(values["seen"])


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
        self._batches: dict[int, Batch] = {}

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

    def sample(self, rng: np.random.Generator, n: int) -> Batch:
        """Draw `n` transitions, with replacement. Raises: ValueError where there are none."""
        if not len(self):
            raise ValueError("nothing to draw from yet")
        start = self._first * self.n_envs
        indices = (rng.integers(0, len(self), n) + start) % self.capacity
        return self._batch(indices)

    def _batch(self, indices: Indices) -> Batch:
        n = len(indices)
        batch = self._batches.get(n) or self._new_batch(n)
        self._store.draw(indices, self._pairs[n])
        self._actions.take(indices, out=batch.actions, mode="wrap")
        self._returns.take(indices, out=batch.returns, mode="wrap")
        self._discounts.take(indices, out=batch.discounts, mode="wrap")
        batch.indices[:] = indices
        return batch

    def _new_batch(self, n: int) -> Batch:
        self._pairs[n] = self._store.room(n)
        self._batches[n] = Batch(
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


def put(target: NDArray[Any], stored: NDArray[Any]) -> None:
    """Write the stored beginning of an array back. Raises: ValueError where it does not fit."""
    if (
        stored.dtype != target.dtype
        or stored.shape[1:] != target.shape[1:]
        or len(stored) > len(target)
    ):
        raise ValueError(
            f"array of shape {stored.shape} and type {stored.dtype}, not {target.shape}"
        )
    target[: len(stored)] = stored


class SumTree:
    """Numbers of at least 0, any of them found by its share of their sum, all in NumPy.

    A complete binary tree whose every node is the sum of its two children, so no rounding error
    builds up over time. Sums are made when they are asked for, for all changes since in one pass
    a level: 17 passes for 100,000 numbers, each of a few microseconds.
    """

    def __init__(self, size: int) -> None:
        self._depth = max(0, size - 1).bit_length()
        self._leaves = 1 << self._depth
        self._nodes = np.zeros(2 * self._leaves)  # children of i: 2 i and 2 i + 1; root: 1
        self._changed: list[Indices] = []
        self.values = self._nodes[self._leaves : self._leaves + size]

    def set(self, indices: Indices, values: NDArray[np.float64] | float) -> None:
        """Change some numbers. `indices`: [B]."""
        self.values[indices] = values
        self._changed.append(indices)

    def total(self) -> float:
        """The sum of all."""
        if self._changed:
            nodes = np.concatenate(self._changed) + self._leaves
            self._changed.clear()
            for _ in range(self._depth):
                nodes >>= 1
                left = 2 * nodes
                self._nodes[nodes] = self._nodes[left] + self._nodes[left + 1]
        return float(self._nodes[1])

    def find(self, masses: NDArray[np.float64]) -> Indices:
        """The first index up to which the numbers' sum exceeds each mass; never that of a 0.

        `masses`: float64 [B], from 0 to `total()`, which was called after the last `set`.
        """
        nodes = np.ones(len(masses), np.intp)
        rest = masses.copy()
        for _ in range(self._depth):
            nodes *= 2
            left = self._nodes[nodes]
            # Rounding could lead to the right of everything: not where there is nothing.
            right = (rest >= left) & (self._nodes[nodes + 1] > 0.0)
            rest -= left * right
            nodes += right
        found: Indices = nodes - self._leaves
        return found


class PrioritizedReplayBuffer(ReplayBuffer):
    """Transitions drawn in proportion to priority (Schaul et al., 2016, section 3.3).

    P(i) = p_i^alpha / sum_k p_k^alpha with p_i = |delta_i| + epsilon; a new transition has the
    largest priority seen so far. Call `update` with the errors of what was drawn.
    """

    EPSILON = 1e-6

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        shape: tuple[int, ...],
        *,
        alpha: float,
        **details: Any,
    ) -> None:
        super().__init__(capacity, n_envs, shape, **details)
        self.alpha, self._largest = alpha, 1.0
        self._tree = SumTree(self.capacity)
        self._columns = np.arange(n_envs)

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
        """See ReplayBuffer; what may not be drawn has priority 0."""
        first = self._first
        super().add(obs, actions, rewards, terminated, truncated, next_obs, cut)
        for gone in range(first, self._first):
            self._set_row(gone, 0.0)
        drawable = self._added - self.n_step
        if drawable >= self._first:
            self._set_row(drawable, self._largest)

    def _set_row(self, row: int, priority: float) -> None:
        self._tree.set(row % self._rows * self.n_envs + self._columns, priority)

    def sample_weighted(self, rng: np.random.Generator, n: int, beta: float) -> Batch:
        """Draw `n` transitions, one from each n-th of the total priority (appendix B.2.1).

        Their weights are (N P(i))^-beta, divided by the largest of the batch (section 3.4).
        """
        if not len(self):
            raise ValueError("nothing to draw from yet")
        total = self._tree.total()
        indices = self._tree.find((np.arange(n) + rng.random(n)) * (total / n))
        batch = self._batch(indices)
        weights = (self._tree.values[indices] * (len(self) / total)) ** -beta
        batch.weights[:] = weights / weights.max()
        return batch

    def update(self, indices: Indices, errors: NDArray[np.floating[Any]]) -> None:
        """Set the priorities of transitions from their temporal-difference errors, [B]."""
        priorities = (np.abs(errors).astype(np.float64) + self.EPSILON) ** self.alpha
        self._largest = max(self._largest, float(priorities.max()))
        self._tree.set(indices, priorities)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """See ReplayBuffer."""
        arrays, values = super().state()
        arrays["priorities"] = self._tree.values.copy()
        return arrays, {**values, "largest": self._largest}

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """See ReplayBuffer."""
        super().restore(arrays, values)
        stored = arrays["priorities"]
        put(self._tree.values, stored)
        self._tree.set(np.arange(len(stored)), stored)
        self._largest = float(values["largest"])
