"""Aggregates of runs: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ars.results.aggregates import (
    RESAMPLES,
    improvement_interval,
    interquartile_interval,
    interquartile_mean,
    probability_of_improvement,
)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0, 9.0], 4.0),  # a quarter of three is none: the mean
        ([100.0, 1.0, 2.0, -50.0], 1.5),
        ([1.0, 2.0, 3.0, 4.0, 1000.0], 3.0),
        ([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 90.0, 90.0], 2.5),
    ],
)
def test_a_quarter_is_left_out_at_each_end(scores: list[float], expected: float) -> None:
    assert interquartile_mean(np.array(scores)) == expected


def test_each_place_of_a_curve_has_its_own_mean() -> None:
    scores = np.array([[0.0, 4.0], [1.0, 3.0], [2.0, 2.0], [50.0, -9.0]])
    assert interquartile_mean(scores).tolist() == [1.5, 2.5]


def test_an_interval_is_what_resampling_each_time_gives() -> None:
    scores = np.random.default_rng(3).normal(size=(7, 2))
    found = interquartile_interval(scores)
    assert found is not None
    drawn = np.random.default_rng(0).integers(7, size=(RESAMPLES, 7))
    for place in range(2):
        # The same resamples, of ranks: each is one of runs too.
        ordered = np.sort(scores[:, place])
        means = [interquartile_mean(ordered[ranks]) for ranks in drawn]
        expected = np.quantile(means, (0.025, 0.975))
        np.testing.assert_allclose(found[:, place], expected, rtol=0, atol=1e-12)


def ends(interval: np.ndarray | None) -> list[float]:
    assert interval is not None
    return list(interval.tolist())


def test_an_interval_holds_the_mean_and_is_the_same_again() -> None:
    scores = np.arange(10.0)
    low, high = ends(interquartile_interval(scores))
    assert 0.0 < low < 4.5 < high < 9.0
    assert ends(interquartile_interval(scores)) == [low, high]
    assert ends(interquartile_interval(np.full(4, 3.0))) == [3.0, 3.0]


def test_one_run_has_no_interval() -> None:
    assert interquartile_interval(np.array([1.0])) is None
    assert improvement_interval(np.array([1.0]), np.array([2.0])) is None


def test_the_probability_of_improvement_counts_pairs_and_half_of_the_ties() -> None:
    ours, theirs = np.array([1.0, 5.0]), np.array([1.0, 2.0, 3.0, 9.0])
    # 1 ties with one of four; 5 is above three of four.
    assert probability_of_improvement(ours, theirs) == (0.5 + 3.0) / 8
    assert probability_of_improvement(theirs, ours) == 1 - (0.5 + 3.0) / 8
    low, high = ends(improvement_interval(ours, theirs))
    assert 0.0 <= low < 3.5 / 8 < high <= 1.0


def test_the_runs_of_both_sides_are_resampled_for_the_interval_of_an_improvement() -> None:
    ours, theirs = np.array([30.0, 40.0, 50.0, 60.0]), np.array([30.0, 40.0, 50.0])
    assert ends(improvement_interval(ours, theirs)) == [3 / 12, 1.0]
    assert ends(improvement_interval(theirs, ours)) == [0.0, 9.5 / 12]


def test_improvement_is_sure_where_all_runs_are_better() -> None:
    better, worse = np.array([5.0, 6.0, 7.0]), np.array([1.0, 2.0])
    assert ends(improvement_interval(better, worse)) == [1.0, 1.0]
    assert ends(improvement_interval(better, np.array([9.0]))) == [0.0, 0.0]
