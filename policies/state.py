"""State for exact resuming: named arrays and JSON values, as stored in checkpoints.

An object with a state returns it from `state()` and restores it in `restore(state)`. Restoring
reads every array and value through the checks below, because a file may contain anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGEST = 2**63 - 1  # largest count: the maximum of NumPy's int64


class Stateful(Protocol):
    """An object that can continue from a stored state as if it had never stopped."""

    def state(self) -> State:
        """Return everything that `restore` needs."""

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError, naming the invalid array or value."""


@dataclass
class State:
    """Named arrays and JSON values. The names of a nested part are prefixed: `part.name`.

    Attributes:
        arrays: the arrays by name.
        values: the JSON values by name.
        path: prefix of the names in error messages.
        stored_names: the names under which values are stored, where they differ from their own;
            used in error messages.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    stored_names: Mapping[str, str] = field(default_factory=dict)

    def add(self, name: str, part: Stateful, **stored_names: str) -> None:
        """Add the state of a part.

        Args:
            name: name of the part.
            part: the object whose state is added.
            **stored_names: for each of its values, the name under which this state stores it.
                Without any, all values are stored together in one object called `name`.
        """
        self.add_state(name, part.state(), **stored_names)

    def add_state(self, name: str, state: State, **stored_names: str) -> None:
        """The same as `add`, for an existing state."""
        self.arrays |= {f"{name}.{inner}": array for inner, array in state.arrays.items()}
        if stored_names:
            self.values |= {stored_names[inner]: value for inner, value in state.values.items()}
        elif state.values:
            self.values[name] = state.values

    def restore(self, name: str, part: Stateful, **stored_names: str) -> None:
        """Restore a part; the arguments are those it was added with. Raises: ValueError."""
        part.restore(self.nested(name, **stored_names))

    def nested(self, name: str, **stored_names: str) -> State:
        """Return the state of a part, by the arguments it was added with. Raises: ValueError."""
        start = f"{name}."
        arrays = {
            inner.removeprefix(start): array
            for inner, array in self.arrays.items()
            if inner.startswith(start)
        }
        if stored_names:
            values = {
                inner: self.values[outer]
                for inner, outer in stored_names.items()
                if outer in self.values
            }
        else:
            values = self.value(name, dict) if name in self.values else {}
        outer_names = {inner: f"{self.path}{outer}" for inner, outer in stored_names.items()}
        return State(arrays, values, f"{self.path}{start}", outer_names)

    def array(
        self, name: str, shape: tuple[int | None, ...], dtype: DTypeLike = np.float64
    ) -> NDArray[Any]:
        """Return an array after checking dtype and shape (None: any length). Raises: ValueError."""
        array = self.arrays.get(name)
        if array is None:
            raise self.error(name, "is missing")
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, length) for length, wanted in zip(array.shape, shape, strict=True)
        )
        if not fits or array.dtype != dtype:
            wanted = f"{str(shape).replace('None', 'any')} and {np.dtype(dtype)}"
            problem = f"array of shape {array.shape} and type {array.dtype}, not {wanted}"
            raise self.error(name, problem)
        return array

    def counts(self, name: str, length: int | None) -> NDArray[np.int64]:
        """Return an array of non-negative integers, int64 [length]. Raises: ValueError."""
        numbers = self.array(name, (length,), np.int64)
        if (numbers < 0).any():
            raise self.error(name, "holds a negative number")
        return numbers

    def value(self, name: str, kind: type[Any]) -> Any:
        """Return a value after checking its type; a bool is not an int. Raises: ValueError."""
        if name not in self.values:
            raise self.error(name, "is missing")
        value = self.values[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"{type(value).__name__}, not {kind.__name__}")
        return value

    def count(self, name: str, at_least: int = 0, at_most: int = _LARGEST) -> int:
        """Return an integer within bounds. Raises: ValueError."""
        number: int = self.value(name, int)
        if not at_least <= number <= at_most:
            raise self.error(name, f"{number} is not between {at_least} and {at_most}")
        return number

    def number(self, name: str) -> float:
        """Return a finite number. Raises: ValueError."""
        whole = isinstance(self.values.get(name), int)
        number = float(self.count(name, -_LARGEST) if whole else self.value(name, float))
        if not math.isfinite(number):
            raise self.error(name, f"{number} is not finite")
        return number

    def optional_number(self, name: str) -> float | None:
        """Return a finite number, or None if None is stored. Raises: ValueError."""
        return None if self.values.get(name, 0) is None else self.number(name)

    def restore_generator(self, name: str, rng: np.random.Generator) -> None:
        """Set `rng` to a stored `rng.bit_generator.state`. Raises: ValueError."""
        stored = self.value(name, dict)
        try:
            rng.bit_generator.state = stored
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self.error(name, f"not the state of a random generator ({error})") from None
        # NumPy reduces numbers modulo their size and accepts True for 1, so compare the result.
        if json.dumps(rng.bit_generator.state, sort_keys=True) != json.dumps(
            stored, sort_keys=True
        ):
            raise self.error(name, "not the state of a random generator")

    def error(self, name: str, problem: str) -> ValueError:
        """Return the error to raise if the array or value of that name is invalid."""
        return ValueError(f"{self.stored_names.get(name, self.path + name)}: {problem}")
