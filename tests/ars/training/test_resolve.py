"""Settings as a program gives them become the run that the same command line starts."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from ars.api import train
from ars.common.errors import UsageError
from ars.training.config_file import settings_in, with_file
from ars.training.resolve import resolve_new, resolve_resumed


@pytest.fixture(autouse=True)
def without_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests import the reference, which registers its own ids."""
    monkeypatch.delitem(gymnasium.registry, "HalfCheetahBulletEnv-v0", raising=False)


def test_settings_of_python_are_those_of_a_command_line() -> None:
    words = {"algo": "dqn", "hidden_sizes": (32, 16), "gamma": 1.0, "n_workers": "0", "seed": 3}
    program = {**words, "hidden_sizes": np.array([32, 16]), "gamma": 1, "n_workers": 0}
    program["seed"] = np.int64(3)
    assert resolve_new("CartPole-v1", program) == resolve_new("CartPole-v1", words)


def test_a_run_records_what_it_was_asked_for_with(tmp_path: Path) -> None:
    config = resolve_new("CartPole-v1", {"n_directions": 4}, "python -m ars.train CartPole-v1")
    config.write(tmp_path)
    resumed = resolve_resumed(tmp_path, {"n_directions": 4, "n_iterations": 9})
    assert resumed.commands == ["python -m ars.train CartPole-v1", "python"]
    assert (resumed.run.n_iterations, resumed.run.total_timesteps) == (9, None)
    changed: dict[str, Any] = {"run": resumed.run, "commands": resumed.commands, "folder": tmp_path}
    assert resumed == dataclasses.replace(config, **changed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"algo": "dqnn"}, "`algo` dqnn: must be one of ars, pgpe, sep-cma-es, dqn, ppo"),
        ({"algo": ["ars"]}, "`algo` ['ars']: must be one of ars, pgpe, sep-cma-es, dqn, ppo"),
        ({"preset": ["course"]}, "`preset` ['course']: unknown"),
        ({"n_direction": 4}, "`n_direction`: there is no such setting (did you mean n_directions"),
        ({"lr": 4}, "`lr`: there is no such setting (did you mean step_size?)"),
        (
            {"learning_rate": 4},
            "`learning_rate`: a setting of `algo` dqn, ppo, a2c, actor-critic, re",
        ),
        ({"n_steps": 4}, "`n_steps`: a setting of `algo` dqn, ppo, a2c, actor-critic, reinforce;"),
        ({"env_kwargs": {"a": {1, 2}}}, "`env_kwargs`: must be what JSON can hold"),
        ({"env_kwargs": {"a": np.inf}}, "`env_kwargs`: must be what JSON can hold"),
        ({"preset": "Hoper"}, "`preset` Hoper: unknown (did you mean Hopper"),
        ({"n_workers": 0, "ray_address": "auto"}, "`n_workers` 0: runs in this process"),
        ({"n_workers": -1}, "`n_workers` -1: must be auto or a whole number from 0 to 999,999"),
        ({"algo": "ppo", "log_std_init": 800}, "`log_std_init` 800"),
        ({"time_budget": 0}, "`time_budget` 0: must be a time such as 90s, 30m, 8h or"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_new("CartPole-v1", given)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("env_id", "given", "expected"),
    [
        # Of n_directions and variant that the preset was made for, and no others.
        ("HalfCheetah", {}, {"n_top": 16, "eval_length": 1000}),
        ("HalfCheetah", {"n_directions": 4}, {"n_top": None, "eval_length": 1000}),
        ("HalfCheetah", {"variant": "v2-t"}, {"n_top": None}),
        ("CartPole-v1", {"n_top": 4, "preset": "course"}, {"n_top": 4, "variant": "v2-t"}),
        ("HalfCheetah", {"n_directions": 4, "n_top": 4}, {"n_top": 4}),
        ("HalfCheetah", {"rollout_length": 50}, {"eval_length": 1000, "rollout_length": 50}),
        ("Squash", {"algo": "dqn"}, {"conv_layers": (16, 4, 2, 32, 3, 2)}),
        ("Squash", {"algo": "dqn", "policy": "cnn"}, {"conv_layers": (16, 4, 2, 32, 3, 2)}),
        ("Squash", {"algo": "dqn", "policy": "mlp"}, {"conv_layers": (), "hidden_sizes": (128,)}),
        ("LunarLander-v3", {"algo": "a2c", "critic": "q"}, {"gae_lambda": 1.0}),
        ("LunarLander-v3", {"algo": "a2c", "update": "step"}, {"n_steps": None}),
    ],
)
def test_a_preset_does_not_bind_who_chose_otherwise(
    env_id: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    config = resolve_new(env_id, given).algorithm
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "horizon"),
    [
        ({}, 500_000),
        ({"total_timesteps": 1000}, 1000),
        ({"n_iterations": 5}, 500_000),
        ({"n_iterations": 5, "total_timesteps": None}, 500_000),
        ({"horizon": 7, "total_timesteps": 1000}, 7),
        ({"preset": None}, 1_000_000),
        ({"preset": "none"}, 1_000_000),
    ],
)
def test_a_schedule_runs_over_what_is_planned(given: dict[str, Any], horizon: int) -> None:
    config = resolve_new("LunarLander-v3", {"algo": "dqn", **given})
    assert config.algorithm.horizon == horizon


