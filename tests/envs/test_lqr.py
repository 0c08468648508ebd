"""LQR: the system of the paper, and its exact optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from learners import make as make_learner

from ars.algorithms.ars import ARS
from ars.rollout.pool import LocalPool
from envs import lqr


def test_a_step_is_that_of_the_equations(make: Callable[..., Any]) -> None:
    env = make("LQR")
    env.reset(seed=3)
    twin = np.random.Generator(np.random.PCG64(np.random.SeedSequence(3)))
    x, rng = np.zeros(3), np.random.default_rng(1)
    for _ in range(5):
        u = rng.standard_normal(3)
        cost = x @ lqr.Q @ x + u @ lqr.R @ u
        x = lqr.A @ x + lqr.B @ u + twin.standard_normal(3)
        shown, reward, *_ = env.step(u)
        assert np.allclose(shown, x, rtol=1e-12, atol=1e-12)
        assert reward == pytest.approx(-cost, rel=1e-12)


def test_the_exact_costs_are_those_of_episodes(make: Callable[..., Any]) -> None:
    env, gain = make("LQR"), lqr.optimal_gains()[0]
    returns = []
    for seed in range(20):
        obs, _ = env.reset(seed=seed)
        total, ended = 0.0, False
        while not ended:
            obs, reward, _, ended, _ = env.step(gain @ obs)
            total += reward
        returns.append(total)
    assert -np.mean(returns) == pytest.approx(lqr.expected_cost(gain), rel=0.1)


def test_no_other_controller_costs_less_than_the_best() -> None:
    best, gain = lqr.optimal_cost(), lqr.optimal_gains()[0]
    assert best == pytest.approx(37.751, abs=1e-3)
    assert lqr.expected_cost(np.zeros((3, 3))) > 1000 * best
    rng = np.random.default_rng(0)
    # The gain of the first step at every step; the best ones fade towards the end.
    assert best <= lqr.expected_cost(gain) < 1.04 * best
    for _ in range(5):
        assert lqr.expected_cost(gain + 0.01 * rng.standard_normal((3, 3))) > best


def test_ars_comes_within_a_twentieth_of_the_optimum() -> None:
    found = make_learner(
        ARS,
        "LQR",
        hidden_sizes=(),
        action_clip=False,
        variant="v1",
        n_directions=8,
        step_size=0.0015,
        delta_std=0.01,
        common_seeds="iteration",
    )
    pool = LocalPool(found.rollout_spec)
    for _ in range(70):
        found.iterate(pool)
    pool.close()
    assert lqr.expected_cost(found.policy.weights.reshape(3, 3)) < 1.05 * lqr.optimal_cost()
