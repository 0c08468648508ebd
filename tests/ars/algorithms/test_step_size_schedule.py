"""ARS with a step size that falls to 0: steps, resume, a horizon that is raised, and the tape."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from hopper_runs import resume, train
from learners import outcome

from ars.common.errors import RunError, UsageError
from ars.training.resolve import resolve_new
from ars.training.verification import verify_run

WORDS = ["--step-size-schedule", "linear", "--total-timesteps", "1000", "--rollout-length", "30"]


def steps(folder: Path) -> list[float]:
    rows = csv.DictReader((folder / "progress.csv").read_text().splitlines())
    return [float(row["step_norm"]) for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("finished") / "run", *WORDS)


def test_steps_end_with_the_run(finished: Path, tmp_path: Path) -> None:
    words = ["--total-timesteps", "1000", "--rollout-length", "30"]
    constant = steps(train(tmp_path / "constant", *words))
    falling = steps(finished)
    assert falling[0] == constant[0]
    assert 0 < falling[-1] < falling[0] / 2


def test_a_resumed_run_is_the_same(finished: Path, tmp_path: Path) -> None:
    folder = train(tmp_path / "run", *WORDS, "--n-iterations", "3")
    assert outcome(resume(folder, "--total-timesteps", "1000")) == outcome(finished)


@pytest.mark.parametrize("horizon", [(), ("--horizon", "2000")])
def test_a_run_that_went_on_is_verified(
    finished: Path, tmp_path: Path, horizon: tuple[str, ...]
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    resume(folder, "--total-timesteps", "1500", *horizon)
    assert (steps(folder)[-1] > 0.0) == bool(horizon)
    done = len(steps(folder))
    assert verify_run(str(folder), iterations=done).n_iterations == done


def test_a_tape_of_another_horizon_is_found(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    resume(folder, "--total-timesteps", "1500", "--horizon", "2000")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"horizon": 2000', '"horizon": 1500'))
    shutil.rmtree(folder / "checkpoint")
    with pytest.raises(RunError, match=r"not the tape of this run \(.*horizon"):
        verify_run(str(folder), iterations=1)


@pytest.mark.parametrize(
    "given", [{}, {"algo": "ppo", "preset": None}, {"step_size_schedule": "constant"}]
)
def test_a_horizon_that_nothing_falls_towards_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        resolve_new("Hopper", {**given, "horizon": 300})
    assert str(refused.value) == (
        "`horizon` 300: has no meaning where no schedule is linear; `rollout_length` cuts episodes"
    )
