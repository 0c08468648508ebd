"""Environments: episodes that depend on nothing else, and Gymnasium's manners."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from episodes import ROBOTS, episode, random_actions
from gymnasium.utils.env_checker import check_env
from references import PORTED

import envs


@pytest.mark.parametrize("name", ROBOTS)
def test_an_episode_depends_on_its_seed_and_actions_alone(
    name: str, make: Callable[..., Any]
) -> None:
    env = make(name)
    actions = random_actions(env, 40)
    first = episode(env, 5, actions)
    for seed in range(3):
        episode(env, seed, random_actions(env, 60, seed))
    assert episode(env, 5, actions) == first

    neighbours = [make(other) for other in ROBOTS]
    again = make(name)
    for neighbour in neighbours:
        episode(neighbour, 1, random_actions(neighbour, 10))
    assert episode(again, 5, actions) == first
    assert episode(again, 6, actions) != first


def test_instances_take_turns_without_meeting(make: Callable[..., Any]) -> None:
    one, two = make("Ant"), make("Ant")
    actions = random_actions(one, 20)
    alone = episode(one, 3, actions)
    turns = [(one.reset(seed=3)[0].tobytes(), 0.0, False, False)]
    two.reset(seed=4)
    for action in actions[: len(alone) - 1]:
        obs, reward, terminated, _, _ = one.step(action)
        turns.append((obs.tobytes(), reward, terminated, False))
        two.step(-action)
    assert turns == alone


def test_a_reset_without_a_seed_goes_on(make: Callable[..., Any]) -> None:
    env = make("Hopper")
    first, second = env.reset(seed=1)[0], env.reset()[0]
    assert not np.array_equal(first, second)
    env.reset(seed=1)
    assert np.array_equal(env.reset()[0], second)


@pytest.mark.parametrize("name", envs.names())
@pytest.mark.filterwarnings("ignore:.*observation space m.*imum value is .*infinity")
@pytest.mark.filterwarnings("error")
def test_gymnasium_is_content(name: str) -> None:
    # Unbounded observations are the reference's; pictures have tests of their own.
    env = gymnasium.make(envs.resolve(name))
    assert env.spec is not None
    if name in PORTED:
        want = gymnasium.spec(f"{name}BulletEnv-v0")
        assert env.spec.max_episode_steps == want.max_episode_steps
        assert env.spec.reward_threshold == want.reward_threshold
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", envs.names())
def test_only_a_time_limit_is_wrapped_around(name: str, make: Callable[..., Any]) -> None:
    env = make(name)
    assert isinstance(env, gymnasium.wrappers.TimeLimit) and env.env is env.unwrapped
    env = make(name, max_episode_steps=2)
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, np.float32)
    assert [env.step(still)[3] for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [({"render_mode": "ascii"}, "ascii"), ({"width": 0}, "width=0")],
)
@pytest.mark.filterwarnings("ignore:.*render_mode")  # Gymnasium's own word on the mode
def test_unusable_arguments_are_named(kwargs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        envs.make("Hopper", **kwargs)


@pytest.mark.parametrize("name", ROBOTS)
def test_misuse_is_explained_in_one_line(name: str, make: Callable[..., Any]) -> None:
    env = make(name).unwrapped
    size = env.action_space.shape[0]
    good = np.zeros(size, np.float32)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(good)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.render()
    env.reset(seed=0)
    for bad in (np.zeros(size + 1), np.zeros((1, size)), 0.0):
        with pytest.raises(ValueError, match="shape"):
            env.step(bad)
    for bad in (np.nan, np.inf, -np.inf):
        action = good.copy()
        action[-1] = bad
        with pytest.raises(ValueError, match="not finite") as caught:
            env.step(action)
        assert "\n" not in str(caught.value)
    env.step(good)
    env.close()
    env.close()
    for call in (lambda: env.step(good), env.reset, env.render):
        with pytest.raises(gymnasium.error.Error, match=r"after close\(\)"):
            call()


@pytest.mark.parametrize("name", ROBOTS)
def test_a_simulation_is_not_copied(name: str, make: Callable[..., Any]) -> None:
    env = make(name)
    for copy in (deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copy(env)


@pytest.mark.parametrize("name", [name for name in envs.names() if name not in ROBOTS])
def test_other_worlds_explain_misuse_too(name: str, make: Callable[..., Any]) -> None:
    env = make(name, render_mode="rgb_array").unwrapped
    good = env.action_space.sample()
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"step\(\) before the first reset\(\)"):
        env.step(good)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"render\(\) before the first"):
        env.render()
    env.reset(seed=0)
    numbers = bool(env.action_space.shape)
    for bad in (np.full(3, np.nan), np.zeros(2)) if numbers else (0.5, -1, np.nan, "0", None):
        with pytest.raises(ValueError, match=r"^action ") as caught:
            env.step(bad)
        assert "\n" not in str(caught.value)
    env.step(good)
    env.close()
    env.close()
    for call in (lambda: env.step(good), env.reset, env.render):
        with pytest.raises(gymnasium.error.Error, match=r"after close\(\)"):
            call()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_resets_and_instances_leave_no_memory_behind(make: Callable[..., Any]) -> None:
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    env = make("HalfCheetah")

    def live(resets: int) -> int:
        for seed in range(resets):
            env.reset(seed=seed)
            if seed % 50 == 0:
                other = envs.make("Hopper")
                other.reset(seed=seed)  # and is dropped without close()
        return pages()

    before = live(500)
    assert live(2000) - before < 1024  # 4 MiB