def test_words_are_taken_in_capitals_or_not() -> None:
    shouted = {"algo": "PPO", "activation": "RELU", "preset": "CARTPOLE-V1", "device": "Cpu"}
    plain = {"algo": "ppo", "activation": "relu", "preset": "CartPole-v1", "device": "cpu"}
    assert resolve_new("CARTPOLE-v1", shouted) == resolve_new("CartPole-v1", plain)


def test_a_run_is_resumed_with_its_words_in_capitals_or_not(tmp_path: Path) -> None:
    given = {"variant": "v1-t", "seed": 3}
    resolve_new("HalfCheetah", given).write(tmp_path)
    again = {"env_id": "HalfCheetahBulletEnv-v0", "variant": "V1-T", "algo": "ARS"}
    again["preset"] = "halfcheetah"
    assert resolve_resumed(tmp_path, again).algorithm.variant == "v1-t"


def test_what_is_repeated_on_resume_may_be_written_in_another_way(tmp_path: Path) -> None:
    given = {"algo": "ppo", "hidden_sizes": 16, "reward_weights": "alive=0"}
    resolve_new("Hopper", given).write(tmp_path)
    for sizes in (16, [16], (16,), np.array([16])):
        assert resolve_resumed(tmp_path, {**given, "hidden_sizes": sizes})
    for wrong in (17, np.array([16, 16])):
        with pytest.raises(UsageError, match="the run was started with 16"):
            resolve_resumed(tmp_path, {"hidden_sizes": wrong})


@pytest.mark.parametrize(
    ("env_id", "given", "said"),
    [
        ("HalfCheetah", {}, []),
        ("halfcheetah", {}, []),
        ("HalfCheetahBulletEnv-v0", {}, ["HalfCheetahBulletEnv-v0: taken as HalfCheetah"]),
        ("CartPole-v1", {"preset": "course"}, ["`seed` 1, from `preset` course"]),
        ("CartPole-v1", {"preset": "course", "seed": 2}, []),
        (
            "HumanoidFlagrun",
            {},
            ["ars has no preset for HumanoidFlagrun; ppo has one: `algo` ppo"],
        ),
        ("HumanoidFlagrun", {"algo": "ars"}, []),
        ("HumanoidFlagrun", {"preset": None}, []),
        ("Pusher", {}, []),
        ("CartPole-v1", {}, []),  # where ARS's defaults suit it
        ("HalfCheetah", {"n_directions": 4}, []),
        ("HalfCheetah", {"n_top": 4, "variant": "v2-t"}, []),
        (
            "Hopper",
            {"algo": "ppo", "log_std_restart": -1.0},
            ["`log_std_restart` -1.0: has no meaning without `init_from`"],
        ),
        (
            "CartPole-v1",
            {"n_top": 4, "preset": "course", "seed": 2},
            ["`variant` v2-t: `preset` course has v2, which does not go with what is given"],
        ),
    ],
)
def test_what_is_decided_for_the_user_is_said(
    env_id: str, given: dict[str, Any], said: list[str]
) -> None:
    assert resolve_new(env_id, given).notes == said


