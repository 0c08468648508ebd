"""What a search space is written with: ranges to suggest from, and the task that is searched for.

Names and arguments are those of Optuna's `Trial`, which suggests the values in a search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Suggests(Protocol):
    """The part of `optuna.Trial` that gives values."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class SearchTask:
    """What a search is for, as far as a space may depend on it.

    Attributes:
        total_timesteps: of each trial.
        time_limit: the environment's own, in steps; None if it has none.
        terms: of its reward, by name; none where they are not known.
        discrete: whether actions are chosen from a few.
        images: whether observations are images.
    """

    total_timesteps: int
    time_limit: int | None = None
    terms: Sequence[str] = ()
    discrete: bool = False
    images: bool = False


@dataclass(frozen=True)
class Search:
    """Suggests values of settings; one that the user has set is not searched.

    Attributes:
        suggests: where values come from.
        task: what the search is for.
        fixed: the user's settings, by name.
    """

    suggests: Suggests
    task: SearchTask
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def real(self, name: str, low: float, high: float, log: bool = False) -> float:
        """A number from a range, of three digits."""
        if name in self.fixed:
            return float(self.fixed[name])
        return three_digits(self.suggests.suggest_float(name, low, high, log=log))

    def whole(self, name: str, low: int, high: int, log: bool = False) -> int:
        """A whole number from a range."""
        if name in self.fixed:
            return int(self.fixed[name])
        return self.suggests.suggest_int(name, low, high, log=log)

    def power_of_two(self, name: str, low: int, high: int) -> int:
        """The power of two that is nearest to a number from a range."""
        if name in self.fixed:
            return int(self.fixed[name])
        return int(2 ** round(math.log2(self.suggests.suggest_int(name, low, high, log=True))))

    def choice(self, name: str, *choices: T) -> T:
        """One of several; each a text, a number or a truth value."""
        if name in self.fixed:
            fixed: T = self.fixed[name]
            return fixed
        chosen: T = self.suggests.suggest_categorical(name, choices)
        return chosen

    def sizes(self, name: str, *choices: str) -> tuple[int, ...]:
        """A list of whole numbers; each choice has them as words: `64 64`."""
        if name in self.fixed:
            return tuple(self.fixed[name])
        return tuple(map(int, self.suggests.suggest_categorical(name, choices).split()))


def three_digits(number: float) -> float:
    """A number with as many digits as a person would give it."""
    return float(f"{number:.3g}")


SearchSpace = Callable[[Search], dict[str, Any]]


class Middle:
    """Suggests the middle of each range, and notes the ranges in words.

    Attributes:
        ranges: what is searched, by name.
    """

    def __init__(self) -> None:
        self.ranges: dict[str, str] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """The middle, of logarithms where `log`."""
        self.ranges[name] = f"{low:,g} to {high:,g}{' (log)' if log else ''}"
        return math.sqrt(low * high) if log else (low + high) / 2

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """The middle, rounded down."""
        return int(self.suggest_float(name, low, high, log=log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The first."""
        self.ranges[name] = ", ".join(map(str, choices))
        return choices[0]
