"""Statistics match a high-precision oracle, whatever the numbers are and however they merge."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from closeness import close

from policies import Normalizer, NormalizerRule, RunningMeanStd


def statistics(rows: np.ndarray) -> RunningMeanStd:
    result = RunningMeanStd.zeros(rows.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for row in rows:
            result.update(row)
    return result


def exact(rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and sample variance by rational arithmetic."""
    means, variances = [], []
    for column in rows.T:
        values = [Fraction(float(value)) for value in column]
        centre = sum(values) / len(values)
        means.append(float(centre))
        variances.append(float(sum((v - centre) ** 2 for v in values) / (len(values) - 1)))
    return means, variances


ROWS = {
    "ordinary": np.random.default_rng(0).standard_normal((200, 3)),
    "far from zero": 1e8 + np.random.default_rng(1).choice([-1.0, 1.0], (200, 3)),
    "constant": np.full((50, 3), 0.1),
    "huge and constant": np.full((50, 3), 1e200),
    "tiny": 1e-150 * np.random.default_rng(2).standard_normal((50, 3)),
}


def assert_accurate(frozen: Normalizer, rows: np.ndarray) -> None:
    """Within the bound of Chan et al. (1983) for Welford's method: n eps kappa."""
    means, variances = exact(rows)
    close(frozen.mean, means, 1e-13, scale=float(abs(rows).max()))
    for found, variance, mean in zip(frozen.var.tolist(), variances, means, strict=True):
        kappa = (1 + mean / variance**0.5 * mean / variance**0.5) ** 0.5 if variance else 1.0
        assert abs(found - variance) <= len(rows) * np.finfo(float).eps * kappa * variance
    assert frozen.count == len(rows)


@pytest.mark.parametrize("name", ROWS)
def test_one_rollout_matches_the_oracle(name: str) -> None:
    rows = ROWS[name]
    frozen = statistics(rows).freeze(NormalizerRule())
    assert_accurate(frozen, rows)


@pytest.mark.parametrize("name", ROWS)
def test_merged_rollouts_match_the_oracle(name: str) -> None:
    rows = ROWS[name]
    merged = RunningMeanStd.zeros(rows.shape[1])
    for part in np.array_split(rows, 7):
        merged.merge(statistics(part))
    merged.merge(RunningMeanStd.zeros(rows.shape[1]))
    frozen = merged.freeze(NormalizerRule())
    assert_accurate(frozen, rows)


@pytest.mark.parametrize(("observations", "ddof"), [(0, 0), (0, 1), (1, 1)])
def test_before_there_is_a_deviation_nothing_changes(observations: int, ddof: int) -> None:
    seen = statistics(np.full((observations, 2), 7.0))
    assert seen.freeze(NormalizerRule(ddof))(np.array([3.0, -4.0])).tolist() == [3.0, -4.0]


def test_a_deviation_below_the_smallest_is_none() -> None:
    normalizer = Normalizer(
        np.zeros(3), np.array([0.25, 0.5, 1.0]) ** 2, 5, NormalizerRule(min_std=0.5)
    )
    assert normalizer(np.ones(3)).tolist() == [0.0, 2.0, 1.0]


def test_components_without_deviation_become_zero() -> None:
    rows = np.array([[1.0, 1e200, 2.0], [1.0, 1e200, 4.0]])
    normalized = statistics(rows).freeze(NormalizerRule())(np.array([5.0, -1e200, 3.0]))
    assert normalized.tolist() == [0.0, 0.0, 0.0]
    assert statistics(rows).freeze(NormalizerRule())(np.array([0, 0, 5.0]))[2] == 2 / np.sqrt(2)


def test_deviations_too_large_to_square_become_zero_not_nan() -> None:
    rows = np.array([[1e200], [-1e200], [3e200]])
    merged = statistics(rows)
    merged.merge(statistics(-rows))
    assert merged.freeze(NormalizerRule())(np.array([1e200])).tolist() == [0.0]


def test_the_course_rule_floors_the_population_variance_and_others_may_clip() -> None:
    rows = np.array([[0.0, 0.0], [0.02, 2.0]])
    course = statistics(rows).freeze(NormalizerRule(ddof=0, var_floor=1e-2))
    np.testing.assert_allclose(course(np.array([0.11, 3.0])), [1.0, 2.0])
    clipped = Normalizer(np.zeros(2), np.ones(2), 5, NormalizerRule(clip=2.0))
    assert clipped(np.array([-9.0, 1.0])).tolist() == [-2.0, 1.0]


def test_freezing_is_a_snapshot() -> None:
    running = statistics(ROWS["ordinary"])
    frozen = running.freeze(NormalizerRule())
    before = frozen.mean.copy()
    running.update(np.full(3, 100.0))
    assert (frozen.mean == before).all()
