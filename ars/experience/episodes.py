"""Whole episodes, assembled from the steps of parallel environments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.state import State

_Array = NDArray[Any]
ShapeAndType = tuple[tuple[int, ...], np.dtype[Any]]
_StepTaken = tuple[_Array, Any, float]  # the network's input, the action, its reward


@dataclass(frozen=True)
class Trajectory:
    """An episode that ended, from its first step to its last.

    Attributes:
        inputs: observations as the network takes them, [length, *shape].
        actions: [length] or [length, n_out].
        rewards: float64 [length].
        final_input: the observation after the last step, [*shape].
        terminated: False if a time limit cut the episode short.
    """

    inputs: _Array
    actions: _Array
    rewards: NDArray[np.float64]
    final_input: _Array
    terminated: bool

    def __len__(self) -> int:
        return len(self.rewards)


class EpisodeBuffer:
    """The episodes in progress in n environments, and those that ended.

    Args:
        n: number of environments.
        inputs: shape and type of one observation as the network takes it.
        actions: shape and type of one action.
        n_actions: how many there are, if they are numbered; a state with others is refused.

    Attributes:
        finished: episodes in the order in which they ended, those that ended at the same step in
            the order of their environments. The reader removes them.
    """

    def __init__(
        self, n: int, inputs: ShapeAndType, actions: ShapeAndType, n_actions: int | None = None
    ) -> None:
        self._inputs, self._actions, self._n_actions = inputs, actions, n_actions
        self.finished: list[Trajectory] = []
        self._in_progress: list[list[_StepTaken]] = [[] for _ in range(n)]

    def add(self, inputs: _Array, actions: _Array, rewards: NDArray[np.float64]) -> None:
        """Add one step of every environment: [n, *shape], [n] or [n, n_out], [n]."""
        steps = zip(inputs, actions, rewards, strict=True)
        for taken, step in zip(self._in_progress, steps, strict=True):
            taken.append(step)

    def end(self, at: int, final_input: _Array, terminated: bool) -> None:
        """Move the episode of environment `at`, which has ended, to `finished`."""
        columns = _columns(self._in_progress[at])
        self.finished.append(Trajectory(*columns, final_input.copy(), terminated))
        self._in_progress[at] = []

    def drop(self, which: Iterable[int]) -> None:
        """Forget the episodes in progress of the environments `which`."""
        for at in which:
            self._in_progress[at] = []

    def state(self) -> State:
        """The steps of `finished`, then those in progress, all in one array per column."""
        ended = self.finished
        parts = [(t.inputs, t.actions, t.rewards) for t in ended]
        parts += [_columns(taken) for taken in self._in_progress]
        inputs, actions, rewards = map(_joined, zip(*parts, strict=True))
        return State(
            {
                "inputs": inputs,
                "actions": actions,
                "rewards": rewards,
                "lengths": np.array([len(part[2]) for part in parts], np.int64),
                "final_inputs": np.array([t.final_input for t in ended]),
                "terminated": np.array([t.terminated for t in ended], np.bool_),
            }
        )

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        terminated = state.array("terminated", (None,), np.bool_)
        lengths = state.counts("lengths", len(terminated) + len(self._in_progress))
        n_ended, n_steps = len(terminated), int(lengths.sum())
        if (lengths[:n_ended] == 0).any():
            raise state.error("lengths", "an episode that ended has no step")
        if self._n_actions is not None and n_steps:
            state.counts("actions", n_steps, at_most=self._n_actions - 1)
        columns = (
            _stored(state, "inputs", n_steps, self._inputs),
            _stored(state, "actions", n_steps, self._actions),
            _stored(state, "rewards", n_steps, ((), np.dtype(np.float64))),
        )
        finals = _stored(state, "final_inputs", n_ended, self._inputs)
        where = np.cumsum(lengths)[:-1]
        parts = list(zip(*(np.split(column, where) for column in columns), strict=True))
        ended = zip(parts[:n_ended], finals, terminated.tolist(), strict=True)
        self.finished = [
            Trajectory(inputs, actions, rewards, final, terminal)
            for (inputs, actions, rewards), final, terminal in ended
        ]
        self._in_progress = [list(zip(*part, strict=True)) for part in parts[n_ended:]]


def _stored(state: State, name: str, length: int, each: ShapeAndType) -> _Array:
    """A stored column; one without any step may have another shape and type."""
    shape, dtype = each
    if not length and name in state.arrays and not state.arrays[name].size:
        return np.zeros((0, *shape), dtype)
    return state.array(name, (length, *shape), dtype)


def _columns(taken: list[_StepTaken]) -> tuple[_Array, _Array, NDArray[np.float64]]:
    return (
        np.array([step[0] for step in taken]),
        np.array([step[1] for step in taken]),
        np.array([step[2] for step in taken], np.float64),
    )


def _joined(arrays: Iterable[_Array]) -> _Array:
    """Concatenate arrays of steps, leaving out empty ones, which may have another shape."""
    some = [array for array in arrays if len(array)]
    return np.concatenate(some) if some else np.zeros(0)
