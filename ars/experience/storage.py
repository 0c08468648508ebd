"""How a replay buffer keeps observations: vectors in pairs, images a frame at a time.

A frame that is part of several stacks is kept once, and stacks are reassembled when drawn. Each row
lists its frames, so no stack spans two episodes. Only frames may be kept elsewhere than in main
memory, since they take most of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.state import State

Indices = NDArray[np.intp]
EnvMask = NDArray[np.bool_] | slice

# Makes a storage, given the number of frames, their shape and their type.
MakeFrameStorage = Callable[[int, tuple[int, ...], np.dtype[Any]], "FrameStorage"]


class ObservationStorage(Protocol):
    """How the observations of `n_rows` times `n_envs` transitions are kept."""

    nbytes: int

    def write(self, row: int, obs: NDArray[Any], next_obs: NDArray[Any]) -> None:
        """Overwrite a row with both ends of its transitions, [n_envs, *shape] each."""

    def extend(self, earlier: int, row: int, envs: EnvMask) -> None:
        """Give row `earlier` the next observation of `row`, in the environments selected."""

    def end_episodes(self, ended: NDArray[np.bool_]) -> None:
        """Begin a new episode in the environments selected."""

    def is_overwritten(self, row: int) -> bool:
        """Whether newer observations have replaced a row's."""

    def allocate(self, n: int) -> Any:
        """An array that `read` may write n transitions into: [n, 2, *shape]."""

    def read(self, indices: Indices, out: Any) -> None:
        """Copy out both ends of the transitions `indices` (row * n_envs + environment).

        `out`: [B, 2, *shape], from `allocate`.
        """

    def state(self, rows: int) -> State:
        """What the first `rows` rows hold."""

    def restore(self, state: State, rows: int) -> None:
        """Restore a `state` of `rows` rows. Raises: ValueError."""


class VectorStorage:
    """Observations as float32, those of each transition's two ends next to each other."""

    def __init__(self, n_rows: int, n_envs: int, shape: tuple[int, ...]) -> None:
        self._pairs = np.zeros((n_rows, n_envs, 2, *shape), np.float32)
        self._flat = self._pairs.reshape(n_rows * n_envs, 2, *shape)
        self.nbytes = self._pairs.nbytes

    def write(self, row: int, obs: NDArray[Any], next_obs: NDArray[Any]) -> None:
        pair = self._pairs[row]
        pair[:, 0] = obs
        pair[:, 1] = next_obs

    def extend(self, earlier: int, row: int, envs: EnvMask) -> None:
        self._pairs[earlier, envs, 1] = self._pairs[row, envs, 1]

    def end_episodes(self, ended: NDArray[np.bool_]) -> None:
        """Nothing to do: observations do not depend on earlier ones."""

    def is_overwritten(self, row: int) -> bool:
        return False

    def allocate(self, n: int) -> NDArray[np.float32]:
        return np.empty((n, *self._flat.shape[1:]), np.float32)

    def read(self, indices: Indices, out: NDArray[np.float32]) -> None:
        # With any mode but "raise", `take` writes to `out` without an intermediate copy.
        self._flat.take(indices, axis=0, out=out, mode="wrap")

    def state(self, rows: int) -> State:
        return State({"pairs": self._pairs[:rows].copy()})

    def restore(self, state: State, rows: int) -> None:
        self._pairs[:rows] = state.array("pairs", (rows, *self._pairs.shape[1:]), np.float32)


