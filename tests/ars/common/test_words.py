"""Numbers are said with the digits that matter."""

from __future__ import annotations

import math

import pytest

from ars.common.words import digits, duration, rounded


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1811.04, "1,811.0"),
        (-999.96, "-1,000.0"),
        (12.345, "12.3"),
        (1.2345, "1.23"),
        (-0.024512, "-0.0245"),
        (0.00012345, "0.000123"),
        (1.2345e-7, "1.23e-07"),
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (-1.2345e300, "-1.23e+300"),
    ],
)
def test_small_numbers_keep_three_digits(number: float, text: str) -> None:
    assert digits(number) == text


@pytest.mark.parametrize(
    ("number", "decimals", "text"),
    [(-0.004, 2, "0.00"), (-0.0, 1, "0.0"), (-0.05001, 1, "-0.1"), (12345.678, 1, "12,345.7")],
)
def test_a_rounded_zero_has_no_sign(number: float, decimals: int, text: str) -> None:
    assert rounded(number, decimals) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(41.6, "42 s"), (425, "7 min 05 s"), (12000, "3 h 20 min"), (math.inf, "unknown")],
)
def test_durations_are_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
