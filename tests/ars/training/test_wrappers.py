"""A run in wrappers: stored, resumed exactly, used by every command, trusted as modules are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import small_wrappers
from hopper_runs import resume, train
from learners import outcome

import ars.evaluate
from ars.api.training import train as train_from_python
from ars.common.errors import UsageError
from ars.distributed.shipping import user_modules
from ars.training.config_file import settings_in, with_file
from ars.training.given_env import wrapper_names
from ars.training.trust import NotTrusted, check_trust, foreign_modules
from policies import read_policy

WRAPPED = ["--wrapper", "small_wrappers:short", "--wrapper", "small_wrappers:WithBias"]
STORED = {"wrappers": ["small_wrappers:short", "small_wrappers:WithBias"]}


def test_wrappers_are_stored_and_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    words = [*WRAPPED, "--n-iterations"]
    whole = train(tmp_path / "whole", *words, "6", env="CartPole-v1")
    parts = resume(train(tmp_path / "parts", *words, "3", env="CartPole-v1"), "--n-iterations", "6")
    assert outcome(parts) == outcome(whole)
    for folder in (whole, parts):
        assert json.loads((folder / "config.json").read_text())["env_kwargs"] == STORED
        file = read_policy(folder / "policy.safetensors")
        assert file.env_kwargs == STORED
        assert file.policy.spec.observation.size == 5


def test_an_evaluation_is_in_the_same_wrappers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", *WRAPPED, "--n-iterations", "1", env="CartPole-v1")
    capsys.readouterr()
    ars.evaluate.main([str(folder), "--episodes", "2", "--json"])
    assert json.loads(capsys.readouterr().out)["lengths"] == [7, 7]


def test_a_deep_algorithm_trains_in_wrappers(tmp_path: Path) -> None:
    run = train_from_python(
        "CartPole-v1",
        algo="a2c",
        n_envs=2,
        wrappers=[small_wrappers.short, small_wrappers.Half],
        n_iterations=2,
        eval_episodes=1,
        run_dir=tmp_path / "run",
        verbose=False,
    )
    assert run.result["final_evaluation"]["return_mean"] == 3.5


@pytest.mark.parametrize("algo", ["ars", "a2c"])
def test_weights_of_a_reward_that_a_wrapper_changes_leave_its_return_as_paid(
    algo: str, tmp_path: Path
) -> None:
    # Few steps, and so small that the weights change no action.
    settings: dict[str, Any] = (
        {"n_iterations": 10, "learning_rate": 1e-12} if algo == "a2c" else {"n_iterations": 1}
    )

    def mean_return(weights: dict[str, float]) -> float:
        run = train_from_python(
            "Hopper",
            algo=algo,
            preset="none",
            n_workers=0,
            wrappers=[small_wrappers.Half],
            reward_weights=weights,
            eval_episodes=1,
            run_dir=tmp_path / str(len(weights)),
            verbose=False,
            **settings,
        )
        return float(run.progress["return_mean"][-1])

    assert mean_return({"limits": 1.0 + 1e-9}) == pytest.approx(mean_return({}), rel=1e-3)


@pytest.mark.parametrize(
    ("wrapper", "reason"),
    [
        ("BreaksInStep", r"ValueError: no step \(at .*small_wrappers.py:\d+\)"),
        ("BreaksAtOnce", "wrapper small_wrappers:BreaksAtOnce fails with TypeError"),
        ("NoWrapper", "--wrapper small_wrappers:NoWrapper: is no wrapper"),
    ],
)
def test_one_that_cannot_be_used_ends_the_run_in_one_line(
    wrapper: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train(tmp_path / "run", "--wrapper", f"small_wrappers:{wrapper}", env="CartPole-v1")
    err = capsys.readouterr().err
    assert re.search(reason, err)
    assert err.count("\n") == 1


def test_other_wrappers_on_resume_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", *WRAPPED, "--n-iterations", "1", env="CartPole-v1")
    with pytest.raises(SystemExit):
        resume(folder, "--wrapper", "small_wrappers:Half", "--n-iterations", "2")
    assert (
        "--wrapper small_wrappers:Half: the run was started with small_wrappers:short "
        "small_wrappers:WithBias" in capsys.readouterr().err
    )


def test_a_file_from_elsewhere_needs_trust_for_its_wrappers(tmp_path: Path) -> None:
    for env_id, arguments in (
        ("CartPole-v1", {"wrappers": ["mine:W"]}),
        ("CartPole-v1", {"env_kwargs": {"wrappers": ["mine:W"]}}),  # of an experiment
        ("CartPole-v1", {"wrappers": "mine:W"}),
    ):
        assert foreign_modules(env_id, arguments) == ["mine"]
        with pytest.raises(NotTrusted, match="would run the module mine, and nothing says"):
            check_trust(tmp_path, env_id, arguments, trust=False)
        check_trust(tmp_path, env_id, arguments, trust=True)
    both = foreign_modules("world:W-v0", {"wrappers": ["mine:W", "envs.mine:W", "world:X"]})
    assert both == ["world", "mine", "envs.mine"]
    with pytest.raises(NotTrusted, match="would run the modules world and mine, and"):
        check_trust(tmp_path, "world:W-v0", {"wrappers": ["mine:W"]}, trust=False)


def test_gymnasium_s_own_wrappers_need_no_trust(tmp_path: Path) -> None:
    check_trust(tmp_path, "CartPole-v1", {"wrappers": ["gymnasium.wrappers:X"]}, trust=False)
    with pytest.raises(NotTrusted):  # where a function could do more than wrap
        check_trust(tmp_path, "CartPole-v1", {"wrappers": ["gymnasium.utils.play:X"]}, trust=False)


def test_the_modules_of_wrappers_are_sent_to_a_cluster() -> None:
    names = {"wrappers": ["small_wrappers:Half", "json:X"]}
    assert user_modules("CartPole-v1", names) == ["small_wrappers"]
    assert user_modules("small_worlds:Identity-v0", names) == ["small_worlds", "small_wrappers"]


def test_from_python_a_wrapper_must_be_where_it_can_be_found_again() -> None:
    assert wrapper_names(small_wrappers.Half) == ["small_wrappers:Half"]
    assert wrapper_names(["a:B", small_wrappers.short]) == ["a:B", "small_wrappers:short"]
    for nowhere in (lambda env: env, 3):
        with pytest.raises(UsageError, match="must be in a module that can be imported"):
            wrapper_names(nowhere)


@pytest.mark.parametrize(
    "text",
    [
        'env = "CartPole-v1"\nwrappers = ["mine:W"]',
        'env = "CartPole-v1"\nenv_kwargs = { wrappers = ["mine:W"] }',
    ],
)
def test_a_file_of_settings_runs_no_wrapper_unasked(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    settings = settings_in(path)
    for given in ({}, {"env_id": "CartPole-v1"}):
        with pytest.raises(NotTrusted, match="would run the module mine; name it yourself"):
            with_file(settings, given)
    assert with_file(settings, {"wrappers": ["mine:W"]})["wrappers"] == ["mine:W"]
    with_file(settings, {}, trust=True)


def test_a_run_s_own_wrappers_are_those_it_was_signed_with(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", *WRAPPED, "--n-iterations", "1", env="CartPole-v1")
    with_file(settings_in(folder), {})
    path = folder / "config.json"
    data = json.loads(path.read_text())
    for name, forged in (("env_kwargs", {"wrappers": ["evil:W"]}), ("run", {"wrappers": ["e:W"]})):
        path.write_text(json.dumps(data | {name: data[name] | forged}))
        for given in ({}, {"env_id": "CartPole-v1"}):
            with pytest.raises(NotTrusted):
                with_file(settings_in(folder), given)
