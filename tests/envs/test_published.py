"""Published returns are found by an environment's name, id or other version."""

from __future__ import annotations

import pytest

import envs
from envs.published import PUBLISHED, published_for


@pytest.mark.parametrize(
    ("env_id", "name"),
    [
        ("HalfCheetah", "HalfCheetah"),
        ("bullet/HalfCheetah-v0", "HalfCheetah"),
        ("HalfCheetah-v3", "HalfCheetah-v3"),
        ("HalfCheetah-v5", "HalfCheetah-v3"),
        ("CartPole-v1", "CartPole-v1"),
        ("LunarLander-v3", "LunarLander-v2"),
    ],
)
def test_an_environment_has_its_figures(env_id: str, name: str) -> None:
    assert published_for(env_id) == (name, PUBLISHED[name])


@pytest.mark.parametrize("env_id", ["Unheard-v0", "Minitaur", "mine:HalfCheetah-v5", "", "-v1"])
def test_what_nobody_published_has_none(env_id: str) -> None:
    assert published_for(env_id) == (env_id, ())


def test_robots_stand_under_their_names() -> None:
    robots = {name for name in PUBLISHED if "-v" not in name}
    assert robots <= set(envs.names())
    assert all(figure.timesteps > 0 for figures in PUBLISHED.values() for figure in figures)
