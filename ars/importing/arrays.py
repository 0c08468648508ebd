"""What a pickle holds, as data: arrays, and objects by the names of their classes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_ARRAY = 2**26  # numbers
TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "O4", "O8")
_MOST_AXES = 32


@dataclass(frozen=True)
class Name:
    """A class or function by its name; never the thing itself."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Record:
    """An object of a class that is not an array: the name of its class, and what it holds."""

    name: Name
    args: Any
    state: Any = None


@dataclass(eq=False)
class ArrayType:
    """A dtype, whose byte order comes after its code."""

    code: str
    order: str = "|"

    @property
    def dtype(self) -> np.dtype[Any]:
        order = "" if self.order == "|" else self.order
        return np.dtype(f"{order}{self.code}")


@dataclass(eq=False)
class Stored:
    """An array, or the objects of an array of objects, in a list; empty until it is built."""

    values: NDArray[Any] | list[Any] = field(default_factory=list)

    def build(self, state: tuple[Any, ...]) -> None:
        """Take in what NumPy stores of an array: version, shape, dtype, order and contents."""
        _, shape, kind, fortran, contents = state
        shape = checked_shape(shape)
        if not isinstance(kind, ArrayType):
            raise ValueError("an array without a type")
        if kind.code.startswith("O"):
            if not isinstance(contents, list) or len(contents) != math.prod(shape):
                raise ValueError(f"an array of shape {shape} without as many objects")
            self.values = contents
            return
        self.values = from_bytes(contents, kind.dtype, shape, "F" if fortran is True else "C")


def array(value: Any) -> NDArray[Any]:
    """What a pickle holds as an array: numbers too. Raises: ValueError."""
    if isinstance(value, Stored) and isinstance(value.values, np.ndarray):
        return value.values
    if isinstance(value, int | float):
        return np.asarray(value, np.float64)
    raise ValueError(f"{described(value)} where an array should be")


def described(value: Any) -> str:
    return str(value.name) if isinstance(value, Record) else type(value).__name__


def tuple_of(value: Any, count: int) -> tuple[Any, ...]:
    if not isinstance(value, tuple) or len(value) != count:
        raise ValueError("a damaged array")
    return value


def checked_shape(value: Any) -> tuple[int, ...]:
    if (
        not isinstance(value, tuple)
        or len(value) > _MOST_AXES
        or not all(type(n) is int and 0 <= n <= LARGEST_ARRAY for n in value)
    ):
        raise ValueError("an array whose shape is none, or too large")
    return value


def byte_order(value: Any) -> str:
    if not isinstance(value, str) or value not in ("<", ">", "|", "="):
        raise ValueError("an array with a byte order that is none")
    return value


def from_bytes(
    contents: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any
) -> NDArray[Any]:
    """An array of bytes, which have to be as many as it needs."""
    if not isinstance(contents, bytes | bytearray):
        raise ValueError("an array without contents")
    if len(contents) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} with {len(contents):,} bytes")
    return np.frombuffer(contents, dtype).reshape(shape, order=order)
