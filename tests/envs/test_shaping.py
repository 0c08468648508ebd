"""Distances to a goal, for algorithms that shape rewards."""

from __future__ import annotations

import numpy as np
import pytest

from envs.shaping import goal_distance


@pytest.mark.parametrize("env_id", ["LunarLander-v3", "some.module:LunarLanderContinuous-v2"])
def test_a_lander_is_as_far_from_its_pad_as_its_place_says(env_id: str) -> None:
    distance = goal_distance(env_id)
    assert distance is not None
    obs = np.array([[3.0, 4.0, 9.0], [0.0, -2.0, 9.0]], np.float32)
    assert distance(obs).tolist() == [5.0, 2.0]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "LunarLander:CartPole-v1", "MoonLunarLander-v0"])
def test_no_goal_is_known_of_others(env_id: str) -> None:
    assert goal_distance(env_id) is None
