"""PGPE and separable CMA-ES: updates by hand, what they find, and candidates that are left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from closeness import close
from gymnasium import spaces
from numpy.typing import NDArray
from stub_pool import StubPool, scores

from ars.algorithms import sep_cma_es
from ars.algorithms.base import TrainingContext
from ars.algorithms.parameter_search import ParameterSearch
from ars.algorithms.pgpe import PGPE, centred_ranks
from ars.algorithms.sep_cma_es import Constants, SepCMAES
from ars.common.errors import RunError
from ars.common.seeding import direction
from ars.common.settings import make_config
from ars.rollout.episode import Episode
from ars.rollout.task import Task

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)
BOTH = pytest.mark.parametrize("kind", [PGPE, SepCMAES])


def make(kind: Any, nonfinite: str = "stop", **settings: Any) -> Any:
    context = TrainingContext(
        "E-v0", OBSERVATIONS, ACTIONS, seed=7, on_nonfinite=nonfinite, notify=lambda line: None
    )
    return kind(make_config(kind.Config, settings), context)


def delta(index: int, iteration: int = 0) -> NDArray[np.float64]:
    return direction(7, iteration, index, 6)


def test_equal_scores_share_a_rank() -> None:
    ranks = centred_ranks(np.array([[5.0, -1.0], [2.0, 2.0], [9.0, 2.0]]))
    close(ranks, np.array([[0.3, -0.5], [-0.1, -0.1], [0.5, -0.1]]), 1e-15)
    assert centred_ranks(np.ones((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_pgpe_follows_ranks_with_a_bounded_speed() -> None:
    pgpe = make(PGPE, n_directions=2, step_size=0.4, max_speed=0.6, delta_std=0.5)
    pool = scores({(0, 1): 30.0, (0, -1): 1.0, (1, 1): 0.0, (1, -1): 2.0})
    pgpe.iterate(pool)
    # Ranks: 30 is 1/2, 2 is 1/6, 1 is -1/6, 0 is -1/2.
    gradient = (1 / 3) * 0.5 * delta(0) - (1 / 3) * 0.5 * delta(1)
    first = 0.4 * gradient / np.linalg.norm(gradient)
    close(pgpe.policy.weights, first, 1e-14)
    of_deviations = (1 / 6) * 0.5 * (delta(0) ** 2 - 1) - (1 / 6) * 0.5 * (delta(1) ** 2 - 1)
    close(pgpe.delta_std, np.clip(0.5 + 0.1 * of_deviations / 2, 0.4, 0.6), 1e-14)
    pgpe.iterate(pool)
    assert pool.snapshots[1].delta_std is not pool.snapshots[0].delta_std
    close(np.linalg.norm(pgpe.policy.weights - first), 0.6, 1e-14)  # 0.9 of 0.4 and 0.4 more


@pytest.mark.parametrize(("past", "steady"), [(0.0, True), (0.5, True), (1.0, False)])
def test_sep_cma_es_moves_to_the_weighted_mean_of_the_better_half(
    past: float, steady: bool
) -> None:
    search = make(SepCMAES, n_directions=5, delta_std=0.5)
    search._c = c = np.linspace(0.5, 2.0, 6)
    search._sigma_path, search._c_path = np.full(6, past), np.full(6, -past)
    search.iterate(scores(dict.fromkeys([(k, 1) for k in range(5)], 0.0) | {(3, 1): 2.0}))
    raw = [math.log(3), math.log(3) - math.log(2)]
    weights = [weight / sum(raw) for weight in raw]
    mass = 1 / sum(w * w for w in weights)
    mean = weights[0] * delta(3) + weights[1] * delta(0)  # of equals the first
    close(search.policy.weights, 0.5 * np.sqrt(c) * mean, 1e-14)
    k = Constants(5, 6)
    path = (1 - k.c_sigma) * past + math.sqrt(k.c_sigma * (2 - k.c_sigma) * mass) * mean
    length = float(np.linalg.norm(path))
    grown = length / math.sqrt(1 - (1 - k.c_sigma) ** 2) / k.length
    assert (grown < 1.4 + 2 / 7) == steady
    sigma = 0.5 * math.exp(k.c_sigma / k.damping * (length / k.length - 1))
    on_path = (1 - k.c_path) * np.full(6, -past)
    kept = 1 - k.c_1 - k.c_mu
    if steady:
        on_path += math.sqrt(k.c_path * (2 - k.c_path) * mass) * np.sqrt(c) * mean
    else:
        kept += k.c_1 * k.c_path * (2 - k.c_path)
    variances = c * (weights[0] * delta(3) ** 2 + weights[1] * delta(0) ** 2) * k.c_mu
    variances += kept * c + k.c_1 * on_path**2
    close(search.delta_std, sigma * np.sqrt(variances), 1e-14)


@BOTH
def test_it_finds_the_top_of_a_hill_whose_sides_differ(kind: type[ParameterSearch]) -> None:
    search = make(kind, n_directions=12, delta_std=0.3)
    top, steepness = np.linspace(-1, 1, 6), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 30.0])

    def height(weights: NDArray[np.float64]) -> float:
        return -float((steepness * (weights - top) ** 2).sum())

    def play(task: Task) -> Episode:
        noise = task.sign * search.delta_std * delta(task.index, task.iteration)
        return Episode(0.0, height(search.policy.weights + noise), 1)

    before = height(search.policy.weights)
    deviations = search.delta_std
    for _ in range(150):
        search.iterate(StubPool(play))
    assert height(search.policy.weights) > 0.02 * before
    changed = search.delta_std / deviations
    assert changed[5] < 0.5 * changed[:5].mean()  # it has learned which way is steep


@BOTH
def test_what_is_left_out_has_no_part_in_a_step(kind: type[ParameterSearch]) -> None:
    def play(task: Task) -> Episode:
        fault = "reward 2 is nan" if task.index in left_out else None
        return Episode(0.0, float(task.index * task.sign), 1, fault=fault)

    search = make(kind, "exclude", n_directions=4)
    left_out = {1, 3}
    assert search.iterate(StubPool(play))["excluded"] == 2
    assert search.policy.weights.any()
    after, left_out = search.policy.weights, {0, 1, 2, 3}
    assert search.iterate(StubPool(play))["step_norm"] == 0.0
    assert np.array_equal(search.policy.weights, after)


@BOTH
def test_an_iteration_that_fails_changes_nothing(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge: dict[str, Any] = {"step_size": 1e300} if kind is PGPE else {}
    search = make(kind, n_directions=4, **huge)
    signed = {(k, sign): float(k * sign) for k in range(4) for sign in (-1, 1)}
    search.iterate(scores(signed))
    search.policy.weights = np.full(6, np.finfo(float).max)  # to which PGPE's step adds
    monkeypatch.setattr(sep_cma_es, "LARGEST_SIGMA", 0.0)
    before = {name: array.copy() for name, array in search.state().arrays.items()}
    with pytest.raises(RunError):
        search.iterate(scores(signed))
    after = search.state().arrays
    assert search.iteration == 1
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
