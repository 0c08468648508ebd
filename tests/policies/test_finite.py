"""Finite observation spaces: states are numbered, shown to networks, and stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from policies import (
    FiniteSpec,
    PolicyFile,
    UnsupportedSpace,
    load_policy,
    make_policy,
    observation_spec,
    save_policy,
)

TWO = spaces.Discrete(2)
CARDS = spaces.Tuple([spaces.Discrete(3, start=4), spaces.Discrete(2)])
PAIR = spaces.MultiDiscrete(np.array([[3, 2]]), start=np.array([[4, 0]]))


@pytest.mark.parametrize("start", [2**25, -(2**25)])
def test_numbers_that_float32_confuses_are_refused(start: int) -> None:
    with pytest.raises(UnsupportedSpace, match="only numbers of up to 16,777,216 are supported"):
        observation_spec(spaces.Discrete(5, start=start))


def test_a_tuple_of_nothing_has_one_state() -> None:
    assert observation_spec(spaces.Tuple([])).size == 1


@pytest.mark.parametrize(
    ("space", "obs", "state", "size"),
    [
        (spaces.Discrete(5), 3, 3, 5),
        (spaces.Discrete(5, start=-1), np.int64(3), 4, 5),
        (CARDS, (5, 1), 3, 6),
        (CARDS, (np.int64(6), True), 5, 6),
        (spaces.MultiDiscrete([3, 2]), np.array([1, 1]), 3, 6),
        (PAIR, np.array([[6, 0]]), 4, 6),
    ],
)
def test_states_are_numbered_and_shown_as_one_at_their_place(
    space: spaces.Space[Any], obs: Any, state: int, size: int
) -> None:
    spec = observation_spec(space)
    assert isinstance(spec, FiniteSpec)
    assert (spec.size, spec.state(obs)) == (size, state)
    for kind in ("linear", "mlp", "table"):
        policy = make_policy(kind, space, TWO)
        assert np.array_equal(policy.flatten(obs), np.eye(size)[state])
    both = np.stack([np.asarray(obs), np.asarray(obs)])
    assert np.array_equal(spec.one_hots(both), np.eye(size)[[state, state]])


@pytest.mark.parametrize("obs", [-1, 5, 1.5, float("nan")])
def test_what_is_no_state_is_refused(obs: float) -> None:
    policy = make_policy("table", spaces.Discrete(5), TWO)
    with pytest.raises(ValueError, match=f"observation {obs}: not in its space, 0 to 4"):
        policy.act(obs)
    spec = observation_spec(CARDS)
    assert isinstance(spec, FiniteSpec)
    with pytest.raises(ValueError, match=r"observation 7 0: not in its space, 4 to 6 and 0 to 1"):
        spec.one_hots(np.array([[4, 0], [7, 0]]))


def test_a_table_is_its_weights_a_row_a_state(tmp_path: Path) -> None:
    policy = make_policy("table", CARDS, spaces.Discrete(3, start=1))
    table = np.arange(18.0).reshape(6, 3)
    table[3] = [7.0, 9.0, 9.0]
    policy.weights = table.ravel()
    assert policy.act((5, 1)) == 2  # the first of the best, counted from 1
    save_policy(tmp_path / "p.safetensors", PolicyFile(policy, "Env-v0"))
    again = load_policy(tmp_path / "p.safetensors")
    assert again.spec == policy.spec
    assert np.array_equal(again.weights.reshape(6, 3), table)


def test_a_table_is_for_finite_spaces() -> None:
    for observation, action in (
        (spaces.Box(0, 1, (2,)), TWO),
        (spaces.Discrete(2), spaces.Box(0, 1, (2,))),
    ):
        with pytest.raises(UnsupportedSpace, match="takes Discrete observations and actions"):
            make_policy("table", observation, action)
