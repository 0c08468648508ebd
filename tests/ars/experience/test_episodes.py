"""Episodes are put together step by step, and kept whole through a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest

from ars.experience.episodes import EpisodeBuffer


def make(n: int) -> EpisodeBuffer:
    return EpisodeBuffer(n, ((2,), np.dtype(np.float32)), ((), np.dtype(np.int64)))


def play(buffer: EpisodeBuffer, steps: range, ends: dict[int, list[tuple[int, bool]]]) -> None:
    """Steps of two environments whose inputs, actions and rewards tell them apart."""
    for t in steps:
        inputs = np.array([[t, 0.0], [t, 1.0]], np.float32)
        buffer.add(inputs, np.array([t, -t]), np.array([t / 10, -t / 10]))
        for at, terminated in ends.get(t, []):
            buffer.end(at, np.array([t + 1, at], np.float32), terminated)


ENDS = {2: [(1, True)], 4: [(0, False), (1, True)]}


def test_episodes_come_in_the_order_in_which_they_end() -> None:
    buffer = make(2)
    play(buffer, range(6), ENDS)
    first, second, third = buffer.finished
    assert first.inputs.tolist() == [[0, 1], [1, 1], [2, 1]]
    assert first.actions.tolist() == [0, -1, -2]
    assert first.rewards.tolist() == [0, -0.1, -0.2]
    assert first.final_input.tolist() == [3, 1]
    assert [len(episode) for episode in (first, second, third)] == [3, 5, 2]
    assert [e.terminated for e in (first, second, third)] == [True, False, True]
    assert third.inputs.tolist() == [[3, 1], [4, 1]]


@pytest.mark.parametrize("at", [0, 1, 3, 5, 6])
def test_a_state_goes_on_as_if_nothing_had_been(at: int) -> None:
    whole, first, second = make(2), make(2), make(2)
    play(whole, range(10), {**ENDS, 8: [(0, True)]})
    play(first, range(at), ENDS)
    second.restore(first.state())
    play(second, range(at, 10), {**ENDS, 8: [(0, True)]})
    assert len(second.finished) == 4
    expected, found = whole.state().arrays, second.state().arrays
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_state_of_other_environments_is_refused() -> None:
    with pytest.raises(ValueError, match="lengths: array of shape"):
        make(2).restore(make(3).state())
