"""When evaluations happen: every so many iterations, or every so many timesteps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hopper_runs import resume
from learners import outcome, without_times

import ars.train
from ars.common.errors import UsageError
from ars.training.resolve import resolve_new, resolve_resumed


def train(folder: Path, *words: str) -> Path:
    few = ["--n-directions", "2", "--eval-episodes", "1", "--save-freq", "3", "--n-workers", "0"]
    ars.train.main(["Hopper", "--run-dir", str(folder), *few, *words])
    return folder


def timesteps(folder: Path, log: str) -> list[int]:
    return [int(row[1]) for row in without_times(folder / log)[1:]]


def reaching(steps: list[int], every: int) -> list[int]:
    """The first of `steps` that reaches each multiple of `every`, from 0 on."""
    multiples = range(0, steps[-1] + 1, every)
    return sorted({next(step for step in [0, *steps] if step >= most) for most in multiples})


@pytest.mark.parametrize("every", [1, 150, 300])
def test_each_multiple_of_the_timesteps_is_evaluated_once(every: int, tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "15", "--eval-timesteps", str(every))
    steps = timesteps(folder, "progress.csv")
    expected = reaching(steps, every)
    assert len(expected) > 2
    if expected[-1] != steps[-1]:
        expected.append(steps[-1])  # the last policy, which is always evaluated
    assert timesteps(folder, "evaluations.csv") == expected


@pytest.mark.parametrize("first", [2, 3, 5])
def test_a_resumed_run_evaluates_as_if_it_had_never_stopped(first: int, tmp_path: Path) -> None:
    words = "--eval-timesteps", "150", "--n-iterations"
    whole = train(tmp_path / "whole", *words, "7")
    part = train(tmp_path / "part", *words, str(first))
    assert outcome(resume(part, "--n-iterations", "7")) == outcome(whole)


def test_a_best_policy_that_a_resume_undoes_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, few = (
        tmp_path / "run",
        ["--n-directions", "4", "--delta-std", "0.1", "--n-workers", "0"],
    )
    few += ["--n-iterations", "3", "--eval-freq", "100"]
    ars.train.main(["CartPole-v1", "--run-dir", str(folder), *few])
    rows = without_times(folder / "evaluations.csv")
    assert [row[0] for row in rows[1:]] == ["0", "3"]
    assert float(rows[2][3]) > float(rows[1][3])  # the policy at the end is better
    best = (folder / "best_policy.safetensors").read_bytes()
    result = json.loads((folder / "result.json").read_text())
    resume(folder)  # nothing is left to train, and nothing is undone
    assert [path.name for path in folder.glob("best*")] == ["best_policy.safetensors"]
    assert (folder / "best_policy.safetensors").read_bytes() == best
    again = json.loads((folder / "result.json").read_text())
    assert again == {**result, "seconds": again["seconds"]}
    resume(folder, "--n-iterations", "4")
    assert "kept as best_policy_3.safetensors" in capsys.readouterr().out
    assert (folder / "best_policy_3.safetensors").read_bytes() == best
    assert [row[0] for row in without_times(folder / "evaluations.csv")[1:]] == ["0", "4"]


def test_one_grid_takes_the_place_of_the_other_on_resume(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "1")
    by_timesteps = resolve_resumed(folder, {"eval_timesteps": 150}).run
    assert (by_timesteps.eval_timesteps, by_timesteps.eval_freq) == (150, 10)
    resume(folder, "--eval-timesteps", "150", "--n-iterations", "6")
    steps = timesteps(folder, "progress.csv")
    assert set(reaching(steps, 150)[1:]) - {steps[0]} <= set(timesteps(folder, "evaluations.csv"))
    by_iterations = resolve_resumed(folder, {"eval_freq": 2}).run
    assert (by_iterations.eval_timesteps, by_iterations.eval_freq) == (None, 2)


def test_both_grids_at_once_are_refused(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "1")
    with pytest.raises(UsageError, match="`eval_timesteps` 5: has no meaning beside `eval_freq`"):
        resolve_resumed(folder, {"eval_timesteps": 5, "eval_freq": 3})
    with pytest.raises(UsageError, match="`eval_timesteps` 5: has no meaning beside `eval_freq`"):
        resolve_new("Hopper", {"eval_timesteps": 5, "eval_freq": 3})
    # A preset's is no wish of the user's.
    assert resolve_new("Hopper", {"eval_timesteps": 5}).run.eval_timesteps == 5
