"""What every registered environment keeps; a new one is tested as soon as it is registered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import envs
from ars.__main__ import overview
from envs.bullet.compiled import player
from envs.tabular.model import model_of

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
    assert play(1) == first
    model = model_of(env)
    assert (first != other) == (model is None or model.draws)  # some worlds leave nothing to chance


@every_row
def test_compiled_says_whether_compiled_code_plays_it(
    row: envs.RegisteredEnv, env: gymnasium.Env[Any, Any]
) -> None:
    plays, notice = envs.accelerate(env)
    assert (plays is not None) == row.compiled
    assert notice is None
    # Nor is it left unsaid of a robot whose family has such code.
    assert row.compiled == any(isinstance(env.unwrapped, kind) for kind, *_ in player._FAMILIES)


def test_a_model_s_file_that_would_be_waited_for_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ant.xml")
    for env_id in ("Ant-v5", "CartPole-v1"):
        with pytest.raises(envs.WrongOptions, match=r"ant\.xml: is not a regular file"):
            envs.make(env_id, xml_file=str(tmp_path / "ant.xml"))


def test_a_robot_is_not_drawn_in_a_billion_pixels() -> None:
    with pytest.raises(ValueError, match="at least 1x1 pixels and at most 16,777,216"):
        envs.make("Hopper", render_mode="rgb_array", width=31623, height=31623)


def test_compiling_at_each_start_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import caching

    assert envs.recompiled("Hopper") is None
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    for env_id in ("Hopper", "bullet/Hopper-v0"):
        told = envs.recompiled(env_id)
        assert told is not None
        assert "set NUMBA_CACHE_DIR" in told
    for env_id in ("Minitaur", "CartPole-v1", "nothing"):
        assert envs.recompiled(env_id) is None
