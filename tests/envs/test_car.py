"""The obstacle car: what it sees, how it moves, what it is rewarded for, and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from envs.car import HEADINGS, SIZE, STATION, ObstacleCar
from envs.drawing.top_view import Box

Make = Callable[..., Any]
STRAIGHT, LEFT, RIGHT = 0, 1, 2


@pytest.fixture
def car() -> ObstacleCar:
    """In the middle of a field without obstacles, heading for larger x; the station in a corner."""
    env = ObstacleCar()
    env.reset(seed=0)
    env._field[:] = 0.0
    env._obstacles, env._station = [], Box(2, 2, STATION, STATION)
    env._fill(env._station, 1.0)
    env._x, env._y, env._heading = 20.5, 20.5, 0
    env._cells, env._squares = {(20, 20)}, {(5, 5)}
    return env


def test_it_sees_column_sums_of_what_its_headlights_fall_on(car: ObstacleCar) -> None:
    assert car.observation_space == gymnasium.spaces.Box(-10, 10, (20,), np.float32)
    assert not car._see().any()
    car._fill(Box(26, 21, 2, 1), -1.0)  # two cells deep, the nearer 6 ahead, one to the left
    car._fill(Box(31, 17, 1, 3), -1.0)  # the farthest row, 11 ahead, is out of reach
    car._fill(Box(24, 17, 3, 3), 1.0)
    seen = dict.fromkeys(range(20), 0.0) | {9: -2.0, 11: 3.0, 12: 3.0, 13: 3.0}
    assert car._see().tolist() == list(seen.values())
    car._heading = HEADINGS // 2
    assert not car._see().any()  # all that lies behind it


def test_a_wall_is_dark_in_every_column(car: ObstacleCar) -> None:
    car._x = 35.5  # the cells from 40 on are wall: the rows 5 to 10 ahead
    assert car._see().tolist() == [-6.0] * 20


def test_it_always_moves_by_a_cell_and_turns_by_fifteen_degrees(car: ObstacleCar) -> None:
    car.step(STRAIGHT)
    assert (car._x, car._y) == (21.5, 20.5)
    car.step(LEFT)
    angle = np.pi / 12
    assert (car._x, car._y) == pytest.approx((21.5 + np.cos(angle), 20.5 + np.sin(angle)))
    car.step(RIGHT)
    assert car._y == pytest.approx(20.5 + np.sin(angle))


def test_driving_in_a_circle_pays_for_one_round(car: ObstacleCar) -> None:
    first = sum(float(car.step(LEFT)[1]) for _ in range(HEADINGS))
    assert 0.0 < first <= 4.0 * HEADINGS
    assert (car._x, car._y) == pytest.approx((20.5, 20.5))
    again = [car.step(LEFT) for _ in range(3 * HEADINGS)]
    assert all(reward == 0.0 for _, reward, *_ in again)
    info = again[-1][4]
    assert info["cells"] <= HEADINGS and info["stations"] == 0
    assert info["nearest_wall"] > 11.0


def test_a_station_is_rewarded_and_moves_elsewhere(car: ObstacleCar) -> None:
    car._fill(car._station, 0.0)
    car._station = Box(22, 19, STATION, STATION)
    car._fill(car._station, 1.0)
    assert car.step(STRAIGHT)[1] == 0.0  # into a cell of the square where it is
    _, reward, terminated, _, info = car.step(STRAIGHT)
    assert (reward, terminated, info["stations"]) == (20.0, False, 1)
    assert car._station != Box(22, 19, STATION, STATION)
    assert car._field.sum() == STATION**2  # no other is left


def test_a_crash_ends_the_episode_where_the_car_was(car: ObstacleCar) -> None:
    car._fill(Box(22, 18, 2, 5), -1.0)
    assert not car.step(STRAIGHT)[2]
    for _ in range(30):  # also for who goes on
        _, reward, terminated, truncated, info = car.step(STRAIGHT)
        assert (reward, terminated, truncated) == (-20.0, True, False)
    assert (car._x, info["cells"]) == (21.5, 2)
    assert info["reward_crash"] == -20.0 and info["reward_squares"] == info["reward_stations"] == 0


def test_every_field_leaves_room(make: Make) -> None:
    env = make("ObstacleCar")
    kinds = set()
    for seed in range(40):
        env.reset(seed=seed)
        view = env.unwrapped.top_view()
        assert 4 <= len(view.obstacles) <= 7
        x, y = (int(number) for number in view.place)
        for at, box in enumerate((*view.obstacles, *view.goals)):
            assert min(box.left, box.bottom) >= 0 and max(box.right, box.top) <= SIZE
            assert not any(box.is_within(1, other) for other in view.obstacles[:at])
            assert not Box(x, y, 1, 1).is_within(3, box)
        kinds.add((tuple(view.obstacles), view.goals[0], view.place))
    assert len(kinds) == 40


@pytest.mark.parametrize("action", [3, -1, 0.5, None, "left", [1], np.array([1, 2])])
def test_an_action_outside_is_named(car: ObstacleCar, action: Any) -> None:
    with pytest.raises(ValueError, match=r"ObstacleCar takes 0 \(straight\), 1 \(left\), 2 \(r"):
        car.step(action)


def test_it_is_drawn_from_above(make: Make) -> None:
    env = make("ObstacleCar", render_mode="rgb_array", width=82, height=82)
    env.reset(seed=3)
    view = env.unwrapped.top_view()
    picture = env.render()
    assert picture.shape == (82, 82, 3) and picture.dtype == np.uint8

    def colour(box: Box) -> tuple[int, ...]:
        x, y = box.left + box.width / 2, box.bottom + box.height / 2
        return tuple(picture[round(81 - 81 * (y + 0.5) / 41), round(81 * (x + 0.5) / 41)])

    [wall] = {colour(box) for box in view.obstacles}
    assert tuple(picture[0, 40]) == wall
    assert colour(view.goals[0]) != wall
    env.step(1)
    assert (env.render() != picture).any()
    for kwargs in ({"width": 0}, {"render_mode": "ascii"}):
        with pytest.raises(ValueError, match=f"{next(iter(kwargs))}="):
            ObstacleCar(**kwargs)
