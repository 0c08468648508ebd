"""What every registered environment keeps; a new one is tested as soon as it is registered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

import envs
from ars.__main__ import overview
from envs.bullet.compiled import player

every_row = pytest.mark.parametrize("row", envs.table(), ids=lambda row: row.name)


@pytest.fixture
def env(row: envs.RegisteredEnv) -> Iterator[gymnasium.Env[Any, Any]]:
    env = envs.make(row.name)
    yield env
    env.close()


@every_row
def test_the_registry_says_what_others_must_know(row: envs.RegisteredEnv) -> None:
    assert row.description and not row.description.endswith(".")
    assert envs.resolve(row.name) == envs.resolve(row.id) == row.id
    assert f" {row.name}," in overview()
    spec = gymnasium.spec(row.id)
    assert spec.max_episode_steps
    assert str(spec.entry_point).startswith("envs.")


@every_row
def test_an_episode_is_its_seed_s_and_its_actions_alone(
    row: envs.RegisteredEnv, env: gymnasium.Env[Any, Any]
) -> None:
    def play(seed: int) -> list[tuple[bytes, float, bool]]:
        env.action_space.seed(7)
        obs, _ = env.reset(seed=seed)
        steps = [(obs.tobytes(), 0.0, False)]
        for _ in range(10):
            obs, reward, terminated, _, _ = env.step(env.action_space.sample())
            assert env.observation_space.contains(obs)
            assert type(reward) is float and np.isfinite(reward)
            steps.append((obs.tobytes(), reward, terminated))
        return steps

    env.reset(seed=0)
    first, other = play(1), play(2)
    assert play(1) == first != other


@every_row
def test_compiled_says_whether_compiled_code_plays_it(
    row: envs.RegisteredEnv, env: gymnasium.Env[Any, Any]
) -> None:
    plays, notice = envs.accelerate(env)
    assert (plays is not None) == row.compiled
    assert notice is None
    # Nor is it left unsaid of a robot whose family has such code.
    assert row.compiled == any(isinstance(env.unwrapped, kind) for kind, *_ in player._FAMILIES)
