"""What an environment may give for a picture, and what is said of anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import Square
from PIL import Image

import envs
from ars.common.errors import RunError
from ars.rendering.recorder import Camera, Caption, Shot, as_picture, follows_a_robot

GREY = (np.arange(20).reshape(4, 5) * 12).astype(np.uint8)
COLOURS = np.stack([GREY, GREY // 2, GREY // 3], axis=2)


@pytest.mark.parametrize(
    ("given", "picture"),
    [
        (COLOURS, COLOURS),
        (COLOURS.astype(np.int64), COLOURS),
        (COLOURS[:, ::-1], COLOURS[:, ::-1]),
        (np.dstack([COLOURS, GREY]), COLOURS),
        (GREY, np.dstack([GREY] * 3)),
        (GREY[..., None], np.dstack([GREY] * 3)),
        (Image.fromarray(COLOURS), COLOURS),
        (Image.fromarray(GREY), np.dstack([GREY] * 3)),
    ],
)
def test_whole_numbers_in_any_usual_order_are_a_picture(
    given: Any, picture: NDArray[np.uint8]
) -> None:
    found = as_picture(given)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, picture)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, r"render\(\) gave nothing \(None\); it must give a picture: uint8 \[height, "),
        ([COLOURS], "gave an object of type list"),
        (np.moveaxis(COLOURS, 2, 0), r"an array of shape \[3, 4, 5\]; the colours must come last"),
        (COLOURS[..., :2], r"an array of shape \[4, 5, 2\]; it"),
        (COLOURS[None], r"an array of shape \[1, 4, 5, 3\]"),
        (COLOURS[:0], r"an array of shape \[0, 5, 3\]"),
        (COLOURS / 255, "numbers of type float64 from 0 to 0.894118"),
        (COLOURS.astype(np.int16) + 100, "numbers of type int16 from 100 to 328"),
        (COLOURS.astype(np.int16) - 1, "numbers of type int16 from -1 to 227"),
    ],
)
def test_anything_else_is_named(given: Any, told: str) -> None:
    with pytest.raises(RunError, match=told):
        as_picture(given)


def test_a_label_above_leaves_the_picture_whole() -> None:
    world = Image.effect_noise((201, 255), 90).convert("RGB")
    labelled = Caption(above=True).draw(world.copy(), ["GridWorld", "return 0.0", "time 0.0 s"])
    band = labelled.height - world.height
    assert labelled.width == world.width and 48 < band < 80 and band % 2 == 0
    assert labelled.crop((0, band, *labelled.size)) == world
    above = np.asarray(labelled)[:band]
    assert (above[..., 0] > 200).any() and (above[-3:] < 30).all()


def test_a_label_on_a_robots_picture_keeps_its_size() -> None:
    picture = Image.new("RGB", (200, 150), "white")
    assert Caption().draw(picture, ["Ant", "return 0.0", "time 0.0 s"]) is picture
    assert picture.size == (200, 150) and picture.getpixel((2, 2)) != (255, 255, 255)


@pytest.mark.parametrize(("name", "follows"), [("Hopper", True), ("GridWorld", False)])
def test_robots_alone_are_followed(name: str, follows: bool) -> None:
    env = envs.make(name, render_mode="rgb_array")
    assert follows_a_robot(env) is follows
    env.close()


class Grows(Square):
    def render(self) -> Any:
        return np.zeros((10 + self.count, 8, 3), np.uint8)


def test_pictures_of_another_size_are_refused() -> None:
    camera = Camera(Grows("rgb_array"), lambda episode, step, ended: True, lambda shot: None)
    camera.reset(seed=0)
    with pytest.raises(RunError, match="gave a picture of 8x11, after one of 8x10"):
        camera.step(0)


def test_the_camera_says_which_step_is_the_last() -> None:
    asked: list[tuple[int, int, bool]] = []

    def wants(*moment: Any) -> bool:
        asked.append(moment)
        return False

    camera = Camera(Square("rgb_array"), wants, print)
    for _ in range(2):
        camera.reset(seed=0)
        for _ in range(20):
            camera.step(0)
    assert [moment for moment in asked if moment[2]] == [(0, 20, True), (1, 20, True)]
    assert len(asked) == 2 * 21


class Walks(Square):
    """Says in `info` where it is."""

    def reset(self, **details: Any) -> Any:
        return super().reset(**details)[0], {"x_position": 2.0}

    def step(self, action: Any) -> Any:
        return *super().step(action)[:4], {"x_position": 2.0 + self.count / 4}


def test_a_shot_knows_how_far_a_robot_came() -> None:
    shots: list[Shot] = []
    camera = Camera(Walks("rgb_array"), lambda episode, step, ended: True, shots.append)
    camera.reset(seed=0)
    for _ in range(4):
        camera.step(0)
    camera.reset(seed=0)
    assert [shot.measures["metres"] for shot in shots] == [0.0, 0.25, 0.5, 0.75, 1.0, 0.0]
    still = Camera(Square("rgb_array"), lambda episode, step, ended: True, shots.append)
    still.reset(seed=0)
    assert shots[-1].measures == {}
