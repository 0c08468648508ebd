"""Episodes are as long as the environment lets them be, unless they are cut, which is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stored_settings import edit_settings

import ars.evaluate
import ars.train
from ars.algorithms import ALGORITHMS
from ars.algorithms.ars import ARSConfig
from ars.common.settings import make_config

LONG, ENDLESS = "small_worlds:LongCorridor-v0", "small_worlds:Corridor-v0"
FEW = {
    "ars": ["--n-directions", "1"],
    "ppo": ["--n-steps", "8", "--batch-size", "8"],
}


def train(folder: Path, env: str, algo: str, *words: str) -> dict[str, Any]:
    """Train for an iteration; returns the final evaluation."""
    few = ["--n-workers", "0", "--n-iterations", "1", "--eval-episodes", "1", *FEW[algo]]
    ars.train.main([env, "--algo", algo, "--run-dir", str(folder), *few, *words])
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())["final_evaluation"]
    return result


def stored(folder: Path) -> tuple[int, int | None]:
    config = json.loads((folder / "config.json").read_text())["config"]
    return config["rollout_length"], config["eval_length"]


@pytest.mark.parametrize("algo", FEW)
def test_the_environment_s_own_limit_holds(
    algo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    final = train(tmp_path / "run", LONG, algo)
    assert final["length_mean"] == 1500
    assert stored(tmp_path / "run") == (1500, 1500)
    said = capsys.readouterr().out
    assert "evaluation: that of 1 episode of the policy itself, at most 1,500 steps each" in said
    assert "time limit" not in said
    ars.evaluate.main([str(tmp_path / "run"), "--episodes", "1", "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out)["length_mean"] == 1500
    assert err == ""


def test_an_environment_without_a_limit_is_cut_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    final = train(tmp_path / "run", ENDLESS, "ars")
    assert final["length_mean"] == 1000
    assert (
        f"{ENDLESS} has no time limit of its own: episodes end after 1,000 steps at the latest; "
        "--rollout-length sets another limit\n"
    ) in capsys.readouterr().out
    ars.evaluate.main([str(tmp_path / "run"), "--episodes", "2", "--json"])
    assert capsys.readouterr().err == (
        f"warning: {ENDLESS} has no time limit of its own: 2 of 2 episodes cut at 1,000 steps, as "
        "in training\n"
    )


def test_who_cuts_training_alone_is_told_how_the_two_returns_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    final = train(tmp_path / "run", LONG, "ars", "--rollout-length", "30")
    assert final["length_mean"] == 1500
    assert (
        "return: the mean of training episodes of perturbed policies, at most 30 steps each; "
        "evaluation: that of 1 episode of the policy itself, at most 1,500 steps each\n"
    ) in capsys.readouterr().out


def test_who_cuts_evaluations_is_told_in_training_and_evaluating(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    final = train(tmp_path / "run", LONG, "ars", "--eval-length", "40")
    assert final["length_mean"] == 40
    said = "evaluations are cut at 40 of the environment's 1,500 steps"
    assert said in capsys.readouterr().out
    ars.evaluate.main([str(tmp_path / "run"), "--episodes", "1"])
    assert capsys.readouterr().err == (
        "warning: episodes are cut at 40 steps, as in the evaluations of training; the "
        "environment's own limit is 1,500\n"
    )


def test_a_stored_run_keeps_the_lengths_that_it_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs of earlier versions stored 1,000, and None for evaluations as long as rollouts."""
    folder = tmp_path / "run"
    train(folder, LONG, "ars", "--rollout-length", "1000", "--eval-length", "1000")
    edit_settings(folder, lambda settings: settings.update(eval_length=None))
    capsys.readouterr()
    ars.train.main(["--resume", str(folder), "--n-iterations", "2"])
    assert stored(folder) == (1000, None)
    assert "evaluations are cut at 1,000 of the environment's 1,500" in capsys.readouterr().out
    result = json.loads((folder / "result.json").read_text())
    assert result["final_evaluation"]["length_mean"] == 1000


@pytest.mark.parametrize("algo", ALGORITHMS)
@pytest.mark.parametrize(
    ("given", "time_limit", "lengths"),
    [
        ({}, None, (1000, 1000)),
        ({}, 500, (500, 500)),
        ({"rollout_length": 800}, 500, (800, 500)),  # which the environment cuts
        ({}, 1000, (1000, 1000)),
        ({}, 5000, (5000, 5000)),
        ({"rollout_length": 300}, 5000, (300, 5000)),
        ({"rollout_length": 300}, None, (300, 300)),
        ({"rollout_length": 300, "eval_length": 400}, 5000, (300, 400)),
        ({"eval_length": 400}, 5000, (5000, 400)),
        ({"rollout_length": 27_000}, None, (27_000, 27_000)),
    ],
)
def test_lengths_follow_from_what_is_given_and_the_environment_s_limit(
    algo: str, given: dict[str, int], time_limit: int | None, lengths: tuple[int, int]
) -> None:
    config = make_config(ALGORITHMS[algo].Config, given).within(time_limit)
    assert (config.rollout_length, config.eval_length) == lengths


def test_a_stored_run_without_a_length_means_1000_steps() -> None:
    assert make_config(ARSConfig, {}).most_steps == 1000
