"""Episodes are summed up the same way wherever they are logged."""

from __future__ import annotations

import math
import sys

import pytest

from ars.common.statistics import deviation, mean, norm, summarize_objective, summarize_returns
from ars.rollout.episode import Episode
from envs.objective import ObjectiveSpec


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


@pytest.mark.parametrize("scale", [1e200, -1e300, 1e307, 1e-170, -1e-200, 1e-300])
def test_numbers_whose_squares_a_float_cannot_hold_keep_their_mean_and_spread(scale: float) -> None:
    values = [3.0 * scale, 5.0 * scale, 4.0 * scale, 8.0 * scale]
    assert mean(values) == pytest.approx(5.0 * scale, rel=1e-12)
    assert deviation(values) == pytest.approx(math.sqrt(3.5) * abs(scale), rel=1e-12)
    assert norm(values[:2]) == pytest.approx(math.sqrt(34) * abs(scale), rel=1e-12)


def test_the_largest_numbers_of_both_signs_can_be_summed_up() -> None:
    largest = sys.float_info.max
    assert mean([largest, largest, largest]) == largest
    assert deviation([largest, -largest]) == largest
    assert norm([largest, largest]) == math.inf


def test_what_is_not_finite_stays_so() -> None:
    assert math.isnan(mean([1.0, math.nan]))
    assert norm([math.inf, 1e200]) == math.inf


@pytest.mark.parametrize("n", [3, 6, 10, 14, 49])
def test_equal_numbers_have_their_own_mean_and_no_spread(n: int) -> None:
    for value in (0.1, 1739.8502875157856, -2.2999999999999998, 1e-310, 7e300):
        assert (mean([value] * n), deviation([value] * n)) == (value, 0.0)


def test_a_zero_among_tiny_numbers_changes_nothing() -> None:
    assert norm([0.0, 3e-200, 4e-200]) == norm([3e-200, 4e-200]) == pytest.approx(5e-200)
    assert deviation([0.0, 1e-200]) == pytest.approx(5e-201)
    assert mean([0.0, 0.0]) == norm([0.0]) == 0.0


def test_an_episode_that_does_not_say_a_measure_leaves_it_to_the_others() -> None:
    objective = ObjectiveSpec(measures=("metres", "flags"))
    episodes = [Episode(0.0, 0.0, 1, measures=said) for said in ({"metres": 3.0}, {}, {})]
    found = summarize_objective(objective, episodes)
    assert found["metres_mean"] == 3.0 and math.isnan(found["flags_mean"])
