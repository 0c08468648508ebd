"""Which moments a film shows, what it writes on them, and how many there will be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ars.rendering.film import Film, Moment, RenderConfig, TrainingFilm
from ars.rendering.recorder import Shot
from ars.rendering.video import KINDS
from ars.rollout.episode import Episode

PICTURE = np.zeros((40, 40, 3), np.uint8)


def film(ending: str, episodes: int = 1, longest: int = 20) -> Film:
    return Film(KINDS[ending], RenderConfig(episodes=episodes), "Ant", 60.0, longest)


def test_the_total_is_that_of_the_longest_episodes_until_one_ends_early() -> None:
    video = film(".mp4", episodes=3)
    totals = []
    for episode, length in enumerate((20, 6, 20)):
        for step in range(length + 1):
            if video.wants(episode, step, step == length):
                video.finish(Shot(PICTURE, episode, step, 0.0))
                totals.append(video.total)
    assert totals == [33] * 15 + [26] * 11  # every second state of 21, 7 and 21
    assert totals[-1] == len(totals)


@pytest.mark.parametrize(("length", "longest"), [(7, 20), (7, 7), (8, 20)])
def test_the_last_step_is_shown(length: int, longest: int) -> None:
    video = film(".mp4", longest=longest)  # every second state
    states = range(length + 1)
    shown = [step for step in states if video.wants(0, step, step == length < longest)]
    assert shown == [0, 2, 4, 6, length]


@pytest.mark.parametrize(("length", "shown"), [(3, [0, 2, 3]), (6, [0, 2, 4, 6]), (9, [0, 2, 4])])
def test_the_last_step_of_a_policy_of_a_training_is_shown(
    length: int, shown: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ars.rendering.film.MOMENT_SECONDS", 0.1)  # 6 steps of 60 a second
    policy: Any = None
    episode = Episode(0.0, 0.0, length)
    training = TrainingFilm(
        KINDS[".mp4"], RenderConfig(), "Ant", 60.0, [Moment(policy, 0)], [episode]
    )
    steps = range(min(length, training.steps) + 1)
    assert [step for step in steps if training.wants(0, step, False)] == shown
    assert training._count(0) == len(shown)


def test_the_total_of_a_sheet_is_the_moments_chosen() -> None:
    sheet = film(".png")
    sheet.choose([5])
    sheet.finish(Shot(PICTURE, 0, 0, 0.0))
    assert sheet.total == 6


def test_the_total_of_a_gif_is_at_most_what_it_may_have() -> None:
    gif = film(".gif", longest=100_000)
    gif.finish(Shot(PICTURE, 0, 0, 0.0))
    assert gif.total == KINDS[".gif"].frames


@pytest.mark.parametrize(("speed", "seconds"), [(0.48, 0.03), (0.5, 0.07), (1.0, 0.05)])
def test_a_gif_tells_the_time_that_its_hundredths_make(speed: float, seconds: float) -> None:
    gif = Film(KINDS[".gif"], RenderConfig(speed=speed), "Ant", 1 / 0.0165, 1000)
    assert 1 / gif.fps == pytest.approx(seconds)


def test_a_return_of_zero_has_no_sign() -> None:
    for total in (-0.0, -0.04):
        assert film(".mp4")._lines(Shot(PICTURE, 0, 0, total))[1] == "return 0.0"
    policy: Any = None
    training = TrainingFilm(
        KINDS[".mp4"], RenderConfig(), "Ant", 60.0, [Moment(policy, 5)], [Episode(-0.4, -0.4, 9)]
    )
    lines = training._lines(Shot(PICTURE, 0, 0, 0.0))
    assert lines == ("Ant", "5 timesteps", "return 0")


@pytest.mark.parametrize(
    ("metres", "step", "line"),
    [
        (0.0, 0, "0.0 m, 0.0 m/s"),
        (12.34, 120, "12.3 m, 6.2 m/s"),
        (-0.01, 60, "0.0 m, 0.0 m/s"),
        (1234.5, 6000, "1,234.5 m, 12.3 m/s"),
    ],
)
def test_a_robots_picture_says_how_far_and_how_fast(metres: float, step: int, line: str) -> None:
    lines = film(".mp4")._lines(Shot(PICTURE, 0, step, 5.0, {"metres": metres}))
    assert lines == ("Ant", "return 5.0", f"time {step / 60:.1f} s", line)
    runner = film(".mp4")._lines(Shot(PICTURE, 0, step, 5.0, {"flags": 1.0, "metres": metres}))
    assert runner == (*lines[:3], "1 flag", line)
    assert film(".mp4")._lines(Shot(PICTURE, 0, step, 5.0)) == lines[:3]


def test_a_picture_tells_the_time_of_the_simulation() -> None:
    hopper = Film(KINDS[".mp4"], RenderConfig(), "Hopper", 60.0, 1000, step_seconds=0.0165)
    lines = hopper._lines(Shot(PICTURE, 0, 1000, 5.0, {"metres": 29.01}))
    assert lines[2:] == ("time 16.5 s", "29.0 m, 1.8 m/s")


@pytest.mark.parametrize(("rate", "pictures"), [(2.0, 16), (20.0, 160), (50.0, 200), (60.0, 240)])
def test_a_film_of_some_seconds_ends_after_them(rate: float, pictures: int) -> None:
    kind = replace(KINDS[".mp4"], seconds=8.0)
    short = Film(kind, RenderConfig(), "Ant", rate, 1000)
    step = 0
    while short.wants(0, step, False) or step % short._stride:
        if step % short._stride == 0:
            short.finish(Shot(PICTURE, 0, step, 0.0))
        step += 1
    assert (short.taken, short.is_cut, short.seconds) == (pictures, True, 8.0)
