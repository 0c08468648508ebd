"""Environments given from Python: objects, classes and functions."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from pictures import Square
from small_worlds import Identity

from ars.api import Run, UsageError, evaluate, render, train, train_seeds, tune
from ars.evaluate import main as evaluate_command
from ars.train import main as train_command
from ars.training.given_env import only_here
from policies import read_policy

FEW: dict[str, Any] = {"n_iterations": 2, "n_directions": 2, "eval_episodes": 2, "verbose": False}


@pytest.fixture
def registered_id() -> Iterator[str]:
    gymnasium.register("Mine-v0", entry_point=Identity)  # type: ignore[arg-type]
    yield "Mine-v0"
    del gymnasium.registry["Mine-v0"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_cart(limit: int = 500, render_mode: str | None = None) -> Any:
    return gymnasium.make("CartPole-v1", max_episode_steps=limit, render_mode=render_mode)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (make_cart, "make_cart"),
        (functools.partial(make_cart, limit=500), "make_cart"),
        (lambda: make_cart(), "lambda"),
        (make_cart(), "CartPoleEnv"),
    ],
)
def test_it_is_the_run_of_the_same_environment_by_name(given: Any, name: str) -> None:
    by_name = train("CartPole-v1", n_workers=0, run_dir="name", **FEW)
    run = train(given, run_dir="given", **FEW)
    assert run.latest_policy.weights.tolist() == by_name.latest_policy.weights.tolist()
    assert read_policy(run.folder / "policy.safetensors").env_id == f"python/{name}-v0"
    assert not [env_id for env_id in gymnasium.registry if env_id.startswith("python/")]
    assert evaluate(run, 2)["returns"] == evaluate(by_name, 2)["returns"]


def test_a_run_that_is_refused_leaves_none_open() -> None:
    opened: list[Any] = []

    class Counted(CartPoleEnv):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            opened.append(self)

        def close(self) -> None:
            opened.remove(self)

    with pytest.raises(UsageError, match="`save_buffer`"):
        train(Counted, algo="dqn", save_buffer=True, n_envs=4, verbose=False)
    assert not opened


def test_a_class_gets_the_runs_env_kwargs_and_serves_every_algorithm() -> None:
    run = train(Identity, algo="dqn", env_kwargs={"length": 7}, total_timesteps=70, verbose=False)
    assert run.folder == Path("runs/python-Identity-v0/dqn-s0")
    assert evaluate(run, 2)["lengths"] == [7, 7]
    few: dict[str, Any] = {"total_timesteps": 70, "verbose": False}
    for again in (train(config=run, **few), train(Identity, config=run.folder, **few)):
        assert evaluate(again, 2)["lengths"] == [7, 7]


def test_an_environment_stays_the_users() -> None:
    class Counted(CartPoleEnv):
        closed = 0

        def close(self) -> None:
            Counted.closed += 1

    env = Counted()
    train(env, **FEW)
    assert Counted.closed == 0
    assert env.reset(seed=3)[0].shape == (4,)
    train(Counted, **FEW)
    assert Counted.closed > 0


def test_such_a_run_goes_on_and_is_opened_where_its_environment_is_given_again() -> None:
    whole = train(CartPoleEnv, run_dir="whole", **{**FEW, "n_iterations": 4})
    run = train(CartPoleEnv, run_dir="half", **FEW)
    assert train(resume=run, n_iterations=3, verbose=False).result["iterations"] == 3
    run = train(CartPoleEnv, resume="half", n_iterations=4, verbose=False)
    assert run.latest_policy.weights.tolist() == whole.latest_policy.weights.tolist()
    with pytest.warns(RuntimeWarning, match="has no time limit of its own: 1 of 1 episode cut"):
        assert evaluate(Run.open("half", CartPoleEnv), 1) == evaluate("half", 1, env=CartPoleEnv)


def test_without_its_environment_such_a_run_is_refused_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = train(CartPoleEnv, run_dir="run", **FEW)
    for call in (
        lambda: evaluate("run", 1),
        lambda: train(resume="run", n_iterations=9, verbose=False),
        lambda: train(config="run", verbose=False),
    ):
        with pytest.raises(UsageError, match="python/CartPoleEnv-v0: its environment was given"):
            call()
    for main, words in (
        (train_command, ["--resume"]),
        (train_command, ["--config"]),
        (evaluate_command, []),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([*words, str(run.folder)])
        assert stopped.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("env", "settings", "told"),
    [
        (CartPoleEnv, {"n_workers": 2}, "`n_workers` 2: the environment is known to this program"),
        ("Mine-v0", {"n_workers": 2}, "`n_workers` 2: the environment is known to this program"),
        ("Mine-v0", {"ray_address": "127.0.0.1:1"}, "`ray_address` 127.0.0.1:1: the environment"),
        (CartPoleEnv, {"algo": "ppo", "env_processes": 2}, "`env_processes` 2: the environment is"),
        (CartPoleEnv(), {"algo": "dqn"}, "`env`: dqn uses several environments at once; give a"),
        (CartPoleEnv, {"resume": "by_name"}, "`env`: the run was started with CartPole-v1"),
    ],
)
def test_what_needs_another_process_or_environment_is_refused(
    registered_id: str, env: Any, settings: dict[str, Any], told: str
) -> None:
    train("CartPole-v1", run_dir="by_name", n_workers=0, **FEW)
    few: dict[str, Any] = {"n_iterations": 3, "verbose": False}
    with pytest.raises(UsageError) as error:
        train(env, **few, **settings)
    assert str(error.value).startswith(told)


def test_two_of_a_name_at_once_are_two() -> None:
    inner: list[Run] = []

    def nested(row: dict[str, Any]) -> None:
        if not inner:
            inner.append(train(lambda: make_cart(limit=5), **FEW))

    outer = train(lambda: make_cart(limit=500), on_iteration=nested, **FEW)
    ids = [read_policy(run.folder / "policy.safetensors").env_id for run in (outer, inner[0])]
    assert ids == ["python/lambda-v0", "python/lambda-2-v0"]
    assert evaluate(inner[0], 1)["lengths"] == [5]


@pytest.mark.usefixtures("no_display")
def test_pictures_need_an_environment_that_draws(square: Path) -> None:
    assert render(square, "class.png", env=Square) == Path("class.png")
    assert render(square, "object.png", env=Square("rgb_array")).stat().st_size > 0
    assert render(square, "function.png", env=lambda: Square("rgb_array")).stat().st_size > 0
    for env in (Square(), lambda: Square()):
        with pytest.raises(Exception, match="its render_mode is None, and must be rgb_array"):
            render(square, "none.png", env=env)


def test_an_id_of_this_program_alone_trains_in_this_process(
    registered_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(registered_id, **FEW | {"verbose": True})
    assert "Mine-v0 is known to this program alone and stays in" in capsys.readouterr().out
    run = train(resume=run.folder, n_iterations=3, verbose=False)
    assert run.progress["iteration"].tolist() == [1, 2, 3]


def test_such_an_id_is_refused_by_what_trains_in_processes_of_its_own(registered_id: str) -> None:
    for elsewhere in (lambda: train_seeds(registered_id, 2), lambda: tune(registered_id)):
        with pytest.raises(UsageError, match="`env` Mine-v0: is known to this program alone"):
            elsewhere()
    assert not Path("runs").exists()


def test_ids_that_every_process_knows_are_not_taken_for_the_program_s_own() -> None:
    for known in ("CartPole-v1", "bullet/Hopper-v0", "no such id"):
        assert not only_here(known)
