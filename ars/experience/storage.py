"""How a replay buffer keeps observations: vectors in pairs, images a frame at a time.

A frame that stands in several stacks is kept once, and stacks are put together again when drawn. A
row names its frames, so no stack reaches across an episode's border. Frames alone may lie elsewhere
than in the main memory: they are what is large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


Indices = NDArray[np.intp]


Envs = NDArray[np.bool_] | slice


# Makes a memory of so many frames of a shape and a type.
NewMemory = Callable[[int, tuple[int, ...], np.dtype[Any]], "Memory"]


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