class FrameStorage(Protocol):
    """A fixed number of frames of one shape and type, zero at first."""

    def __len__(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def write(self, place: int, frame: NDArray[Any]) -> None:
        """Keep a frame."""

    def allocate(self, shape: tuple[int, ...]) -> Any:
        """An array that `read` may write frames into: [*shape, *frame]."""

    def read(self, places: Indices, out: Any) -> None:
        """Copy the frames at `places` [*shape] into an array from `allocate` of that shape."""

    def first(self, n: int) -> NDArray[Any]:
        """A copy of the first n frames."""

    def load(self, frames: NDArray[Any]) -> None:
        """Write the first frames back; they have the shape and type of `first`."""


class HostFrameStorage:
    """Frames in main memory."""

    def __init__(self, n_frames: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._frames = np.zeros((n_frames, *shape), dtype)
        self.nbytes = self._frames.nbytes

    def __len__(self) -> int:
        return len(self._frames)

    def write(self, place: int, frame: NDArray[Any]) -> None:
        self._frames[place] = frame

    def allocate(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.empty((*shape, *self._frames.shape[1:]), self._frames.dtype)

    def read(self, places: Indices, out: NDArray[Any]) -> None:
        self._frames.take(places, axis=0, out=out, mode="wrap")

    def first(self, n: int) -> NDArray[Any]:
        return self._frames[:n].copy()

    def load(self, frames: NDArray[Any]) -> None:
        self._frames[: len(frames)] = frames


class StackedFrameStorage:
    """Stacked images [n_stacked, height, width] (or [n_stacked * c, ...]) of bytes, as frames.

    Frames are numbered in the order of storing, and kept at their number modulo the capacity, which
    is a sixteenth more than there are transitions, for the first frames of episodes. If episodes
    are so short that this is too little, the oldest transitions are lost earlier.
    """

    def __init__(
        self,
        n_rows: int,
        n_envs: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        n_stacked: int,
        frame_storage: MakeFrameStorage,
    ) -> None:
        if not shape or shape[0] % n_stacked:
            raise ValueError(f"images of shape {shape} are no stack of {n_stacked}")
        # The last term is what the newest row needs at most, however short the episodes are.
        n_frames = n_rows * n_envs * 17 // 16 + (n_stacked + 1) ** 2 * n_envs
        self._frame_shape = (shape[0] // n_stacked, *shape[1:])
        self._frames = frame_storage(n_frames, self._frame_shape, dtype)
        self._shape, self._dtype = shape, dtype
        self._n_stacked, self._seen = n_stacked, 0
        # The numbers of the frames in each row's two stacks, oldest first.
        self._stacks = np.zeros((n_rows, n_envs, 2, n_stacked), np.int64)
        self._flat = self._stacks.reshape(n_rows * n_envs, 2, n_stacked)
        self._current = np.zeros((n_envs, n_stacked), np.int64)
        self._fresh = np.ones(n_envs, np.bool_)
        self.nbytes = self._frames.nbytes + self._stacks.nbytes

    def write(self, row: int, obs: NDArray[Any], next_obs: NDArray[Any]) -> None:
        depth = self._frame_shape[0]
        for env in self._fresh.nonzero()[0].tolist():
            self._current[env] = self._store_stack(obs[env].reshape(-1, *self._frame_shape))
        self._fresh[:] = False
        stack = self._stacks[row]
        stack[:, 0] = self._current
        self._current[:, :-1] = self._current[:, 1:]
        self._current[:, -1] = [self._store(newest) for newest in next_obs[:, -depth:]]
        stack[:, 1] = self._current

    def _store_stack(self, frames: NDArray[Any]) -> list[int]:
        """Store an episode's first stack, usually one frame repeated; returns its numbers."""
        numbers: list[int] = []
        for index, frame in enumerate(frames):
            same = index > 0 and np.array_equal(frame, frames[index - 1])
            numbers.append(numbers[-1] if same else self._store(frame))
        return numbers

    def _store(self, frame: NDArray[Any]) -> int:
        number = self._seen
        self._frames.write(number % len(self._frames), frame)
        self._seen += 1
        return number

    def extend(self, earlier: int, row: int, envs: EnvMask) -> None:
        self._stacks[earlier, envs, 1] = self._stacks[row, envs, 1]

    def end_episodes(self, ended: NDArray[np.bool_]) -> None:
        self._fresh |= ended

    def is_overwritten(self, row: int) -> bool:
        return bool(self._stacks[row, :, 0].min() < self._seen - len(self._frames))

    def allocate(self, n: int) -> Any:
        return self._frames.allocate((n, 2, self._n_stacked)).reshape(n, 2, *self._shape)

    def read(self, indices: Indices, out: Any) -> None:
        places = self._flat[indices] % len(self._frames)
        self._frames.read(places, out.reshape(*places.shape, *self._frame_shape))

    def state(self, rows: int) -> State:
        arrays: dict[str, NDArray[Any]] = {
            "frames": self._frames.first(self._seen),
            "stacks": self._stacks[:rows].copy(),
            "current": self._current.copy(),
            "fresh": self._fresh.copy(),
        }
        return State(arrays, {"seen": self._seen})

    def restore(self, state: State, rows: int) -> None:
        seen = state.count("seen")
        n_frames, n_envs = min(seen, len(self._frames)), len(self._current)
        frames = state.array("frames", (n_frames, *self._frame_shape), self._dtype)
        # A step stores at most a stack and a frame for each environment.
        recent = max(0, seen - self._n_stacked * (self._n_stacked + 1) * n_envs)
        last = max(0, seen - 1)
        current = state.array("current", self._current.shape, np.int64, recent, last)
        if rows and current.max() != last:
            raise state.error("current", f"does not hold frame {last}, the last of `seen`")
        stacks = state.array("stacks", (rows, *self._stacks.shape[1:]), np.int64, 0, last)
        self._fresh[:] = state.array("fresh", self._fresh.shape, np.bool_)
        self._frames.load(frames)
        self._stacks[:rows], self._current[:], self._seen = stacks, current, seen
