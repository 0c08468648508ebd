"""The toolkit from Python: what `train`, `load`, `evaluate` and `render` give, take and refuse."""

from __future__ import annotations

import asyncio
import doctest
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image

from ars import api, evaluate
from ars.api import (
    Run,
    RunError,
    UnknownEnvironment,
    UsageError,
    export,
    load,
    make_env,
    train,
    train_seeds,
)
from ars.api.training import plain

FEW: dict[str, Any] = {"n_iterations": 2, "n_directions": 2, "eval_freq": 1, "eval_episodes": 2}
HERE: dict[str, Any] = {**FEW, "n_workers": 0, "verbose": False}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_hold() -> None:
    parts = [
        doctest.testmod(part)
        for part in (api, api.training, api.policies, api.exchange, api.tuning)
    ]
    assert all(part.failed == 0 and part.attempted > 0 for part in parts)
    assert sum(part.attempted for part in parts) > 10


def test_a_run_has_its_result_curves_and_policies(capfd: pytest.CaptureFixture[str]) -> None:
    run = train("CartPole-v1", seed=3, **HERE)
    assert run.folder == Path("runs/CartPole-v1/ars-s3")
    assert run.result == json.loads((run.folder / "result.json").read_text())
    assert run.progress["iteration"].tolist() == [1, 2]
    assert run.progress["iteration"].dtype == np.int64
    assert run.evaluations["return_mean"].shape == (3,)
    assert run.evaluations["return_mean"].dtype == np.float64
    best, latest = (load(run, latest=latest).weights for latest in (False, True))
    assert run.policy.weights.tolist() == best.tolist()
    assert run.latest_policy.weights.tolist() == latest.tolist()
    assert Run.open(run.folder) == run
    (run.folder / "progress.csv").rename("away")  # as before it has begun to train
    assert run.progress == {}
    assert capfd.readouterr() == ("", "")


def test_it_is_the_commands_run(capfd: pytest.CaptureFixture[str]) -> None:
    run = train("CartPole-v1", run_dir="here", **HERE)
    words = "CartPole-v1 --n-iterations 2 --n-directions 2 --eval-freq 1 --eval-episodes 2"
    from ars.train import main

    main([*words.split(), "--n-workers", "0", "--run-dir", "there"])
    assert (run.folder / "policy.safetensors").read_bytes() == Path(
        "there/policy.safetensors"
    ).read_bytes()
    capfd.readouterr()
    evaluate.main(["there", "--episodes", "3", "--json"])
    said = json.loads(capfd.readouterr().out)
    found = api.evaluate("there", episodes=3)
    assert found == said
    assert api.evaluate(run, episodes=3)["returns"] == said["returns"]


