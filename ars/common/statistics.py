"""Means and norms from exactly rounded sums, which do not depend on the order of summation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def mean(values: Sequence[float]) -> float:
    """The mean; NaN without values."""
    return math.fsum(values) / len(values) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """The population standard deviation; 0 without values."""
    if not values:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / len(values))


def norm(vector: Iterable[float]) -> float:
    """The Euclidean norm."""
    return math.sqrt(math.fsum(value * value for value in vector))


def summarize_returns(returns: Sequence[float], lengths: Sequence[int]) -> dict[str, float]:
    """The columns about episodes that every log has, in their order.

    Args:
        returns: sum of rewards of each episode.
        lengths: steps of each episode.

    Returns:
        Mean, population deviation, minimum and maximum of the returns, and the mean length. Without
        episodes the deviation is 0 and the others are NaN.
    """
    return {
        "return_mean": mean(returns),
        "return_std": deviation(returns),
        "return_min": min(returns, default=math.nan),
        "return_max": max(returns, default=math.nan),
        "length_mean": mean([float(length) for length in lengths]),
    }
