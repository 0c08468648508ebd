"""An environment's own time limit is found wherever it is set."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
import small_worlds
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

import envs
from ars.training.given_env import registered
from envs.time_limit import time_limit


@pytest.mark.parametrize(
    ("env_id", "kwargs", "limit"),
    [
        ("HalfCheetah", {}, 1000),
        ("Reacher", {}, 150),
        ("CartPole-v1", {}, 500),
        ("small_worlds:ShortCorridor-v0", {}, 5),
        ("small_worlds:Corridor-v0", {}, None),
        ("small_worlds:Corridor-v0", {"max_episode_steps": 7000}, 7000),
        ("small_worlds:ShortCorridor-v0", {"max_episode_steps": 7000}, 7000),
        ("small_worlds:ShortCorridor-v0", {"max_episode_steps": -1}, None),
    ],
)
def test_the_limit_is_that_of_the_environment_as_it_is_made(
    env_id: str, kwargs: dict[str, Any], limit: int | None
) -> None:
    env = envs.make(env_id, **kwargs)
    assert time_limit(env) == limit
    env.close()


def test_the_smallest_limit_of_all_wrappers_holds() -> None:
    env = TimeLimit(RecordEpisodeStatistics(TimeLimit(small_worlds.Corridor(), 40)), 90)
    assert time_limit(env) == 40


def test_a_limit_inside_an_environment_that_is_given_from_python_is_found() -> None:
    with registered(TimeLimit(small_worlds.Corridor(), 40)) as env_id:
        assert time_limit(envs.make(env_id)) == 40


class Emulator(gymnasium.Env[Any, Any]):
    """Counts frames, as the games of ale-py do."""


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"max_num_frames_per_episode": 108_000, "frameskip": 4}, 27_000),
        ({"max_num_frames_per_episode": 10, "frameskip": (3, 5)}, 4),
        ({"max_num_frames_per_episode": None, "frameskip": 4}, None),
        ({}, None),
    ],
)
def test_an_emulator_s_frames_are_steps(options: dict[str, Any], limit: int | None) -> None:
    env = Emulator()
    spec = gymnasium.envs.registration.EnvSpec
    env.spec = spec("Game-v0", Emulator, kwargs=options)  # type: ignore[arg-type]
    assert time_limit(env) == limit