def test_verbose_prints_what_the_command_does_without_flags(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train("CartPole-v1", **{**HERE, "verbose": True})
    said = capsys.readouterr().out
    assert said.startswith("run folder runs/CartPole-v1/ars-s0\nreturn: the mean of training ")
    assert "2 iterations done" in said
    assert "--" not in said and "python -m" not in said


# Callbacks


@pytest.mark.parametrize("preset", [None, "none"])
def test_a_robot_can_be_trained_without_its_preset(preset: str | None) -> None:
    run = train("Hopper", preset=preset, rollout_length=5, **HERE)
    config = json.loads((run.folder / "config.json").read_text())
    assert config["preset"] is None and config["config"]["step_size"] == 0.02


def test_callbacks_see_every_row(capfd: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = []
    evaluations: list[dict[str, Any]] = []
    run = train("CartPole-v1", on_iteration=rows.append, on_evaluation=evaluations.append, **HERE)
    assert [row["timesteps"] for row in rows] == run.progress["timesteps"].tolist()
    assert [row["return_mean"] for row in evaluations] == run.evaluations["return_mean"].tolist()


@pytest.mark.parametrize("which", ["on_iteration", "on_evaluation"])
def test_a_callback_that_returns_true_stops_the_run_which_goes_on_as_if_it_had_not(
    which: str,
) -> None:
    def third(row: dict[str, Any]) -> bool:
        return bool(row["iteration"] >= 3)

    callback: dict[str, Any] = {which: third}
    settings = {**HERE, "n_iterations": 5}
    whole = train("CartPole-v1", run_dir="whole", **settings)
    stopped = train("CartPole-v1", run_dir="stopped", **callback, **settings)
    assert stopped.result["stopped"] == "stopped by a callback"
    assert 3 <= stopped.result["iterations"] < 5
    resumed = train(resume=stopped, verbose=False)
    assert resumed.folder == stopped.folder
    assert resumed.result["stopped"] == "5 iterations done"
    for name in ("policy.safetensors", "best_policy.safetensors"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        (np.True_, "stopped by a callback"),
        (np.False_, "2 iterations done"),
        (1, "2 iterations done"),
        (np.int64(1), "2 iterations done"),
        (np.ones(2, np.bool_), "2 iterations done"),
    ],
)
def test_only_true_itself_stops_be_it_of_numpy(answer: Any, stopped: str) -> None:
    run = train("CartPole-v1", on_iteration=lambda row: answer, **HERE)
    assert run.result["stopped"] == stopped


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), ConnectionError("mine")])
def test_a_callback_that_fails_leaves_the_run_saved(error: Exception) -> None:
    """Also one that fails as a disk does."""
    cause = ValueError("its cause")

    def fails(row: dict[str, Any]) -> None:
        if row["iteration"] == 2:
            raise error from cause

    with pytest.raises(type(error), match=r"^mine$") as raised:
        train("CartPole-v1", on_iteration=fails, **{**HERE, "n_iterations": 4})
    assert raised.value is error
    assert (error.__cause__, error.__context__) == (cause, None)
    run = train(resume="runs/CartPole-v1/ars-s0", n_workers=0, verbose=False)
    assert run.progress["iteration"].tolist() == [1, 2, 3, 4]


# Where it is called


