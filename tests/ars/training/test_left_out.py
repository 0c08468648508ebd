"""`on_nonfinite exclude`: what was not finite is left out, of training and of evaluations."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from faulty_envs import Raises
from hopper_runs import resume, train

from ars.common.seeding import Stream, reset_seed
from ars.training.verification import verify_run

ENV = "faulty_envs:Corrupts-v0"
WORDS = ("--on-nonfinite", "exclude", "--eval-episodes", "3", "--env-kwargs", "what=reward")


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of a log."""
    return list(csv.DictReader((folder / name).read_text().splitlines()))


@pytest.fixture
def from_now_on(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list of the resets so far; each is of a faulty episode where it holds more than 20."""
    seen: list[int] = []
    reset = Raises.reset

    def counted(self: Any, **kwargs: Any) -> Any:
        found = reset(self, **kwargs)
        seen.append(1)
        self._armed = len(seen) > 20
        return found

    monkeypatch.setattr(Raises, "reset", counted)
    return seen


@pytest.mark.usefixtures("from_now_on")
def test_a_run_of_nothing_but_faults_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--total-timesteps", "3000", "--eval-freq", "1000", "--n-directions", "3"]
    with pytest.raises(SystemExit):
        train(tmp_path / "run", *words, *WORDS, env=ENV)
    said = capsys.readouterr()
    assert re.search(r"error: evaluation after iteration \d+, episode 0: reward 0 is nan", said.err)
    assert "no step where every direction is left out" in said.out
    last = rows(tmp_path / "run", "progress.csv")[-1]
    assert int(last["timesteps"]) >= 3000 and int(last["excluded"]) == 3


def test_steps_of_directions_left_out_count(tmp_path: Path) -> None:
    seed = reset_seed(0, Stream.TRAINING, 1, 0, 0)  # of iteration 2, direction 0, sign +
    words = ["--n-iterations", "3", "--n-directions", "4", *WORDS]
    faulty = train(tmp_path / "faulty", *words, f"seed={seed}", env=ENV)
    whole = train(tmp_path / "whole", *words, env=ENV)
    found, known = rows(faulty, "progress.csv")[1], rows(whole, "progress.csv")[1]
    assert found["excluded"] == "1" and found["episodes"] == known["episodes"] == "16"
    assert verify_run(str(faulty), share=1.0).n_rollouts == 24


@pytest.mark.parametrize("stream", [Stream.EVALUATION, Stream.FINAL_EVALUATION])
def test_an_evaluation_leaves_episodes_out(
    stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--eval-freq", "1", "--n-iterations", "2", *WORDS]
    folder = train(tmp_path / "run", *words, f"seed={reset_seed(0, stream, 1)}", env=ENV)
    evaluations = rows(folder, "evaluations.csv")
    final = json.loads((folder / "result.json").read_text())["final_evaluation"]
    printed = capsys.readouterr()
    if stream is Stream.EVALUATION:
        assert [row["episodes"] for row in evaluations] == ["2", "2", "2"]
        assert [row["best"] for row in evaluations] == ["1", "0", "0"]  # none is without faults
        assert final["episodes"] == 3
        told = "evaluation after iteration 1, episode 1: reward 0 is nan; the episode is left out"
    else:
        assert [row["episodes"] for row in evaluations] == ["3", "3", "3"]
        assert final["episodes"] == 2
        told = "final evaluation, episode 1: reward 0 is nan; the episode is left out"
    assert told in printed.out + printed.err
    resume(folder, "--n-iterations", "3")
    assert len(rows(folder, "evaluations.csv")) == 4


def test_no_evaluation_with_faults_reaches_a_target(tmp_path: Path) -> None:
    seed = reset_seed(0, Stream.EVALUATION, 1)
    words = ["--eval-freq", "1", *WORDS, f"seed={seed}"]
    folder = train(tmp_path / "run", "--n-iterations", "1", *words, env=ENV)
    assert [row["best"] for row in rows(folder, "evaluations.csv")] == ["1", "0"]
    resume(folder, "--n-iterations", "2", "--target-return", "-1000")
    assert len(rows(folder, "progress.csv")) == 2  # no evaluation with faults reaches a target
