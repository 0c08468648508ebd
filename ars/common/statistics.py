"""Means and norms from exactly rounded sums, which do not depend on the order of summation.

Where a float cannot hold squares or sums, too large or too small, numbers are scaled by a power of
two first: exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from envs.objective import ObjectiveSpec

_SQUARES = 1e-140  # whose squares a float holds with all digits


def mean(values: Sequence[float]) -> float:
    """The mean; NaN without values."""
    return _scaled(_mean, values) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """The population standard deviation; 0 without values."""
    return _scaled(_deviation, values) if values else 0.0


def norm(vector: Iterable[float]) -> float:
    """The Euclidean norm."""
    return _scaled(_norm, list(vector))


def _mean(values: Sequence[float]) -> float:
    # The division rounds once more: the mean of equal values is that value all the same.
    return min(max(math.fsum(values) / len(values), min(values)), max(values))


def _deviation(values: Sequence[float]) -> float:
    centre = _mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / len(values))


def _norm(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values))


def _scaled(measure: Callable[[Sequence[float]], float], values: Sequence[float]) -> float:
    """A measure of the same unit as its values, which are scaled only if that is needed."""
    try:
        found = measure(values)
        large_enough = abs(found) > _SQUARES or not values
        if (large_enough and math.isfinite(found)) or not all(map(math.isfinite, values)):
            return found
    except OverflowError:
        if not all(map(math.isfinite, values)):
            return math.nan
    exponent = max((math.frexp(value)[1] for value in values if value), default=0)
    scaled = measure([math.ldexp(value, -exponent) for value in values])
    try:
        return math.ldexp(scaled, exponent)
    except OverflowError:  # the norm of several of the largest numbers
        return math.inf


class Counted(Protocol):
    """An episode in which the terms of the reward and the measures were counted."""

    @property
    def terms(self) -> tuple[float, ...]: ...

    @property
    def measures(self) -> Mapping[str, float]: ...


def summarize_objective(objective: ObjectiveSpec, episodes: Sequence[Counted]) -> dict[str, float]:
    """The columns of measures, and of what the reward is made of, unweighed: means an episode.

    Args:
        objective: what is known of the reward; decides which columns there are.
        episodes: one that does not say what a measure came to counts for the others alone; NaN
            where none says it.
    """
    columns = {}
    for name in objective.measures:
        said = (episode.measures.get(name, math.nan) for episode in episodes)
        columns[f"{name}_mean"] = mean([value for value in said if not math.isnan(value)])
    for at, name in enumerate(objective.terms):
        columns[f"{name}_mean"] = mean([episode.terms[at] for episode in episodes])
    return columns


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
