"""Whole episodes, put together from steps of environments side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_Taken = tuple[_Array, Any, float]  # what was acted on, the action, its reward


@dataclass(frozen=True)
class Trajectory:
    """An episode that ended, from its first step to its last.

    `inputs`: [length, *shape]; `actions`: [length] or [length, n_out]; `rewards`: float64 [length];
    `final_input`: [*shape], of the observation after the last step; `terminated`: False where a
    time limit cut the episode short.
    """

    inputs: _Array
    actions: _Array
    rewards: NDArray[np.float64]
    final_input: _Array
    terminated: bool

    def __len__(self) -> int:
        return len(self.rewards)


class Trajectories:
    """The episodes under way in n environments, and those `finished`; who reads these clears them.

    Episodes are finished in the order in which they end, at the same step in that of their
    environments.
    """

    def __init__(self, n: int) -> None:
        self.finished: list[Trajectory] = []
        self._under_way: list[list[_Taken]] = [[] for _ in range(n)]

    def add(self, inputs: _Array, actions: _Array, rewards: NDArray[np.float64]) -> None:
        """Take in one step of every environment: [n, *shape], [n] or [n, n_out], [n]."""
        steps = zip(inputs, actions, rewards, strict=True)
        for taken, step in zip(self._under_way, steps, strict=True):
            taken.append(step)

    def end(self, at: int, final_input: _Array, terminated: bool) -> None:
        """The episode of environment `at` has ended."""
        columns = _columns(self._under_way[at])
        self.finished.append(Trajectory(*columns, final_input.copy(), terminated))
        self._under_way[at] = []

    def state(self) -> dict[str, _Array]:
        """Everything, as arrays: the steps of `finished`, then those under way."""
        ended = self.finished
        parts = [(t.inputs, t.actions, t.rewards) for t in ended]
        parts += [_columns(taken) for taken in self._under_way]
        inputs, actions, rewards = map(_joined, zip(*parts, strict=True))
        return {
            "inputs": inputs,
            "actions": actions,
            "rewards": rewards,
            "lengths": np.array([len(part[2]) for part in parts], np.int64),
            "final_inputs": np.array([t.final_input for t in ended]),
            "terminated": np.array([t.terminated for t in ended], np.bool_),
        }

    def restore(self, state: Mapping[str, _Array]) -> None:
        """Take back a `state`. Raises: KeyError or ValueError where it is not one."""
        lengths, n_ended = state["lengths"], len(state["terminated"])
        if len(lengths) != n_ended + len(self._under_way) or lengths.sum() != len(state["rewards"]):
            raise ValueError(f"episodes of {len(lengths) - n_ended} environments")
        where = np.cumsum(lengths)[:-1]
        columns = (np.split(state[name], where) for name in ("inputs", "actions", "rewards"))
        parts: list[tuple[_Array, _Array, _Array]] = list(zip(*columns, strict=True))
        finals, terminated = list(state["final_inputs"]), state["terminated"].tolist()
        self.finished = [
            Trajectory(*parts[at], finals[at], terminated[at]) for at in range(n_ended)
        ]
        self._under_way = [list(zip(*part, strict=True)) for part in parts[n_ended:]]


def _columns(taken: list[_Taken]) -> tuple[_Array, _Array, NDArray[np.float64]]:
    return (
        np.array([step[0] for step in taken]),
        np.array([step[1] for step in taken]),
        np.array([step[2] for step in taken], np.float64),
    )


def _joined(arrays: Iterable[_Array]) -> _Array:
    """Arrays of steps one after another; those of no step at all may have another shape."""
    some = [array for array in arrays if len(array)]
    return np.concatenate(some) if some else np.zeros(0)
