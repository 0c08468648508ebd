"""State for exact resuming: named arrays and JSON values, as stored in checkpoints.

An object with a state returns it from `state()` and restores it in `restore(state)`. Restoring
reads every array and value through the checks below, because a file may contain anything: whoever
reads says what a run can have there. The specification in a policy file is read in the same way.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

# The largest count. A float holds it exactly, and sums of many do not leave NumPy's int64.
_LARGEST = 2**53
_LARGEST_FLOAT = sys.float_info.max
_SHOWN = 60  # characters of a wrong value in a message


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
        self,
        name: str,
        shape: tuple[int | None, ...],
        dtype: DTypeLike = np.float64,
        at_least: float = -_LARGEST_FLOAT,
        at_most: float = _LARGEST_FLOAT,
        nan: bool = False,
    ) -> NDArray[Any]:
        """Return an array after checking its type, its shape and its numbers.

        Args:
            name: of the array.
            shape: None stands for any length.
            dtype: its type.
            at_least: lower bound of every number; by default they have to be finite.
            at_most: upper bound.
            nan: whether a number may be NaN.

        Raises: ValueError.
        """
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
        if not _within(array, at_least, at_most, nan):
            raise self.error(name, f"holds a number that is not {_range(at_least, at_most)}")
        return array

    def counts(
        self, name: str, length: int | None, at_least: int = 0, at_most: int = _LARGEST
    ) -> NDArray[np.int64]:
        """Return an array of integers within bounds, int64 [length]. Raises: ValueError."""
        return self.array(name, (length,), np.int64, at_least, at_most)

    def value(self, name: str, kind: type[Any]) -> Any:
        """Return a value after checking its type; a bool is not an int. Raises: ValueError."""
        if name not in self.values:
            raise self.error(name, "is missing")
        value = self.values[name]
        self._check_type(name, value, kind)
        return value

    def count(self, name: str, at_least: int = 0, at_most: int = _LARGEST) -> int:
        """Return an integer within bounds. Raises: ValueError."""
        number: int = self.value(name, int)
        self._check_bounds(name, number, at_least, at_most)
        return number

    def number(self, name: str, at_least: float = -_LARGEST_FLOAT) -> float:
        """Return a finite number of at least so much. Raises: ValueError."""
        return self._number(name, self.value(name, object), at_least)

    def optional_number(self, name: str, at_least: float = -_LARGEST_FLOAT) -> float | None:
        """The same, or None if None is stored. Raises: ValueError."""
        return None if self.values.get(name, 0) is None else self.number(name, at_least)

    def text(self, name: str, choices: Collection[str] = ()) -> str:
        """Return a text, one of `choices` if there are any. Raises: ValueError."""
        text: str = self.value(name, str)
        if choices and text not in choices:
            raise self.error(name, f"{_shown(text)} is not one of {', '.join(choices)}")
        return text

    def flag(self, name: str) -> bool:
        """Return True or False. Raises: ValueError."""
        return bool(self.value(name, bool))

    def count_list(self, name: str, at_least: int = 0, *, most: int) -> tuple[int, ...]:
        """Return a JSON list of at most so many integers. Raises: ValueError."""
        numbers = self._list(name)
        if len(numbers) > most:
            raise self.error(name, f"{len(numbers):,} numbers, at most {most:,} are possible")
        for number in numbers:
            self._check_type(name, number, int)
            self._check_bounds(name, number, at_least, _LARGEST)
        return tuple(numbers)

    def number_list(self, name: str, instead_of_none: float) -> tuple[float, ...]:
        """Return the finite numbers of a JSON list, and another for None. Raises: ValueError."""
        return tuple(
            instead_of_none if number is None else self._number(name, number)
            for number in self._list(name)
        )

    def _list(self, name: str) -> list[Any]:
        # What has not been through JSON yet has tuples.
        value = self.values.get(name)
        return list(value) if isinstance(value, tuple) else list(self.value(name, list))

    def _number(self, name: str, value: Any, at_least: float = -_LARGEST_FLOAT) -> float:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole:
            self._check_type(name, value, float)
        self._check_bounds(name, value, at_least, _LARGEST_FLOAT)
        return float(value)

    def _check_type(self, name: str, value: Any, kind: type[Any]) -> None:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float)):
            raise self.error(name, f"{type(value).__name__}, not {kind.__name__}")

    def _check_bounds(self, name: str, number: float, at_least: float, at_most: float) -> None:
        if not at_least <= number <= at_most:
            raise self.error(name, f"{_shown(number)} is not {_range(at_least, at_most)}")

    def restore_generator(self, name: str, rng: np.random.Generator) -> None:
        """Set `rng` to a stored `rng.bit_generator.state`. Raises: ValueError."""
        stored = self.value(name, dict)
        try:
            rng.bit_generator.state = stored
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self.error(name, f"not the state of a random generator ({error})") from None
        # NumPy reduces numbers modulo their size and accepts True for 1, so compare the result; it
        # also takes an even increment, which shortens the period.
        now: Any = rng.bit_generator.state
        same = json.dumps(now, sort_keys=True) == json.dumps(stored, sort_keys=True)
        if not same or now["state"]["inc"] % 2 == 0 or now["has_uint32"] not in (0, 1):
            raise self.error(name, "not the state of a random generator")

    def error(self, name: str, problem: str) -> ValueError:
        """Return the error to raise if the array or value of that name is invalid."""
        return ValueError(f"{self.stored_names.get(name, self.path + name)}: {problem}")


def _within(array: NDArray[Any], at_least: float, at_most: float, nan: bool) -> bool:
    """Whether all numbers are within bounds; in one pass each, since buffers may be large."""
    if not array.size or (array.dtype.kind != "f" and at_most == _LARGEST_FLOAT):
        return True
    lowest, highest = (np.fmin, np.fmax) if nan else (np.minimum, np.maximum)
    low, high = (float(reduced.reduce(array, axis=None)) for reduced in (lowest, highest))
    return (nan and math.isnan(low)) or (at_least <= low and high <= at_most)


def _range(at_least: float, at_most: float) -> str:
    """`finite`, `at least 0`, `from 0 to 5`."""
    if at_most < _LARGEST_FLOAT:
        return f"from {at_least:,} to {at_most:,}"
    return "finite" if at_least == -_LARGEST_FLOAT else f"at least {at_least}"


def _shown(value: object) -> str:
    """A value from a file in a message, cut where it is long."""
    text = str(value) if isinstance(value, int | float) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
