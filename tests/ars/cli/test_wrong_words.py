"""Arguments that cannot be used end in one clear line and the right status, before Ray starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import ars.distributed.pool
import ars.train

REFUSED = {
    "HalfCheeta": "did you mean HalfCheetah",
    "CartPole-v99": "CartPole",
    "nosuchmodule:Thing-v0": "nosuchmodule",
    "HalfCheetah --n-directions 4 --n-top 5": "--n-top 5: must be at most --n-directions 4",
    "HalfCheetah --n-directions 0": "--n-directions 0: must be at least 1",
    "HalfCheetah --step-size nan": "--step-size nan: must be a finite number",
    "HalfCheetah --step-size -1": "--step-size -1.0: must be greater than 0",
    "HalfCheetah --step-size -1e-3": "--step-size -0.001: must be greater than 0",
    "HalfCheetah --step-size fast": "--step-size fast: must be a number, such as 0.02 or 1e-3",
    "HalfCheetah --delta-std inf": "--delta-std inf: must be a finite number",
    "HalfCheetah --n-workers -1": "--n-workers -1: must be auto or a whole number",
    "HalfCheetah --n-workers two": "--n-workers two: must be auto or a whole number",
    "HalfCheetah --seed -1": "--seed -1: must be at least 0",
    "HalfCheetah --variant v2t": "--variant v2t: must be one of brs, v1, v1-t, v2, v2-t",
    "HalfCheetah --preset Cheetah": "--preset Cheetah: unknown",
    "HalfCheetah --algo arz": "argument --algo: invalid choice: 'arz'",
    "HalfCheetah --n-direction 4": "unknown argument --n-direction (did you mean --n-directions",
    "HalfCheetah --total-timesteps 0": "--total-timesteps 0: must be at least 1",
    "HalfCheetah --time-budget soon": "--time-budget soon: must be a time such as 90s, 30m, 8h or",
    "HalfCheetah --env-kwargs nope=2": "--env-kwargs nope: HalfCheetah does not take it; it takes",
    "HalfCheetah --env-kwargs width=NaN": "--env-kwargs width=NaN: NaN is no number that JSON can",
    "HalfCheetah --env-kwargs width": "--env-kwargs width: must be name=value",
    "HalfCheetah --hidden-sizes 64": "--hidden-sizes 64: a linear policy has no hidden layers",
    "HalfCheetah --init-from nowhere": "--init-from nowhere: no run folder, policy file or shipped",
    "HalfCheetah --run-dir /proc/run": "--run-dir /proc/run: cannot be written",
    f"HalfCheetah --run-dir {'long' * 64}": "File name too long",
    f"HalfCheetah --init-from {'long' * 64}": "File name too long",
    f"--resume {'long' * 64}": "File name too long",
    "long" * 64: "unknown environment",
    f"HalfCheetah --n-iterations {'9' * 400}": "with so many digits: must be at most 1000",
    f"CartPole-v1 --algo ppo --total-timesteps {'9' * 400}": "--total-timesteps with so many",
    "HalfCheetah Hopper": "unknown argument Hopper",
    "--resume nowhere": "--resume nowhere: not a run folder",
    "": "name an environment, for example: python -m ars.train HalfCheetah",
}


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Ray was about to start")

    monkeypatch.setattr(ars.distributed.pool, "RayPool", refuse)


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("words", REFUSED)
def test_unusable_arguments_end_with_2_and_one_line(
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(words.split())
    out, err = capsys.readouterr()
    assert stopped.value.code == 2, err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert REFUSED[words] in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


class DictObservations(gymnasium.Env[Any, Any]):
    observation_space = gymnasium.spaces.Dict({"a": gymnasium.spaces.Box(0, 1, (2,))})
    action_space = gymnasium.spaces.Discrete(2)


@pytest.mark.usefixtures("no_ray")
def test_dict_observations_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    gymnasium.register("DictObservations-v0", DictObservations)  # type: ignore[arg-type]
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["DictObservations-v0", "--run-dir", str(tmp_path / "run")])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert "observation space is Dict" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


FAILURES = {
    "Constructor": "Faulty-v0: cannot be made: OSError: no such robot",
    "Reset": "Faulty-v0: OSError: stuck",
    "Step": "Faulty-v0: OSError: stuck",
    "Tuple": "env.step returned 4 values, not (observation, reward, terminated, truncated, info)",
    "Info": "env.reset returned one ndarray, not (observation, info)",
    "Reward": "env.step returned the reward None, not a number",
}


class Faulty(gymnasium.Env[Any, Any]):
    observation_space = gymnasium.spaces.Box(0, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, fault: str = "Constructor") -> None:
        self.fault = fault
        if fault == "Constructor":
            raise OSError("no such robot")

    def reset(self, **_: Any) -> Any:
        if self.fault == "Reset":
            raise OSError("stuck")
        return np.zeros(2, np.float32) if self.fault == "Info" else (np.zeros(2, np.float32), {})

    def step(self, action: Any) -> Any:
        if self.fault == "Step":
            raise OSError("stuck")
        reward = None if self.fault == "Reward" else 0.0
        rest: tuple[Any, ...] = () if self.fault == "Tuple" else ({},)
        return np.zeros(2, np.float32), reward, False, False, *rest


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("fault", FAILURES)
def test_an_environment_that_fails_at_once_is_told_in_one_line(
    fault: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gymnasium.registry.pop("Faulty-v0", None)
    gymnasium.register("Faulty-v0", Faulty, order_enforce=False)  # type: ignore[arg-type]
    words = ["Faulty-v0", "--run-dir", str(tmp_path / "run"), "--env-kwargs", f"fault={fault}"]
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(words)
    assert stopped.value.code == 1
    err = capsys.readouterr().err
    assert FAILURES[fault] in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def run(folder: Path, *words: str) -> None:
    small = ["--n-workers", "0", "--n-iterations", "2", "--n-directions", "2"]
    small += ["--step-size", "0.25"]
    ars.train.main(["Hopper", "--run-dir", str(folder), *small, "--eval-episodes", "1", *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--step-size", "0.5"], "--step-size 0.5: the run was started with 0.25"),
        (["--seed", "9"], "--seed 9: the run was started with 0"),
        (["Ant"], "ENV Ant: the run was started with Hopper"),
        (["--run-dir", "x"], "--run-dir x: has no meaning beside --resume"),
        (["--env-kwargs", "width=3"], "width=3: the run was started with --env-kwargs {}"),
    ],
)
def test_a_resumed_run_keeps_what_decides_its_results(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    run(folder)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        ars.train.main([*words, "--resume", str(folder)])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_holds_a_run_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my  run"
    run(folder)
    before = (folder / "policy.safetensors").read_bytes()
    with pytest.raises(SystemExit) as stopped:
        run(folder, "--seed", "4")
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert "holds a run already" in err and f"or train on with --resume '{folder}'" in err
    assert (folder / "policy.safetensors").read_bytes() == before


@pytest.mark.parametrize("inner", ["s0", "CartPole-v1/s0"])
def test_a_run_does_not_begin_above_others(
    inner: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "runs" / inner)
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "runs")
    assert stopped.value.code == 2
    told = f"--run-dir {tmp_path / 'runs'}: a folder of runs; name a new one in it"
    assert told in capsys.readouterr().err
    run(tmp_path / "runs" / "s1")
    with pytest.raises(SystemExit):
        ars.train.main(["--resume", str(tmp_path / "runs")])
    assert "it holds 2 runs: name one, for example" in capsys.readouterr().err


def test_a_damaged_config_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    whole = json.loads(config.read_text())
    for text, status in (
        ("{", 1),
        ("[]", 1),
        (json.dumps({"algo": "ars"}), 1),
        (json.dumps({**whole, "algo": "zzz"}), 1),
        (json.dumps({**whole, "run": 3}), 1),
        (json.dumps({**whole, "env_kwargs": 3}), 1),
        (json.dumps({**whole, "config": {**whole["config"], "n_directions": "x"}}), 1),
        (json.dumps({**whole, "seed": 5}), 1),
        (json.dumps({**whole, "config": {**whole["config"], "step_size": 0.5}}), 1),
    ):
        config.write_text(text)
        with pytest.raises(SystemExit) as stopped:
            ars.train.main(["--resume", str(tmp_path / "run"), "--n-workers", "0"])
        assert stopped.value.code == status
        err = capsys.readouterr().err
        assert "config.json" in err
        assert err.count("\n") == 1


def test_underscores_in_flags_and_numbered_default_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "Hopper",
        "--n_workers",
        "0",
        "--n_iterations=1",
        "--n_directions",
        "1",
        "--eval_episodes",
        "1",
    ]
    for _ in range(2):
        ars.train.main(words)
    folders = sorted(path.name for path in (tmp_path / "runs" / "Hopper").iterdir())
    assert folders == ["ars-s0", "ars-s0-2"]


def test_help_names_every_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ars.train", "--help"], check=True, capture_output=True, text=True
    )
    for word in ("--n-directions", "--shift", "--target-return", "--init-from", "v2-t"):
        assert word in done.stdout
