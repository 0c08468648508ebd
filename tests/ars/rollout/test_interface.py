"""What environments may return is one rule for every algorithm, and a breach names the value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from learners import learn, make
from odd_worlds import CHANGES, REFUSED, SPACES

import envs
from ars.algorithms import ALGORITHMS
from ars.common.errors import RolloutError, RunError
from ars.experience.vector_env import VectorEnv
from ars.rollout.episode import Episode, rollout
from ars.rollout.interface import as_array
from ars.training.env_check import probe
from policies import make_policy

ACCEPTED = [case for case in (*SPACES, *CHANGES) if case not in REFUSED]
WORLD = "odd_worlds:Odd-v0"


def play(case: str) -> Episode:
    """An episode of a policy that always chooses -1."""
    with closing(envs.make(WORLD, case=case)) as env:
        policy = make_policy("linear", env.observation_space, env.action_space, bias=True)
        policy.weights = np.array([*np.zeros(policy.weights.size - 3), 1.0, 0.0, 0.0])
        return rollout(env, policy, seed=1, max_steps=100)


def stepped(case: str) -> Iterator[tuple[float, bool]]:
    """Rewards and ends of the first episode that a deep algorithm would meet."""
    with closing(VectorEnv(WORLD, {"case": case}, 1, 0, 1000)) as several:
        several.reset()
        for _ in range(10):
            step = several.step(np.array([-1]))
            yield step.rewards[0], bool(step.terminated[0])


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_can_be_meant_is_taken_wherever_it_is_stepped(case: str) -> None:
    episode = play(case)
    assert (episode.total_reward, episode.length, episode.fault) == (10.0, 10, None)
    assert list(stepped(case)) == [(1.0, False)] * 9 + [(1.0, True)]


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_value(case: str) -> None:
    for step in (play, lambda case: list(stepped(case))):
        with pytest.raises((RolloutError, ValueError), match=REFUSED[case]) as caught:
            step(case)
        assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match=REFUSED[case]):  # and before a training begins
        probe(WORLD, {"case": case})


@pytest.mark.parametrize(
    "algo", [name for name, entry in ALGORITHMS.items() if not entry.load().learns_table]
)
@pytest.mark.parametrize("case", ["no-dimension", "byte", "flags", "reward-array", "info-none"])
def test_every_algorithm_of_boxes_learns_from_it(algo: str, case: str) -> None:
    small: dict[str, Any] = {}
    if algo in ("ars", "pgpe", "sep-cma-es"):
        small = {"n_directions": 2, "hidden_sizes": ()}
    small |= {"dqn": {"n_steps": 40, "learning_starts": 20, "batch_size": 8}}.get(algo, {})
    small |= {"ppo": {"n_steps": 32, "n_envs": 2, "batch_size": 16}}.get(algo, {})
    algorithm = make(ALGORITHMS[algo].load(), WORLD, {"case": case}, **small)
    (row,) = learn(algorithm, 1)
    assert row["length_mean"] == 10
    assert 0.0 <= row["return_mean"] <= 10.0


def test_an_array_of_the_right_type_is_taken_as_it_is() -> None:
    obs = np.ones((2, 3), np.float32)
    assert as_array(obs, np.dtype(np.float32), (2, 3)) is obs


@pytest.mark.parametrize(
    ("obs", "dtype"),
    [([0.5, 1.0], np.uint8), ([300, 1], np.uint8), ([-1, 0], np.uint8), ([2, 0], np.bool_)],
)
def test_numbers_are_never_cut_in_silence(obs: list[float], dtype: Any) -> None:
    with pytest.raises(ValueError, match=f"an observation of {obs[0]}, which .* cannot hold"):
        as_array(obs, np.dtype(dtype), (2,))
    assert as_array([1.0, 0.0], np.dtype(dtype), (2,)).tolist() == [1, 0]
