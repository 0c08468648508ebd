"""Returns and advantages against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ars.learning.returns import discounted_returns, gae


def column(*values: float) -> np.ndarray:
    """Steps of one environment: [n_steps, 1]."""
    return np.array(values, float)[:, None]


def flags(*steps: int, of: int = 4) -> np.ndarray:
    """True at these steps of one environment: [of, 1]."""
    return np.isin(np.arange(of), steps)[:, None]


REWARDS = column(1, 2, 3, 4)
NEXT_VALUES = column(10, 20, 30, 40)
NOWHERE = flags()


def test_discounted_returns_within_one_episode() -> None:
    # 4; 3 + 4/2; 2 + 5/2; 1 + 4.5/2
    assert_allclose(discounted_returns(REWARDS, flags(3), 0.5), column(3.25, 4.5, 5, 4))


def test_discounted_returns_stop_at_an_episodes_end() -> None:
    # 2; 1 + 2/2 | 4; 3 + 4/2
    assert_allclose(discounted_returns(REWARDS, flags(1, 3), 0.5), column(2, 2, 5, 4))


VALUES = column(5, 10, 20, 30)


def test_gae_within_one_episode() -> None:
    # delta: 1 + 10/2 - 5 = 1; 2 + 20/2 - 10 = 2; 3 + 30/2 - 20 = -2; 4 + 40/2 - 30 = -6
    # A with gamma lam = 1/4: -6; -2 - 6/4; 2 - 3.5/4; 1 + 1.125/4
    advantages = gae(REWARDS, VALUES, NEXT_VALUES, NOWHERE, NOWHERE, 0.5, 0.5)
    assert_allclose(advantages, column(1.28125, 1.125, -3.5, -6))


def test_gae_after_termination_counts_neither_value_nor_later_advantage() -> None:
    # delta_1 = 2 - 10 = -8; A: 1 - 8/4 before it
    advantages = gae(REWARDS, VALUES, NEXT_VALUES, flags(1), flags(1), 0.5, 0.5)
    assert_allclose(advantages, column(-1, -8, -3.5, -6))


def test_truncation_is_not_termination_for_gae() -> None:
    # delta_1 = 2 + 20/2 - 10 = 2, and nothing of A_2; A: 1 + 2/4 before it
    advantages = gae(REWARDS, VALUES, NEXT_VALUES, NOWHERE, flags(1), 0.5, 0.5)
    assert_allclose(advantages, column(1.5, 2, -3.5, -6))


def test_gae_of_lambda_0_is_the_td_error_and_of_lambda_1_the_return_less_the_value() -> None:
    ends = {"terminated": flags(1), "ended": flags(1, 2)}
    td = gae(REWARDS, VALUES, NEXT_VALUES, **ends, gamma=0.5, lam=0.0)
    assert_allclose(td, column(1, -8, -2, -6))
    # The next values of an episode that goes on are the values of its next step.
    chained = np.where(ends["ended"], NEXT_VALUES, np.append(VALUES[1:], [[40]], axis=0))
    monte_carlo = gae(REWARDS, VALUES, chained, **ends, gamma=0.5, lam=1.0)
    # returns: 1 + 2/2, 2 | 3 + 30/2 | 4 + 40/2
    assert_allclose(monte_carlo, column(2, 2, 18, 24) - VALUES)


@pytest.mark.parametrize(("terminated", "expected"), [(True, 4 - 30), (False, 4 + 20 - 30)])
def test_the_last_step_of_a_segment_may_end_an_episode(terminated: bool, expected: float) -> None:
    last = flags(3)
    advantages = gae(REWARDS, VALUES, NEXT_VALUES, last & terminated, last, 0.5, 0.5)
    assert advantages[3, 0] == expected


def test_environments_are_computed_each_on_their_own() -> None:
    rng = np.random.default_rng(0)
    rewards, values, next_values = rng.standard_normal((3, 20, 5))
    terminated = rng.random((20, 5)) < 0.1
    ended = terminated | (rng.random((20, 5)) < 0.1)
    together = gae(rewards, values, next_values, terminated, ended, 0.9, 0.8)
    sums = discounted_returns(rewards, ended, 0.9)
    for k in range(5):
        one = slice(k, k + 1)
        alone = rewards[:, one], next_values[:, one], terminated[:, one], ended[:, one]
        advantages = gae(alone[0], values[:, one], *alone[1:], 0.9, 0.8)
        assert_array_equal(advantages, together[:, one])
        assert_array_equal(discounted_returns(alone[0], alone[3], 0.9), sums[:, one])


def test_the_arguments_stay_as_they_are_and_float32_stays_float32() -> None:
    rewards, next_values = REWARDS.astype(np.float32), NEXT_VALUES.astype(np.float32)
    before = rewards.copy(), next_values.copy()
    results = (
        discounted_returns(rewards, NOWHERE, 0.9),
        gae(rewards, rewards, next_values, NOWHERE, NOWHERE, 0.9, 0.9),
    )
    assert {result.dtype for result in results} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(before, (rewards, next_values))
