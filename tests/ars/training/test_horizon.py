"""A run that goes on past the horizon of its schedules says so, and may move it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import ars.train

PPO = ["--algo", "ppo", "--n-steps", "16", "--n-envs", "4", "--batch-size", "64"]
PPO += ["--eval-episodes", "1", "--save-freq", "1", "--n-workers", "0"]


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run whose preset lets the learning rate fall to 0 at its end."""
    words = ["--total-timesteps", "128", "--run-dir", str(tmp_path / "run")]
    ars.train.main(["CartPole-v1", *PPO, *words])
    return tmp_path / "run"


def rates(folder: Path) -> list[float]:
    rows = csv.DictReader((folder / "progress.csv").read_text().splitlines())
    return [float(row["learning_rate"]) for row in rows]


def resume(folder: Path, *words: str) -> None:
    ars.train.main(["--resume", str(folder), *words])


def test_the_end_of_learning_is_said_before_it_comes(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "horizon of" not in capsys.readouterr().out
    resume(finished, "--total-timesteps", "256")
    said = capsys.readouterr().out
    assert (
        "warning: --learning-rate and --clip-range fall to 0 at the horizon of 128 timesteps, and "
        "nothing is learned after it; --horizon 256 (now, or on resume) goes on learning"
    ) in said
    assert said.index("warning") < said.index("iteration 3")
    assert rates(finished)[2:] == [0.0, 0.0]


def test_a_raised_horizon_stretches_the_schedule_and_is_stored(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    resume(finished, "--total-timesteps", "256", "--horizon", "256")
    assert "warning" not in capsys.readouterr().out
    assert rates(finished) == pytest.approx([1e-3, 5e-4, 5e-4, 2.5e-4])
    assert json.loads((finished / "config.json").read_text())["config"]["horizon"] == 256
    resume(finished, "--total-timesteps", "320", "--horizon", "512")
    assert rates(finished)[4] == pytest.approx(5e-4)


def test_a_horizon_is_never_lowered(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        resume(finished, "--horizon", "100")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "error: --horizon 100: the run was started with 128; on resume it may only be raised\n"
    )


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["--n-iterations", "2"], False),  # finished as it is
        (["--n-iterations", "3"], True),
        (["--total-timesteps", "128"], False),
    ],
)
def test_only_who_will_train_on_is_warned(
    words: list[str], warned: bool, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    resume(finished, *words)
    assert ("nothing is learned after it" in capsys.readouterr().out) is warned
