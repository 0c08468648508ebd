"""Squash, the small game of pictures: its rules, its pictures, its window."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import episode, random_actions

import envs
from envs.atari import n_stacked
from envs.drawing import pictured, window
from envs.squash import Squash

Make = Callable[..., Any]


def test_squash_shows_its_last_two_frames(make: Make) -> None:
    env = make("Squash")
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (2, 24, 24), np.uint8)
    assert n_stacked(env) == 2
    obs, _ = env.reset(seed=0)
    assert (obs[0] == obs[1]).all()
    assert np.unique(obs).tolist() == [0, 128, 255]
    assert [(obs[0] == grey).sum() for grey in (128, 255)] == [10, 4]
    before, (obs, *_) = obs, env.step(1)
    assert (obs[0] == before[1]).all() and (obs[1] != obs[0]).any()


def test_the_ball_flies_straight_and_side_walls_reflect_it(make: Make) -> None:
    env = make("Squash")
    env.reset(seed=0)
    game = env.unwrapped
    game._x, game._y, game._across, game._along = 1.0, 4.0, -0.75, 2.0
    path = []
    for _ in range(4):
        env.step(1)
        path.append((game._x, game._y))
    assert path == [(0.25, 6.0), (0.5, 8.0), (1.25, 10.0), (2.0, 12.0)]
    game._x, game._across = 21.5, 1.0
    env.step(1)
    assert (game._x, game._across) == (21.5, -1.0)


@pytest.mark.parametrize(("paddle", "reward"), [(4.9, -1.0), (5.1, 1.0), (11.9, 1.0), (12.1, -1.0)])
def test_the_paddle_returns_what_it_touches(paddle: float, reward: float, make: Make) -> None:
    env = make("Squash")
    env.reset(seed=0)
    game = env.unwrapped
    game._x, game._y, game._across, game._along = 10.0, 18.0, 0.0, 2.0
    game._paddle = paddle
    _, got, over, truncated, _ = env.step(1)
    assert (got, over, truncated) == (reward, reward < 0, False)
    assert game._along == (-2.0 if reward > 0 else 2.0)


def test_the_paddle_moves_within_the_court(make: Make) -> None:
    env = make("Squash")
    places = {}
    for action in (0, 1, 2):
        env.reset(seed=0)
        env.step(action)
        first = env.unwrapped._paddle
        for _ in range(8):
            env.step(action)
        places[action] = (first, env.unwrapped._paddle)
    assert places == {0: (8.0, 0.0), 1: (9.5, 9.5), 2: (11.0, 19.0)}
    with pytest.raises(
        ValueError, match=r"action 3: Squash takes 0 \(left\), 1 \(stay\), 2 \(right\)"
    ):
        env.step(3)


def follow(env: Any, seed: int) -> tuple[float, int]:
    """Play with the paddle under the ball; the episode's return and length."""
    env.reset(seed=seed)
    game, total, steps, over = env.unwrapped, 0.0, 0, False
    while not over:
        offset = game._x + 1.0 - (game._paddle + 2.5)
        _, reward, over, truncated, _ = env.step(0 if offset < -0.75 else 2 if offset > 0.75 else 1)
        assert not truncated
        total, steps = total + reward, steps + 1
    return total, steps


def test_who_follows_the_ball_wins_and_who_does_not_loses(make: Make) -> None:
    env = make("Squash")
    assert {follow(env, seed) for seed in range(40)} == {(10.0, 190)}
    returns = [
        sum(step[1] for step in episode(env, seed, random_actions(env, 400, seed)))
        for seed in range(200)
    ]
    assert -0.9 < np.mean(returns) < 0.0


def test_squash_depends_on_the_seed_and_the_actions_alone(make: Make) -> None:
    first, second = make("Squash"), make("Squash", render_mode="rgb_array", width=50, height=40)
    for seed in range(5):
        actions = random_actions(first, 100, seed)
        want = episode(first, seed, actions)
        assert episode(second, seed, actions) == want
        assert episode(first, seed + 1, actions) != want
        picture = second.render()
        assert picture.shape == (40, 50, 3) and picture.dtype == np.uint8


def test_squash_is_drawn_at_any_size(make: Make) -> None:
    env = make("Squash", render_mode="rgb_array", width=240, height=120)
    env.reset(seed=0)
    picture = env.render()
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    assert len(colours) == 3
    assert sorted(counts.tolist())[:2] == [20 * 10, 50 * 10]  # ball and paddle
    with pytest.raises(ValueError, match="width=0"):
        Squash(width=0)
    with pytest.raises(ValueError, match="render_mode='ascii'"):
        Squash(render_mode="ascii")


def test_squash_in_a_window(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Tk, which needs a display."""
    monkeypatch.setattr(window, "has_display", lambda: False)
    with pytest.raises(gymnasium.error.Error, match="needs a display"):
        envs.make("Squash", render_mode="human")
    monkeypatch.setattr(window, "has_display", lambda: True)
    shown: list[bytes] = []

    class TclError(Exception):
        pass

    class Root:
        closed = False

        def title(self, text: str) -> None:
            assert text == "Squash"

        def update(self) -> None:
            if self.closed:
                raise TclError

        destroy = update

    class Label:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def pack(self) -> None: ...

        def configure(self, image: bytes) -> None:
            shown.append(image)

    tk = types.SimpleNamespace(
        Tk=Root, Label=Label, PhotoImage=lambda data: data, TclError=TclError
    )
    monkeypatch.setitem(sys.modules, "tkinter", tk)
    now, waits = [100.0], list[float]()
    clock = types.SimpleNamespace(perf_counter=lambda: now[0], sleep=waits.append)
    monkeypatch.setattr(pictured, "time", clock)
    env = make("Squash", render_mode="human", width=30, height=20)
    env.reset(seed=0)
    now[0] += 0.02
    env.step(0)
    assert waits == pytest.approx([0.0, 0.03])  # 20 frames a second
    assert env.render() is None
    header = b"P6 30 20 255 "
    assert [len(picture) for picture in shown] == [len(header) + 30 * 20 * 3] * 2
    assert shown[0].startswith(header) and shown[0] != shown[1]
    Root.closed = True
    with pytest.raises(gymnasium.error.Error, match="the window was closed"):
        env.step(0)
