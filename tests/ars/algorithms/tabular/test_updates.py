"""The updates of tabular methods that learn, each by hand."""

from __future__ import annotations

from typing import Any

import pytest
from learners import make

from ars.algorithms import ALGORITHMS
from ars.experience.vector_env import EpisodeInfo

Steps = list[tuple[int, float, bool, bool]]  # next state, reward, terminated, ended


class Script:
    """A world that goes through episodes written out, whatever is done; each begins in state 0."""

    def __init__(self, *episodes: Steps) -> None:
        self._episodes = episodes

    def reset(self, episode: int) -> int:
        self._steps = iter(self._episodes[episode])
        return 0

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        return next(self._steps)

    def finished(self) -> EpisodeInfo:
        return EpisodeInfo(0.0, 1)

    def weigh_by(self, weights: tuple[float, ...] | None) -> None:
        pass

    def close(self) -> None:
        pass


def learner(algo: str, *episodes: Steps, **settings: Any) -> Any:
    """With two actions in every state."""
    found = make(ALGORITHMS[algo].load(), "SmallTree", gamma=0.5, n_episodes=1, **settings)
    found.world = Script(*episodes)
    return found


@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize(
    ("algo", "next_value"),
    [
        ("q-learning", 4.0),
        ("sarsa", 2.0),  # of the second action, which is drawn
        ("expected-sarsa", 0.75 * 4.0 + 0.25 * 3.0),
    ],
)
def test_a_transition_by_hand(algo: str, next_value: float, terminated: bool) -> None:
    """Half of the way to a horizon, three quarters of the way to an epsilon of 0."""
    td = learner(
        algo,
        [(1, 1.0, terminated, True)],
        epsilon_start=1.0,
        epsilon_end=0.0,
        exploration_steps=400,
        learning_rate=1.0,
        learning_rate_schedule="linear",
        horizon=600,
    )
    td.timesteps = 300
    td.table[:2] = [[2.0, -1.0], [4.0, 2.0]]
    # The best action, then a random one: 0.2 is 4/5 of epsilon.
    td._uniforms = iter([0.6, 0.2])
    td._learn_episode()
    target = 1.0 if terminated else 1.0 + 0.5 * next_value
    assert td.table[:2] == [[2.0 + 0.5 * (target - 2.0), -1.0], [4.0, 2.0]]


def test_a_return_is_that_of_the_first_visit() -> None:
    again: Steps = [(0, 1.0, False, False), (0, 2.0, False, False), (1, 4.0, True, True)]
    settings = {"epsilon_start": 0.0, "epsilon_end": 0.0}
    found = learner("monte-carlo", again, [(1, 5.0, False, True)], **settings)
    for returns in ([1.0 + 0.5 * 2.0 + 0.25 * 4.0], [3.0, 5.0]):
        found.iterate(None)
        assert found.table[0] == [sum(returns) / len(returns), 0.0]
        assert found.visits[0] == [len(returns), 0.0]