def test_arguments_of_the_environment_may_be_numpys() -> None:
    given = {"env_kwargs": {"hard": np.bool_(False), "wind": np.float32(0.5), "n": np.int64(3)}}
    assert resolve_new("CartPole-v1", given).env_kwargs == {"hard": False, "wind": 0.5, "n": 3}


def test_a_preset_may_begin_with_a_trained_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    presets = {"CartPole-v1": {"n_directions": 4, "init_from": "Hopper"}}
    monkeypatch.setattr("ars.presets.ars.PRESETS", presets)
    config = resolve_new("CartPole-v1", {})
    assert (config.init_from, config.algorithm.n_directions) == ("Hopper", 4)
    assert config.notes == ["`init_from` Hopper, from `preset` CartPole-v1"]
    for given, start in {"none": None, "runs/a": "runs/a"}.items():
        config = resolve_new("CartPole-v1", {"init_from": given})
        assert (config.init_from, config.notes) == (start, [])
    assert resolve_new("CartPole-v1", {"preset": "none"}).init_from is None


def test_a_start_that_does_not_fit_is_the_presets(tmp_path: Path) -> None:
    given: dict[str, Any] = {"algo": "ppo", "hidden_sizes": (8,), "run_dir": str(tmp_path / "run")}
    message = "begins with the policy shipped:Humanoid, `init_from` none with a new one"
    with pytest.raises(UsageError, match=message):
        train("HumanoidFlagrun", **given, verbose=False)


def test_a_run_is_trained_again_from_where_it_began(tmp_path: Path) -> None:
    """Also where the preset begins with a policy, and the run did not."""
    given = {"algo": "ppo", "init_from": "none"}
    config = resolve_new("HumanoidFlagrun", given)
    config.write(tmp_path)
    again = with_file(settings_in(tmp_path), {})
    assert resolve_new(again.pop("env_id"), again).init_from is None
    for word in ("none", "None"):
        assert resolve_resumed(tmp_path, {"init_from": word}).init_from is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variant": "v1", "var_floor": 0.1}, "`var_floor` 0.1: has no meaning where observations"),
        ({"algo": "pgpe", "normalize_observations": False, "ddof": 0}, "`ddof` 0: has no meaning"),
        ({"activation": "relu"}, "`activation` relu: has no meaning for a linear policy"),
        (
            {"algo": "sep-cma-es", "common_seeds": "pair"},
            "`common_seeds` pair: has no meaning without pairs",
        ),
        ({"algo": "sep-cma-es", "n_directions": 1}, "`n_directions` 1: must be at least 2"),
        (
            {"algo": "reinforce", "value_coef": 0.1},
            "`value_coef` 0.1: has no meaning without `base",
        ),
        ({"algo": "actor-critic", "gae_lambda": 0.5}, "`gae_lambda` 0.5: has no meaning where an"),
        ({"algo": "q-learning", "env_processes": 2}, "`env_processes` 2: q-learning has one envi"),
        ({"algo": "q-learning", "device": "cuda"}, "`device` cuda: q-learning learns without"),
    ],
)
def test_settings_that_decide_nothing_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        resolve_new("Hopper", given)
    assert resolve_new("HalfCheetah", {"variant": "v1"}).algorithm.var_floor == 0.01  # a preset's
