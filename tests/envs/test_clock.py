"""A clock in the observations: what it shows, in both ways of playing, and where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

import ars.train
import envs
from ars.api import train
from ars.common.errors import UsageError
from ars.rollout.episode import compiled_rollout, rollout
from ars.training.config_file import settings_in, with_file
from ars.training.resolve import resolve_new
from ars.tuning.study import Study
from policies import RunningMeanStd, load_policy, make_policy


def test_it_shows_sine_and_cosine_of_the_time_since_the_reset() -> None:
    with closing(envs.make("Hopper", clock=[1.5, 4])) as env, closing(envs.make("Hopper")) as plain:
        for _ in range(2):
            obs, _ = env.reset(seed=3)
            for step in range(4):
                angles = [2 * math.pi * hertz * step / 60 for hertz in (1.5, 4)]
                shown = [f(angle) for angle in angles for f in (math.sin, math.cos)]
                np.testing.assert_allclose(obs[-4:], shown, atol=1e-6)
                obs, *_ = env.step(np.full(3, 0.5, np.float32))
        theirs, _ = plain.reset(seed=3)
        assert env.reset(seed=3)[0][:-4].tolist() == theirs.tolist()
        assert env.observation_space.contains(obs)


def test_a_pole_s_seconds_are_those_of_its_films() -> None:
    with closing(envs.make("CartPole-v1", clock=12.5)) as env:  # 50 pictures a second
        env.reset(seed=0)
        obs, *_ = env.step(np.int64(0))
    np.testing.assert_allclose(obs[-2:], (1, 0), atol=1e-6)


def test_compiled_code_plays_the_same_episodes_by_the_clock() -> None:
    with (
        closing(envs.make("Hopper", clock=[1.5, 3])) as env,
        closing(envs.make("Hopper", clock=[1.5, 3])) as other,
    ):
        player, notice = envs.accelerate(other)
        assert (player is None, notice) == (False, None)
        policy = make_policy("linear", env.observation_space, env.action_space)
        policy.weights = 0.3 * np.random.default_rng(5).standard_normal(policy.weights.size)
        size = policy.spec.observation.size
        outcomes: list[list[Any]] = []
        for play, subject in ((rollout, env), (compiled_rollout, player)):
            play_: Callable[..., Any] = play
            episode = play_(subject, policy, 1, 100, statistics=RunningMeanStd.zeros(size))
            means = episode.statistics.mean.tolist()
            outcomes.append([episode.total_reward, episode.length, means])
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("env_id", "clock", "reason"),
    [
        ("Hopper", 0, "`clock` 0: must be a frequency in hertz, above 0"),
        ("Hopper", [1, True], "`clock` True: must be"),
        ("Hopper", ["1"], "`clock` '1': must be"),
        ("Hopper", math.inf, "`clock` inf: must be"),
        ("Hopper", 10**400, "`clock` 1000"),
        ("Hopper", math.nan, "`clock` nan: must be"),
        ("Hopper", {"hz": 1}, "`clock` {'hz': 1}: must be"),
        ("Hopper", 31, "`clock` 31: 60 steps a second show no more than 30 hertz"),
        ("FrozenLake-v1", 1, "`clock`: is for observations that are vectors of floats"),
        ("Squash", 1, "`clock`: is for observations that are vectors of floats"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(env_id: str, clock: Any, reason: str) -> None:
    with pytest.raises(envs.WrongOptions) as failed:
        envs.make(env_id, clock=clock)
    assert str(failed.value).startswith(reason)
    assert "\n" not in str(failed.value)


def test_an_environment_without_time_has_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(CartPoleEnv, "close", lambda env: closed.append(env))
    monkeypatch.delitem(CartPoleEnv.metadata, "render_fps")
    with pytest.raises(envs.WrongOptions, match="does not say how many steps a second has"):
        envs.make("CartPole-v1", clock=1)
    assert len(closed) == 1


def test_an_endless_episode_has_a_clock() -> None:
    with closing(envs.make("Hopper", clock=3, max_episode_steps=-1)) as env:
        assert envs.accelerate(env) == (None, None)


def test_a_long_limit_costs_nothing_until_it_is_played() -> None:
    with closing(envs.make("Hopper", clock=3, max_episode_steps=10**9)) as env:
        player, _ = envs.accelerate(env)
        assert player is not None


def test_a_preset_s_file_may_have_a_clock(tmp_path: Path) -> None:
    file = tmp_path / "preset.toml"
    for text in ("clock = 2", "env_kwargs = {clock = 2}"):
        file.write_text(text)
        config = resolve_new("Hopper", {"preset": str(file)})
        assert config.env_kwargs == {"clock": [2.0]}
        assert resolve_new("Hopper", {"preset": str(file), "clock": []}).env_kwargs["clock"] == []


def test_two_clocks_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for twice in (["--clock", "2", "--clock", "3"], ["--clock", "2", "--env-kwargs", "clock=3"]):
        with pytest.raises(SystemExit):
            ars.train.main([*twice, "Hopper"])
        assert "--clock: is given twice" in capsys.readouterr().err
    with pytest.raises(UsageError, match="`clock`: is given twice"):
        train("Hopper", clock=2, env_kwargs={"clock": 3})


def test_a_clock_replaces_the_one_in_a_file_of_settings_however_both_are_spelled(
    tmp_path: Path,
) -> None:
    file = tmp_path / "settings.toml"
    for text in ("clock = 2", "env_kwargs = {clock = 2}"):
        file.write_text(f'env = "Hopper"\n{text}')
        for mine in ({"clock": 3}, {"env_kwargs": {"clock": 3}}):
            given = with_file(settings_in(file), mine)
            assert resolve_new(given.pop("env_id"), given).env_kwargs == {"clock": [3.0]}


def test_a_search_has_the_clock_of_the_preset(tmp_path: Path) -> None:
    for given, clock in (({}, [6.4]), ({"clock": 2}, [2.0]), ({"clock": []}, [])):
        settings = {"run_dir": str(tmp_path / "search"), "total_timesteps": 2000, **given}
        study = Study.new("Minitaur", settings, "test")
        assert study.fixed["env_kwargs"] == {"clock": clock}


def test_a_run_remembers_its_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = ["--n-directions", "1", "--n-workers", "0", "--eval-episodes", "1"]
    new = ["Hopper", "--clock", "1.5", "3", *words, "--n-iterations", "1", "--run-dir", str(run)]
    ars.train.main(new)
    policy = load_policy(run / "policy.safetensors")
    assert policy.spec.observation.shape == (19,)
    ars.train.main(
        ["--resume", str(run), "--n-workers", "0", "--n-iterations", "2", "--clock", "1.5", "3"]
    )
    with pytest.raises(SystemExit):
        ars.train.main(["--resume", str(run), "--n-iterations", "3", "--clock", "2"])
    assert "--clock 2.0: the run was started with 1.5 3.0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        ars.train.main(["Hopper", "--clock", "nan", "--n-iterations", "1", "--run-dir", str(run)])
    assert "error: --clock nan: must be a frequency" in capsys.readouterr().err
