"""The shapes of robots for programs that draw by themselves: where PyBullet has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from envs.bullet.shapes import Shape, _between


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("HalfCheetah", ["capsule"] * 8),
        ("Ant", ["sphere"] + ["capsule"] * 12),
        ("InvertedPendulum", None),
        ("Reacher", None),
        ("Minitaur", None),
    ],
)
def test_every_part_has_a_pose(
    name: str, kinds: list[str] | None, make: Callable[..., Any]
) -> None:
    env = make(name)
    env.reset(seed=0)
    model = env.unwrapped.drawable()
    if kinds is not None:
        assert [shape.kind for shape in model.shapes] == kinds
    positions, attitudes = model.poses()
    assert positions.shape == (model.n_parts, 3)
    assert {shape.part for shape in model.shapes} == set(range(model.n_parts))
    assert np.allclose(np.linalg.norm(attitudes, axis=1), 1)


def test_a_torso_given_by_its_ends_lies_between_them(make: Callable[..., Any]) -> None:
    env = make("HalfCheetah")
    env.reset(seed=0)
    torso = env.unwrapped.drawable().shapes[0]
    assert torso.position == (0.0, 0.0, 0.0)
    assert np.allclose(torso.attitude, (np.sqrt(0.5), 0, np.sqrt(0.5), 0))  # z is turned to x


@pytest.mark.parametrize("end", [(0, 0, 2), (0, 0, -2), (1, 2, -1)])
def test_a_capsule_points_from_end_to_end(end: tuple[float, float, float]) -> None:
    blank = Shape(0, "capsule", (1, 1, 0), "", (1, 1, 1), (0, 0, 0), (1, 0, 0, 0))
    shape = _between(blank, np.zeros(3), np.array(end, float))
    w, x, y, z = shape.attitude
    axis = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    assert np.allclose(axis, np.array(end) / np.linalg.norm(end), atol=1e-9)
    assert np.allclose(shape.position, np.array(end) / 2)
