"""Policies that scale their outputs to the bounds of their actions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from policies import (
    FileError,
    Policy,
    PolicyFile,
    PolicySpec,
    UnsupportedSpace,
    load_policy,
    make_policy,
    save_policy,
)
from policies.file import read_arrays, write_arrays

VECTOR = spaces.Box(-1, 1, (1,), np.float32)


def scaled(action_space: Any, outputs: Any, **options: Any) -> Policy:
    """A policy with these outputs for the observation 1."""
    policy = make_policy("linear", VECTOR, action_space, scale_actions=True, **options)
    policy.weights = np.array(outputs, np.float64)
    return policy


def test_outputs_of_minus_1_and_1_are_the_bounds_number_by_number() -> None:
    low, high = np.array([1000, -2, 0]), np.array([2000, 6, 0.001])
    space = spaces.Box(low, high, dtype=np.float64)
    for outputs, expected in (
        ([-1, -1, -1], low),
        ([0, 0, 0], [1500, 2, 0.0005]),
        ([0.5, 0.5, 0.5], [1750, 4, 0.00075]),
        ([1, 1, 1], high),
        ([-7, 7, 7], [1000, 6, 0.001]),  # beyond, they are clipped
    ):
        action = scaled(space, outputs).act([1.0])
        np.testing.assert_allclose(action, expected, rtol=0, atol=1e-12)
        assert space.contains(action)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_bounds_are_met_and_never_exceeded_in_any_type(dtype: Any) -> None:
    for low, high in ((0.1, 0.3), (-7.7, 1.3), (1000.1, 1000.2), (0, 1e-4)):
        space = spaces.Box(low, high, (1,), dtype)
        for output in (-1.0, 1.0, 30.0, -30.0):
            assert space.contains(scaled(space, [output]).act([1.0]))


@pytest.mark.parametrize(
    ("bounds", "dtype", "actions"),
    [
        ((0, 4), np.int64, [0, 1, 2, 3, 4]),
        ((-3, 1), np.int8, [-3, -2, -1, 0, 1]),
        ((0, 1), np.uint8, [0, 0, 0, 1, 1]),
        ((0, 255), np.uint8, [0, 64, 128, 191, 255]),
        ((0, 1), np.bool_, [False, False, False, True, True]),
    ],
)
def test_whole_numbers_are_rounded(bounds: tuple[int, int], dtype: Any, actions: list[Any]) -> None:
    space = spaces.Box(*bounds, (1,), dtype)
    for output, expected in zip((-1.0, -0.5, 0.0, 0.5, 1.0), actions, strict=True):
        action = scaled(space, [output]).act([1.0])
        assert space.contains(action) and action.tolist() == [expected]


def test_without_clipping_outputs_go_on_beyond_the_bounds() -> None:
    space = spaces.Box(1000, 2000, (1,), np.float32)
    assert scaled(space, [3.0], clip_actions=False).act([1.0]).tolist() == [3000.0]


def test_where_the_bounds_are_1_nothing_changes_by_a_bit() -> None:
    space = spaces.Box(-1, 1, (4,), np.float32)
    outputs = [-0.0, 0.1, 1 / 3, 5.0]
    plain = make_policy("linear", VECTOR, space)
    plain.weights = np.array(outputs)
    assert scaled(space, outputs).spec.action_scale is None
    assert scaled(space, outputs).act([1.0]).tobytes() == plain.act([1.0]).tobytes()


def test_drawn_actions_are_scaled_too() -> None:
    space = spaces.Box(1000, 2000, (1,), np.float32)
    policy = make_policy("mlp", VECTOR, space, distribution="gaussian", scale_actions=True)
    rng = np.random.default_rng(0)
    drawn = np.array([policy.sample([1.0], rng) for _ in range(300)])
    assert drawn.min() == 1000 and drawn.max() == 2000
    assert abs(drawn.mean() - 1500) < 60


def test_the_file_says_so_and_files_without_it_are_as_they_were(tmp_path: Path) -> None:
    space, path = spaces.Box(1000, 2000, (1,), np.float32), tmp_path / "p.safetensors"
    save_policy(path, PolicyFile(scaled(space, [0.5]), "Env-v0"))
    assert load_policy(path).act([1.0]).tolist() == [1750.0]
    plain = make_policy("linear", VECTOR, space)
    assert "scale_actions" not in plain.spec.to_json()
    for policy in (plain, scaled(space, [0.5])):
        assert PolicySpec.from_json(json.loads(json.dumps(policy.spec.to_json()))) == policy.spec


def test_a_forged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    save_policy(path, PolicyFile(scaled(spaces.Box(0, 9, (1,), np.float32), [0.5]), "Env-v0"))
    arrays, document = read_arrays(path, "policy")
    spec = document["spec"]
    for change in (
        {"scale_actions": "yes"},
        {"scale_actions": 1},
        {"action": spec["action"] | {"high": [None]}},
        {"action": {"type": "discrete", "n": 1, "start": 0}, "deterministic_rule": "argmax"},
    ):
        write_arrays(path, "policy", arrays, {**document, "spec": {**spec, **change}})
        with pytest.raises(FileError, match="not a usable policy file"):
            load_policy(path)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Discrete(3), "is for Box actions"),
        (spaces.Box(-np.inf, np.inf, (2,)), "needs bounds, and the actions have none"),
        (spaces.Box(10, np.inf, (1,)), "the action lies between 10 and inf"),
        (spaces.Box(-3e38, 3e38, (1,)), "the action lies between -3e+38 and 3e+38"),
        (
            spaces.Box(np.array([-1, -np.inf]), np.array([1, 0]), dtype=np.float64),
            "number 2 of the actions lies between -inf and 0",
        ),
    ],
)
def test_actions_without_two_bounds_are_refused_in_one_line(space: Any, words: str) -> None:
    with pytest.raises(UnsupportedSpace, match=f"`scale_actions`: .*{words}".replace("+", r"\+")):
        make_policy("linear", VECTOR, space, scale_actions=True)
