"""Episodes are summed up the same way wherever they are logged."""

from __future__ import annotations

import math

from ars.common.statistics import summarize_returns


def test_returns_and_lengths_are_summed_up() -> None:
    assert summarize_returns([1.0, 3.0, 8.0, 4.0], [10, 20, 30, 40]) == {
        "return_mean": 4.0,
        "return_std": math.sqrt((9 + 1 + 16 + 0) / 4),
        "return_min": 1.0,
        "return_max": 8.0,
        "length_mean": 25.0,
    }


def test_of_no_episode_only_the_deviation_is_a_number() -> None:
    summary = summarize_returns([], [])
    assert list(summary) == [
        "return_mean",
        "return_std",
        "return_min",
        "return_max",
        "length_mean",
    ]
    assert summary.pop("return_std") == 0.0
    assert all(math.isnan(value) for value in summary.values())
