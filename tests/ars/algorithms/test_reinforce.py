"""REINFORCE against gradients worked out by hand, and on what can be learnt in a moment."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from closeness import close
from learners import gradient, learn, make, mean_return, set_parameters

import ars.algorithms.reinforce
from ars.algorithms.reinforce import REINFORCE
from ars.experience.episodes import Trajectory

PLAIN = {"gamma": 0.5, "standardize": False, "max_grad_norm": 0.0, "optimizer": "rmsprop"}


def identity(**settings: Any) -> Any:
    return make(REINFORCE, "small_worlds:Identity-v0", **{**PLAIN, **settings})


def episode(rewards: list[float], actions: list[int], terminated: bool = True) -> Trajectory:
    """In the three places in turn."""
    inputs = np.eye(3, dtype=np.float32)[np.arange(len(rewards)) % 3]
    return Trajectory(inputs, np.array(actions), np.array(rewards, float), inputs[0], terminated)


EPISODE = episode([1.0, 0.0, 2.0], [0, 1, 2])
# Returns with gamma 1/2: 2; 0 + 2/2; 1 + 1/2.


def test_actions_are_weighed_by_the_returns_that_follow() -> None:
    reinforce = identity()
    # All probabilities 1/3: the slope of log pi(a) along output k is [a = k] - 1/3.
    set_parameters(reinforce)
    reinforce._update([EPISODE])
    # -(1.5 * 2/3 - 1/3 - 2/3) / 3; -(-1.5/3 + 2/3 - 2/3) / 3; -(-1.5/3 - 1/3 + 4/3) / 3
    close(gradient(reinforce, "actor.bias"), [0, 1 / 6, -1 / 6])
    assert gradient(reinforce, "critic.bias") == [0.0]


def test_weights_are_standardised_over_the_update() -> None:
    reinforce = identity(standardize=True)
    set_parameters(reinforce)
    reinforce._update([EPISODE])
    # Mean 1.5, deviation sqrt(1/6): weights 0, -z, z with z = sqrt(6) / 2.
    z = math.sqrt(6) / 2
    close(gradient(reinforce, "actor.bias"), [0, z / 3, -z / 3])


def test_every_step_of_every_episode_counts_the_same() -> None:
    reinforce = identity()
    set_parameters(reinforce)
    reinforce._update([EPISODE, episode([3.0], [1])])
    # The sums above (0, -1/2, 1/2) with 3 * (-1/3, 2/3, -1/3), over 4 steps, downhill
    close(gradient(reinforce, "actor.bias"), [1 / 4, -1.5 / 4, 0.5 / 4])


def test_the_first_step_of_rmsprop_is_ten_learning_rates() -> None:
    reinforce = identity(learning_rate=0.01)
    set_parameters(reinforce)
    reinforce._update([EPISODE, episode([3.0], [1])])  # whose gradient is nowhere zero
    # g / sqrt(0.01 g^2), but for eps
    close(reinforce.network.get_parameter("actor.bias"), [-0.1, 0.1, -0.1], 2e-3)


@pytest.mark.parametrize(("terminated", "following"), [(True, 0.0), (False, 0.5)])
def test_the_baseline_is_subtracted_and_stands_for_what_a_time_limit_cut_off(
    terminated: bool, following: float
) -> None:
    reinforce = identity(baseline=True, value_coef=0.5)
    set_parameters(reinforce, critic__bias=[0.5])
    reinforce._update([episode([1.0, 0.0, 2.0], [0, 1, 2], terminated)])
    returns = [1.5 + following / 8, 1.0 + following / 4, 2.0 + following / 2]
    # 1/2 d(V - G)^2 = V - G
    close(gradient(reinforce, "critic.bias"), [0.5 - sum(returns) / 3])
    weights = [g - 0.5 for g in returns]
    expected = [-sum(w * ((t == k) - 1 / 3) for t, w in enumerate(weights)) / 3 for k in range(3)]
    close(gradient(reinforce, "actor.bias"), expected)


def test_a_time_limit_ends_the_rewards_where_there_is_no_baseline() -> None:
    reinforce = identity()
    set_parameters(reinforce, critic__bias=[0.5])
    cut = episode([1.0, 0.0, 2.0], [0, 1, 2], terminated=False)
    assert reinforce._returns(cut).tolist() == [1.5, 1.0, 2.0]


def test_the_entropy_bonus_pulls_towards_chance() -> None:
    reinforce = identity(entropy_coef=0.1)
    set_parameters(reinforce, actor__bias=[1.0, 0.0, 0.0])
    reinforce._update([episode([0.0, 0.0, 0.0], [0, 1, 2])])
    first, second, third = reinforce.network.get_parameter("actor.bias").tolist()
    assert first < 1.0 and third > 0.0
    close(second, third)


def test_the_deviation_of_a_gaussian_is_learned_too() -> None:
    settings: dict[str, Any] = {**PLAIN, "entropy_coef": 0.1}
    reinforce = make(REINFORCE, "small_worlds:IdentityBox-v0", **settings)
    set_parameters(reinforce)
    drawn = np.array([[0.5], [-2.0], [1.0]], np.float32)
    reinforce._update([replace(EPISODE, actions=drawn)])
    # Deviations from mean 0 in units of 1: log p grows by z^2 - 1 along log_std, the entropy by 1.
    weighed = sum(g * (z**2 - 1) for g, z in zip([1.5, 1.0, 2.0], drawn.ravel(), strict=True))
    close(gradient(reinforce, "log_std"), [-weighed / 3 - 0.1])


def test_a_gradient_in_parts_is_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = [EPISODE, episode([3.0, -1.0], [1, 0], terminated=False)]
    found = []
    for chunk in (1024, 2):
        monkeypatch.setattr(ars.algorithms.reinforce, "CHUNK", chunk)
        reinforce = identity(baseline=True, standardize=True, entropy_coef=0.01)
        metrics = reinforce._update(episodes)
        found.append((reinforce.parameters.grad.numpy().copy(), list(metrics.values())))
    close(found[1][0], found[0][0])
    close(found[1][1], found[0][1])


def test_an_update_waits_for_its_episodes_however_long_iterations_are() -> None:
    """Of two environments, with episodes of 20 steps and iterations of 7."""
    reinforce = identity(n_envs=2, n_steps=7, n_episodes=4)
    before = reinforce.parameters.numpy()
    rows = learn(reinforce, 5)  # 35 steps of each
    np.testing.assert_array_equal(reinforce.parameters.numpy(), before)
    assert reinforce.timesteps == 70 and reinforce.episodes == 2
    rows = learn(make_again(reinforce), 1)
    assert not math.isnan(rows[0]["policy_loss"])


def make_again(reinforce: Any) -> Any:
    """Another with the same state."""
    again = make(REINFORCE, "small_worlds:Identity-v0", **vars(reinforce.config))
    again.restore(reinforce.state())
    return again


@pytest.mark.parametrize(
    ("env_id", "env_kwargs", "settings"),
    [
        ("small_worlds:Identity-v0", {"start": 5}, {}),
        ("small_worlds:Identity-v0", {}, {"baseline": True, "normalize_observations": True}),
        ("small_worlds:IdentityBox-v0", {}, {"log_std_init": -1.0, "normalize_rewards": True}),
        ("small_worlds:Images-v0", {}, {"hidden_sizes": (16,), "n_envs": 2}),
    ],
)
def test_the_obvious_is_learnt(
    env_id: str, env_kwargs: dict[str, Any], settings: dict[str, Any]
) -> None:
    given = {"gamma": 0.0, "n_steps": 400, "learning_rate": 0.01, **settings}
    reinforce = make(REINFORCE, env_id, env_kwargs, **given)
    before = mean_return(reinforce)
    learn(reinforce, 10)
    assert before < 16
    assert mean_return(reinforce) > 19.5
