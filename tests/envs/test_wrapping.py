"""Wrappers named by the user: where they are put, and what cannot be used as one."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

import envs
from envs.time_limit import time_limit
from envs.wrapping import modules_of


def first_reward(*wrappers: str) -> float:
    with closing(envs.make("CartPole-v1", wrappers=[f"small_wrappers:{w}" for w in wrappers])) as e:
        e.reset(seed=0)
        return float(e.step(np.int64(1))[1])


def test_the_first_one_named_is_the_innermost() -> None:
    assert first_reward() == 1
    assert first_reward("Half", "PlusOne") == 1.5
    assert first_reward("PlusOne", "Half") == 1


def test_its_spaces_and_its_time_limit_are_the_environment_s() -> None:
    wrappers = ["small_wrappers:WithBias", "small_wrappers:short"]
    with closing(envs.make("CartPole-v1", wrappers=wrappers)) as env:
        assert env.observation_space.shape == (5,)
        assert time_limit(env) == 7


def test_one_of_gymnasium_s_own_can_be_named_alone() -> None:
    with closing(envs.make("CartPole-v1", wrappers="gymnasium.wrappers:TimeAwareObservation")) as e:
        assert e.observation_space.shape == (5,)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("small_wrappers", "must be module:Class$"),
        ("small_wrappers.Half", r"did you mean small_wrappers:Half\?"),
        ("small_wrappers:", "must be module:Class$"),
        (":Half", "must be module:Class$"),
        (3, "must be module:Class$"),
        ("nowhere_at_all:Half", "does not import .*; run it in the folder"),
        ("folder/small_wrappers.py:Half", "as small_wrappers:Half, where it lies"),
        ("small_wrappers:Hlaf", r"has no Hlaf; did you mean small_wrappers:Half\?"),
        ("small_wrappers:shortr", r"did you mean small_wrappers:short\?"),
        ("small_wrappers:NoWrapper", "is no wrapper; it must be"),
        ("small_wrappers:np", "is no wrapper"),
        ("gymnasium:RewardWrapper", "is no wrapper"),
        ("small_wrappers:Coloured", "needs colour; name a function"),
        ("small_wrappers:nothing", "made an object of type NoneType, not an environment"),
    ],
)
def test_what_is_no_wrapper_is_named_in_one_line(name: object, reason: str) -> None:
    with pytest.raises(envs.WrongOptions, match=reason) as failed:
        envs.make("CartPole-v1", wrappers=[name])  # type: ignore[list-item]
    assert str(failed.value).startswith(f"`wrappers` {name}: ")
    assert "\n" not in str(failed.value)


def test_one_that_fails_is_named_and_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(CartPoleEnv, "close", lambda env: closed.append(env))
    with pytest.raises(RuntimeError, match="wrapper small_wrappers:BreaksAtOnce fails with"):
        envs.make("CartPole-v1", wrappers=["small_wrappers:Half", "small_wrappers:BreaksAtOnce"])
    assert len(closed) == 1


def test_a_robot_in_a_wrapper_is_said_not_to_use_compiled_code() -> None:
    with closing(envs.make("Hopper", wrappers=["small_wrappers:Half"])) as env:
        player, notice = envs.accelerate(env)
    assert player is None
    assert notice is not None
    assert notice.startswith("Hopper runs at about half its speed in Half")


def test_modules_are_found_whatever_else_a_file_says() -> None:
    assert modules_of({"wrappers": ["a:B", "c.d:E", "a:F"]}) == ["a", "c.d"]
    assert modules_of({"wrappers": "a:B"}) == ["a"]
    for odd in ({}, {"wrappers": None}, {"wrappers": 3}, {"wrappers": [3, None]}):
        assert modules_of(odd) == []
