"""Pictures and windows: they show the robot and change no bit."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import ROBOTS, episode, random_actions

import envs
from envs.bullet import renderer
from envs.drawing import window


@pytest.mark.parametrize("name", ROBOTS)
def test_rendering_changes_no_bit(name: str, make: Callable[..., Any]) -> None:
    plain, seen = make(name), make(name, render_mode="rgb_array", width=64, height=48)
    for seed in range(2):
        want, got = plain.reset(seed=seed)[0], seen.reset(seed=seed)[0]
        for action in random_actions(plain, 6):
            picture = seen.render()
            assert picture.dtype == np.uint8 and picture.shape == (48, 64, 3)
            assert got.tobytes() == want.tobytes()
            want, got = plain.step(action)[0], seen.step(action)[0]


def orange(picture: Any) -> Any:
    """Where the robot's own colour is; floor and sky have none of it."""
    return picture[:, :, 0].astype(int) - picture[:, :, 2] > 60


@pytest.mark.parametrize("egl", [True, False])
@pytest.mark.parametrize("name", ROBOTS)
def test_the_robot_is_in_the_middle_of_the_picture(
    name: str, egl: bool, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if egl and not renderer._egl_works():
        pytest.skip("EGL draws nothing here")
    if not egl:
        monkeypatch.setattr("envs.bullet.renderer._egl_works", lambda: False)
    env = make(name, render_mode="rgb_array")
    env.reset(seed=0)
    for action in random_actions(env, 5):
        env.step(action)
    picture = env.render()
    assert picture.shape == (480, 640, 3)
    rows, columns = np.nonzero(orange(picture))
    assert 0.005 < orange(picture).mean() < 0.4
    assert abs(columns.mean() - 320) < 80
    assert max(np.ptp(rows), np.ptp(columns)) > 80  # an arm may be folded
    assert np.array_equal(env.render(), picture)


def test_the_camera_keeps_up(make: Callable[..., Any]) -> None:
    from envs.bullet.client import pybullet

    env = make("Ant", render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0)
    here = env.render()
    robot = env.unwrapped
    (x, y, z), attitude = pybullet.getBasePositionAndOrientation(robot._body, robot._client)
    pybullet.resetBasePositionAndOrientation(
        robot._body, (x + 60.0, y - 8.0, z), attitude, robot._client
    )
    there = env.render().astype(int)
    assert np.abs(there - here).mean() < 1.0  # the same floor, light and shadow


def test_robots_do_not_show_in_each_others_pictures(make: Callable[..., Any]) -> None:
    ant, hopper = [make(name, render_mode="rgb_array") for name in ("Ant", "Hopper")]
    ant.reset(seed=0)
    hopper.reset(seed=0)
    pictures = [env.render() for env in (ant, hopper, ant, hopper)]
    assert np.array_equal(pictures[0], pictures[2]) and np.array_equal(pictures[1], pictures[3])
    hopper.close()
    assert np.array_equal(ant.render(), pictures[0])


def test_no_window_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for display in ("", ":4321"):  # none, and one that has gone
        monkeypatch.setenv("DISPLAY", display)
        with pytest.raises(gymnasium.error.Error, match="needs a display") as caught:
            envs.make("Hopper", render_mode="human")
        assert "\n" not in str(caught.value)


def test_a_window_keeps_real_time_and_changes_no_bit(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from envs.bullet import client

    # A window that draws nothing stands in for PyBullet's, which needs a display.
    monkeypatch.setattr(window, "has_display", lambda: True)
    fake = types.SimpleNamespace(**vars(client.pybullet))
    fake.GUI = fake.DIRECT
    monkeypatch.setattr(client, "pybullet", fake)

    plain, shown = make("HalfCheetah"), make("HalfCheetah", render_mode="human")
    actions = random_actions(plain, 30)
    want = episode(plain, 0, actions)
    start = time.perf_counter()
    assert episode(shown, 0, actions) == want
    assert shown.render() is None
    assert time.perf_counter() - start > 0.45  # 30 frames at 60 a second
