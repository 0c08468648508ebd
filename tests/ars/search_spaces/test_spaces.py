"""What every search space keeps: whatever it suggests can be trained, and fixed settings stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ars.algorithms import ALGORITHMS
from ars.common.settings import setting_names
from ars.search_spaces.base import Middle, Search, SearchTask
from ars.training.resolve import resolve_new

every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)
ROBOT = SearchTask(1_000_000, 1000, ("alive", "progress", "electricity", "stall", "limits"))
SMALL = SearchTask(5000, None, (), discrete=True)


class Drawn:
    """Suggests at random, now and then an end of a range."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        if self._rng.random() < 0.2:
            return float(self._rng.choice([low, high]))
        if log:
            return float(math.exp(self._rng.uniform(math.log(low), math.log(high))))
        return float(self._rng.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        assert low <= high and (low > 0 or not log)
        return int(self._rng.integers(low, high + 1))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        assert all(isinstance(choice, str | int | float | bool) for choice in choices)
        return choices[int(self._rng.integers(len(choices)))]


@every_algorithm
@pytest.mark.parametrize("task", [ROBOT, SMALL])
def test_whatever_is_suggested_can_be_trained(algo: str, task: SearchTask) -> None:
    space, names = ALGORITHMS[algo].search_space, setting_names(ALGORITHMS[algo].Config)
    assert space is not None
    for seed in range(30):
        settings = space(Search(Drawn(seed), task))
        assert settings.keys() <= set(names)
        budget = {"preset": None, "total_timesteps": task.total_timesteps}
        resolve_new("CartPole-v1", {"algo": algo, **settings, **budget})


@pytest.mark.parametrize(
    ("algo", "fixed"),
    [
        ("ars", {"n_top": 20}),
        ("ars", {"n_top": 100}),
        ("ppo", {"batch_size": 1024}),
        ("ppo", {"batch_size": 600, "n_steps": 64}),
        ("a2c", {"iteration_steps": 100}),
        ("a2c", {"iteration_steps": 7}),
        ("a2c", {"critic": "q"}),
        ("a2c", {"update": "episode"}),
        ("a2c", {"update": "step", "n_envs": 1}),
        ("actor-critic", {"n_steps": 8, "iteration_steps": 80}),
        ("dqn", {"buffer_size": 100, "learning_starts": 50}),
        ("dqn", {"buffer_size": 20, "learning_starts": 10, "n_envs": 8}),
    ],
)
def test_what_is_suggested_goes_with_what_is_given(algo: str, fixed: dict[str, Any]) -> None:
    space = ALGORITHMS[algo].search_space
    assert space is not None
    several: list[Middle | Drawn] = [Middle(), *map(Drawn, range(30))]
    for suggests in several:
        settings = space(Search(suggests, ROBOT, fixed))
        budget = {"preset": None, "total_timesteps": ROBOT.total_timesteps}
        resolve_new("CartPole-v1", {"algo": algo, **settings, **fixed, **budget})


@every_algorithm
def test_settings_that_are_given_are_not_searched(algo: str) -> None:
    space = ALGORITHMS[algo].search_space
    assert space is not None
    middle = Middle()
    fixed = space(Search(middle, ROBOT))
    again = Middle()
    assert {**space(Search(again, ROBOT, fixed)), **fixed} == fixed
    searched = {name for name in again.ranges if name in setting_names(ALGORITHMS[algo].Config)}
    assert searched == set() and middle.ranges


def test_rewards_are_weighed_only_where_their_terms_are_known() -> None:
    space = ALGORITHMS["ars"].search_space
    assert space is not None
    drawn = [space(Search(Drawn(seed), ROBOT)) for seed in range(30)]
    weights = {tuple(settings.get("reward_weights", ())) for settings in drawn}
    standing, costs = ("alive=0",), ("electricity=0", "stall=0")
    assert weights == {(), standing, costs, standing + costs}
    for settings in drawn:
        assert ("anneal_weights" in settings) == ("reward_weights" in settings)
        assert settings["n_directions"] <= 50  # ten iterations or more
    small = [space(Search(Drawn(seed), SMALL)) for seed in range(30)]
    assert not any("reward_weights" in settings for settings in small)


def test_trials_are_compared_over_episodes_of_one_length() -> None:
    for algo in ("ars", "pgpe", "sep-cma-es"):
        space = ALGORITHMS[algo].search_space
        assert space is not None
        for task, fixed, length in ((SMALL, {}, 1000), (SMALL, {"eval_length": 7}, 7)):
            tried = [space(Search(Drawn(seed), task, fixed)) for seed in range(30)]
            assert {settings["eval_length"] for settings in tried} == {length}
            assert len({settings["rollout_length"] for settings in tried}) == 3
        same = {"rollout_length": 50}
        assert "eval_length" not in space(Search(Drawn(0), SMALL, same))
        assert "eval_length" not in space(Search(Drawn(0), ROBOT))


def test_a_shift_is_tried_where_it_leaves_something_to_learn_from() -> None:
    for algo in ("ars", "pgpe", "sep-cma-es"):
        space = ALGORITHMS[algo].search_space
        assert space is not None
        tried = ["shift" in space(Search(Drawn(0), task)) for task in (ROBOT, SMALL)]
        assert tried == [True, False]
