"""Means and norms from exactly rounded sums, so that no library's summation order shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def mean(values: Sequence[float]) -> float:
    """The mean; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """The population standard deviation; 0 of nothing."""
    if not values:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / len(values))


def norm(vector: Iterable[float]) -> float:
    """The Euclidean norm."""
    return math.sqrt(math.fsum(value * value for value in vector))
