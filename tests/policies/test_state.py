"""A state comes back part by part, and whatever is not right in it is named as it is stored."""

from __future__ import annotations

import numpy as np
import pytest

from policies import RunningMeanStd
from policies.state import State


def statistics(count: int) -> RunningMeanStd:
    made = RunningMeanStd.zeros(2)
    for x in range(count):
        made.update(np.array([x, -x], np.float64))
    return made


def test_a_part_has_its_name_before_its_own() -> None:
    state = State()
    state.add("observations", statistics(3))
    assert state.arrays.keys() == {"observations.mean", "observations.m2"}
    assert state.values == {"observations": {"count": 3}}
    back = statistics(0)
    state.restore("observations", back)
    assert (back.count, back.mean.tolist(), back.m2.tolist()) == (3, [1.0, -1.0], [2.0, 2.0])


def test_a_part_s_values_may_be_stored_under_other_names() -> None:
    state = State()
    state.add("observations", statistics(3), count="n_seen")
    assert state.values == {"n_seen": 3}
    back = statistics(0)
    state.restore("observations", back, count="n_seen")
    assert back.count == 3


def test_what_comes_back_is_a_copy() -> None:
    state = State()
    state.add("observations", statistics(3))
    back = statistics(0)
    state.restore("observations", back)
    back.update(np.ones(2))
    assert state.arrays["observations.mean"].tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), r"a\.b: array of shape \(3,\) and type float64, not \(2,\) and float64"),
        (np.zeros((2, 1)), r"a\.b: array of shape \(2, 1\)"),
        (np.zeros(2, np.float32), r"a\.b: array of shape \(2,\) and type float32, not"),
    ],
)
def test_an_array_of_another_shape_or_type_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        State({"a.b": array}).nested("a").array("b", (2,))


def test_a_length_may_be_left_open() -> None:
    state = State({"x": np.zeros((5, 2))})
    assert state.array("x", (None, 2)).shape == (5, 2)
    with pytest.raises(ValueError, match=r"not \(any, 3\)"):
        state.array("x", (None, 3))


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], -1, 2**63])
def test_a_count_is_a_whole_number_of_at_least_0(value: object) -> None:
    with pytest.raises(ValueError, match=r"part\.n"):
        State(values={"part": {"n": value}}).nested("part").count("n")


@pytest.mark.parametrize("value", [False, "1.0", None, float("nan"), float("inf"), 10**400])
def test_a_number_is_finite(value: object) -> None:
    with pytest.raises(ValueError, match="x: "):
        State(values={"x": value}).number("x")


def test_what_is_missing_is_named_as_it_is_stored() -> None:
    part = State().nested("optimizer", steps="optimizer_steps")
    with pytest.raises(ValueError, match="optimizer_steps: is missing"):
        part.count("steps")
    with pytest.raises(ValueError, match=r"optimizer\.m: is missing"):
        part.array("m", (2,))


def test_a_generator_goes_on_where_it_was() -> None:
    first, second = np.random.default_rng(1), np.random.default_rng(2)
    state = State(values={"rng": first.bit_generator.state})
    state.restore_generator("rng", second)
    assert first.random(3).tolist() == second.random(3).tolist()
    with pytest.raises(ValueError, match="rng: not the state of a random generator"):
        State(values={"rng": {"bit_generator": "PCG64"}}).restore_generator("rng", second)
