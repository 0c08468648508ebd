"""What a run claims, compared with what its tape gives: bit for bit, or within a scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Record, Row
from ars.common.errors import RunError
from ars.common.statistics import deviation, mean

# Relative to an array's largest number: room for last bits that other machines round differently.
SCALE = 1e-9


class Comparison:
    """Raises RunError at the first difference.

    Args:
        exact: every bit counts; otherwise numbers may differ within a scale.
    """

    def __init__(self, exact: bool) -> None:
        self.exact = exact

    def value(self, where: str, name: str, claimed: Any, found: Any) -> None:
        """Values that are the same on every machine."""
        if claimed != found:
            raise RunError(f"{where}: {name} is {claimed}, by the tape {found}")

    def array(self, where: str, name: str, claimed: NDArray[Any], found: NDArray[Any]) -> None:
        """Arrays of one shape and type."""
        if (claimed.shape, claimed.dtype) != (found.shape, found.dtype):
            self._differ(where, name, f"{claimed.shape} {claimed.dtype}", f"{found.shape}")
        claimed, found = np.atleast_1d(claimed), np.atleast_1d(found)
        same = _bits(claimed) == _bits(found)
        if not self.exact and claimed.dtype.kind == "f":
            with np.errstate(invalid="ignore"):  # of infinite numbers, which are the same or not
                same |= np.abs(claimed - found) <= SCALE * _largest(claimed)
        if not same.all():
            index = int(np.flatnonzero(~same.ravel())[0])
            place = f"{name}[{index}]" if claimed.size > 1 else name
            self._differ(where, place, claimed.ravel()[index], found.ravel()[index])

    def row(self, where: str, claimed: Mapping[str, str], found: Row) -> None:
        """A row of a log, as text; the columns in `found` are compared."""
        for name in found:
            if name not in claimed:  # a column of a later version
                continue
            try:
                told = float(claimed[name])
            except (TypeError, ValueError):
                raise RunError(f"{where}: {name} is {claimed[name]!r}, no number") from None
            ours = float(found[name])
            near = not self.exact and math.isclose(told, ours, rel_tol=1e-6, abs_tol=1e-6)
            if not (told == ours or near or (math.isnan(told) and math.isnan(ours))):
                self._differ(where, name, told, ours)

    def played(self, where: str, claimed: Record, found: Record) -> None:
        """The record of an iteration on the tape, and that of the same iteration replayed.

        Physics soon amplifies a difference in the last bits to another episode, so without `exact`
        only the mean scores are compared; they may differ by one deviation of the scores.
        """
        if self.exact:
            for name, array in claimed.items():
                if not np.array_equal(_bits(array), _bits(found[name])):
                    self._differ_played(where, name, array, found[name])
            return
        told, ours = (
            [score for score in record["scores"].tolist() if math.isfinite(score)]
            for record in (claimed, found)
        )
        if told and not abs(mean(told) - mean(ours)) <= deviation(told) + SCALE * abs(mean(told)):
            raise RunError(
                f"{where}: the mean score is {mean(told)}, played again {mean(ours)}, which is "
                "more than the processor can account for"
            )

    def _differ(self, where: str, name: str, claimed: Any, found: Any) -> None:
        raise RunError(f"{where}: {name} is {claimed}, by the tape {found}")

    def _differ_played(
        self, where: str, name: str, claimed: NDArray[Any], found: NDArray[Any]
    ) -> None:
        ours, theirs = np.atleast_1d(found).ravel(), np.atleast_1d(claimed).ravel()
        index = int(np.flatnonzero(_bits(theirs) != _bits(ours))[0])
        place = f"{name}[{index}]" if theirs.size > 1 else name
        raise RunError(f"{where}: {place} is {theirs[index]}, played again {ours[index]}")


def _bits(array: NDArray[Any]) -> NDArray[np.int64]:
    return np.atleast_1d(np.ascontiguousarray(array)).view(np.int64)


def _largest(array: NDArray[Any]) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))