def test_a_thread_and_a_running_event_loop_are_places_to_train() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(train("CartPole-v1", **HERE)))
    thread.start()

    async def notebook() -> None:
        runs.append(train("CartPole-v1", run_dir="loop", **HERE))

    asyncio.run(notebook())
    thread.join()
    assert {run.folder.as_posix() for run in runs} == {"runs/CartPole-v1/ars-s0", "loop"}
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_interrupt_saves_and_is_raised_with_the_call_that_goes_on() -> None:
    def interrupt(row: dict[str, Any]) -> None:
        if row["iteration"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as error:
        train("CartPole-v1", on_iteration=interrupt, **{**HERE, "n_iterations": 3})
    folder = "runs/CartPole-v1/ars-s0"
    assert str(error.value) == (
        f"interrupted and saved; to go on: train(resume={folder!r}, n_workers='0')"
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert train(resume=folder, n_workers=0, verbose=False).result["iterations"] == 3


# What is refused


@pytest.mark.parametrize(
    ("env", "settings", "told"),
    [
        (None, {}, '`env`: name an environment, for example train("HalfCheetah")'),
        ("CartPole-v1", {"n_top": 9, "n_directions": 2}, "`n_top` 9: must be at most"),
        ("CartPole-v1", {"stepsize": 1}, "did you mean step_size?"),
        ("CartPole-v1", {"lr": 1}, "did you mean step_size?"),
        (
            "CartPole-v1",
            {"env_kwargs": {"hard": 1}},
            "`env_kwargs` hard: CartPole-v1 does not take",
        ),
        ("CartPole-v1", {"gamma": 0.9}, "a setting of `algo` dqn"),
        ("CartPole-v1", {"algo": "arz"}, "`algo` arz: must be one of ars, pgpe"),
        ("CartPole-v1", {"seed": 1.5}, "`seed` 1.5: must be of type int"),
        ("CartPole-v1", {"env_kwargs": {"f": print}}, "`env_kwargs`: must be"),
        ("CartPole-v1", {"env_kwargs": "hard=1"}, "`env_kwargs` hard=1: must be arguments by name"),
        ("CartPole-v1", {"resume": "nowhere"}, "`resume` nowhere: not a run folder"),
        (3, {}, "`env` 3: must be a name, a Gymnasium environment, its class, or a function"),
        (dict, {}, "`env` <class 'dict'>: must be a name, a Gymnasium environment, its class"),
        (None, {"resume": ""}, "`resume` '': must be a run or its folder"),
        (None, {"resume": 3}, "`resume` 3: must be a run or its folder"),
        ("CartPole-v1", {"on_iteration": 3}, "`on_iteration` 3: must be a function"),
        ("CartPole-v1", {"on_evaluation": True}, "`on_evaluation` True: must be a function"),
        ("CartPole-v1", {"env_id": "Hopper"}, "`env_id`: there is no such setting (did you mean"),
        ("CartPole-v1", {"init_from": "nowhere"}, "`init_from` nowhere: no run folder"),
        ("CartPole-v1", {"init_from": Path()}, "`init_from` .: a folder without best_policy"),
    ],
)
def test_what_cannot_be_used_is_a_usage_error(
    env: Any, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError) as error:
        train(env, **{**HERE, **settings})
    assert told in str(error.value)
    assert not Path("runs").exists()


def test_other_failures_are_exceptions_too() -> None:
    with pytest.raises(UnknownEnvironment, match="did you mean HalfCheetah"):
        train("HalfCheeta", **HERE)
    with pytest.raises(UsageError, match="`run` nowhere: no run folder"):
        load("nowhere")
    with pytest.raises(UsageError, match="`episodes` 0: must be at least 1"):
        api.evaluate("HalfCheetah", episodes=0)
    with pytest.raises(UsageError, match=r"`output` x.avi: must end in .mp4, .gif, .png"):
        api.render("HalfCheetah", "x.avi")
    with pytest.raises(UsageError, match="`env`: must be given, a policy does not know"):
        api.evaluate(load("HalfCheetah"))
    with pytest.raises(UsageError, match=r"`folder` .*: not a run folder"):
        Run.open(".")
    train("CartPole-v1", run_dir="run", **HERE)
    with pytest.raises(UsageError, match="`env` Hopper: the run was started with CartPole-v1"):
        train("Hopper", resume="run", **HERE)
    with pytest.raises(RunError, match=r"to play it again: train\(env, resume="):
        train(Fragile, **HERE)


class Fragile(gymnasium.Env[Any, Any]):
    """Fails in its long episodes, which a look at it before training does not have."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.count = 0
        return self.np_random.uniform(-1, 1, 2), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        if self.count == 50:
            raise OSError("no robot there")
        return self.np_random.uniform(-1, 1, 2), 1.0, False, False, {}


def test_numbers_that_mean_the_same_are_taken() -> None:
    run = train(
        "CartPole-v1", **{**HERE, "n_iterations": np.int64(1), "seed": 3.0, "n_workers": "0"}
    )
    assert run.result["iterations"] == 1
    config = json.loads((run.folder / "config.json").read_text())
    assert config["seed"] == 3
    assert config["commands"][0].startswith("ars.api.train('CartPole-v1', n_iterations=")


def test_a_run_its_folder_and_its_file_are_a_start_for_another() -> None:
    first = train("CartPole-v1", run_dir="first", **HERE)
    starts = [first, first.folder, "first", first.folder / "best_policy.safetensors"]
    runs = [train("CartPole-v1", init_from=start, **HERE) for start in starts]
    assert len({run.latest_policy.weights.tobytes() for run in runs}) == 1
    configs = [json.loads((run.folder / "config.json").read_text()) for run in runs[:3]]
    assert [config["init_from"] for config in configs] == ["first"] * 3
    assert "init_from='first'" in configs[0]["commands"][0]
    assert train(resume=runs[0], init_from=first, n_iterations=3, verbose=False) == runs[0]
    assert plain({"init_from": first}) == {"init_from": "first"}  # as `train_seeds` and `tune` do


def test_an_experiment_that_is_refused_leaves_no_folder() -> None:
    with pytest.raises(UsageError, match="`jobs` 0"):
        train_seeds("CartPole-v1", 2, jobs=0, verbose=False)
    assert not Path("runs").exists()


def test_seeds_take_their_settings_from_a_run() -> None:
    first = train("CartPole-v1", **HERE)
    runs = train_seeds(n_seeds=2, config=first, verbose=False)
    assert [run.folder.name for run in runs] == ["s0", "s1"]
    assert runs[0].latest_policy.weights.tobytes() == first.latest_policy.weights.tobytes()
    with pytest.raises(UsageError, match="`run`: several are given"):
        api.evaluate(runs)  # type: ignore[arg-type]


def test_a_policy_has_no_other_moments() -> None:
    policy = load("Hopper")
    for other, told in (({"latest": True}, "`latest`: a policy"), ({"at": 5}, "`at` 5: a policy")):
        with pytest.raises(UsageError, match=told):
            export(policy, output="policy.npz", **other)
    assert not Path("policy.npz").exists()


def test_timesteps_are_taken_as_curves_have_them() -> None:
    run = train("CartPole-v1", **HERE)
    steps = run.evaluations["timesteps"][-1]
    given: list[Any] = [np.int64(steps), float(steps)]
    weights = [load(run, at=at).weights.tolist() for at in given]
    assert weights[0] == weights[1] == run.latest_policy.weights.tolist()
    with pytest.raises(UsageError, match="must be a whole number"):
        load(run, at=1.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`latest`: "):
        api.evaluate(run.policy, 1, latest=True, env="CartPole-v1")


# Policies by themselves, and pictures


def test_a_policy_is_evaluated_in_the_environment_that_is_named() -> None:
    run = train("CartPole-v1", **HERE)
    by_name = api.evaluate(run.policy, episodes=2, env="CartPole-v1", seed=0)
    assert by_name["returns"] == api.evaluate(run, episodes=2, seed=0)["returns"]
    assert api.evaluate(run, 2, env="cartpole-v1", seed=0)["returns"] == by_name["returns"]
    elsewhere = api.evaluate(run, 2, env=lambda: gymnasium.make("CartPole-v1"), seed=0)
    assert elsewhere["env_id"] == "python/lambda-v0"
    assert elsewhere["returns"] == by_name["returns"]


def test_pictures_are_written_and_their_file_is_returned(
    square: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = api.render(square, "out.png")
    assert path == Path("out.png")
    with Image.open(path) as sheet:
        assert sheet.size == (4 * 65 + 3 * 4, 3 * 49 + 2 * 4)
    assert capfd.readouterr() == ("", "")


def test_the_environment_of_a_run_has_its_clock() -> None:
    run = train("Hopper", clock=2.0, rollout_length=20, eval_length=20, **HERE)
    env = make_env(run)
    observation, _ = env.reset(seed=1)
    assert observation[-2:].tolist() == [0.0, 1.0]
    observation, *_ = env.step(load(run).act(observation))
    angle = 2 * np.pi * 2.0 / 60
    assert observation[-2:] == pytest.approx([np.sin(angle), np.cos(angle)])
    env.close()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"run": "nowhere"}, UsageError, "no run folder, policy file or shipped policy"),
        ({"run": "Hopper", "render_mode": "x"}, RunError, "Hopper: cannot be made: .*'x'"),
        ({"run": "Hopper", "env": "CartPole-v1"}, RunError, "observations of 4 numbers"),
    ],
)
def test_environments_that_cannot_be_made_are_refused(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make_env(**arguments)


def test_wrappers_of_a_file_ask_first_also_around_an_environment_that_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "around.py").write_text("import gymnasium\nclass Plain(gymnasium.Wrapper): pass\n")
    monkeypatch.syspath_prepend(folder)
    run = train(lambda: gymnasium.make("CartPole-v1"), wrappers=["around:Plain"], **HERE)
    assert api.evaluate(run, 1)["episodes"] == 1
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "of another"))
    for use in (make_env, api.evaluate):
        with pytest.raises(UsageError, match="would run the module around"):
            use(run)
    make_env(run, trust=True).close()
