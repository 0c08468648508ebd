"""A run that stops, however it does, goes on to the same bytes as one that never stopped."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hopper_runs import SMALL, resume, start, train, wait_for_rows
from learners import outcome, without_times
from pictures import refusal

import ars.train


@pytest.mark.parametrize("first", [1, 2, 4, 6, 9])
def test_stopping_and_resuming_changes_nothing(
    first: int, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", str(first))
    assert outcome(resume(folder, "--n-iterations", "10")) == undisturbed


def test_mlp_and_plain_gymnasium_environments_resume_exactly_too(tmp_path: Path) -> None:
    words = ["--policy", "mlp", "--hidden-sizes", "5", "--rollout-length", "30"]
    whole = outcome(train(tmp_path / "a", *words, "--n-iterations", "4", env="CartPole-v1"))
    part = train(tmp_path / "b", *words, "--n-iterations", "3", env="CartPole-v1")
    assert outcome(resume(part, "--n-iterations", "4")) == whole


def test_flags_that_are_repeated_on_resume_change_nothing(tmp_path: Path) -> None:
    words = ["--variant", "v2-t", "--n-directions", "4", "--n-top", "1"]
    folder = train(tmp_path / "a", *words, "--n-iterations", "1")
    resume(folder, "--n-directions", "4", "--n-iterations", "3")
    assert json.loads((folder / "config.json").read_text())["config"]["n_top"] == 1
    whole = train(tmp_path / "b", *words, "--n-iterations", "3")
    assert outcome(folder) == outcome(whole)


def test_a_run_without_a_preset_goes_on_without_one(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "--preset", "none", "--n-iterations", "1")
    resume(run, "--preset", "none", "--n-iterations", "2")
    with pytest.raises(SystemExit):
        resume(run, "--preset", "Hopper", "--n-iterations", "3")


def test_the_result_of_a_run_that_goes_on_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "2")
    resume(folder, "--n-iterations", "2")  # nothing is left to do: it stays
    assert (folder / "result.json").is_file()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ars.training.trainer.Trainer._finish", interrupt)
        with pytest.raises(SystemExit):
            resume(folder, "--n-iterations", "4")
    assert not (folder / "result.json").exists()
    resume(folder)
    assert json.loads((folder / "result.json").read_text())["iterations"] == 4


def test_what_has_ended_without_a_checkpoint_is_not_begun_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "1")
    shutil.rmtree(folder / "checkpoint")
    before = (folder / "progress.csv").read_bytes()
    words = ["--resume", folder, "--n-iterations", "2"]
    status, line = refusal(ars.train.main, words, capsys)
    assert status == 2
    assert line == f"error: --resume {folder}: it has ended and kept no checkpoint"
    assert (folder / "progress.csv").read_bytes() == before


FULL_DISK = """
import resource, sys
from ars.train import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # of a file
main(sys.argv[1:])
"""


def test_a_run_that_cannot_write_ends_in_one_line_and_goes_on_exactly(tmp_path: Path) -> None:
    folder, length = tmp_path / "run", ["--n-iterations", "100"]
    command = ["Hopper", "--run-dir", str(folder), "--n-workers", "0", *SMALL, *length]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *command], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {folder}: cannot be written: File too large; to go on: "
        f"python -m ars.train --resume {folder} --n-workers 0\n"
    )
    assert 3 < len(without_times(folder / "progress.csv")) < 100
    assert outcome(resume(folder)) == outcome(train(tmp_path / "whole", *length))


def test_a_damaged_checkpoint_is_refused_and_the_previous_one_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "7")
    state = folder / "checkpoint" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-3])
    with pytest.raises(SystemExit) as stopped:
        resume(folder, "--n-iterations", "10")
    assert stopped.value.code == 1
    message = capsys.readouterr().err
    assert str(state) in message
    assert "previous.safetensors" in message
    assert message.count("\n") == 1


def test_a_file_system_may_have_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    folder = train(tmp_path / "run", "--n-iterations", "3", "--save-freq", "1")
    assert (folder / "checkpoint" / "previous.safetensors").is_file()


def test_the_previous_checkpoint_goes_on_exactly(
    tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "7")
    (folder / "checkpoint" / "previous.safetensors").replace(
        folder / "checkpoint" / "state.safetensors"
    )
    assert outcome(resume(folder, "--n-iterations", "10")) == undisturbed


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_a_killed_run_resumes_exactly(rows: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, "--n-iterations", "2000")
    wait_for_rows(folder, rows, process)
    process.kill()
    process.communicate()
    resume(folder, "--n-iterations", "30")
    whole = train(tmp_path / "whole", "--n-iterations", "30")
    assert outcome(folder) == outcome(whole)


def test_a_refused_resume_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "5")
    log = folder / "progress.csv"
    log.write_bytes(log.read_bytes().replace(b"\n5,", b"\n6,"))

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    before = files()
    with pytest.raises(SystemExit):
        resume(folder, "--n-iterations", "20")
    assert "changed since the checkpoint was saved; cannot go on" in capsys.readouterr().err
    assert files() == before


def test_a_resume_that_trains_nothing_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "2")
    assert "nothing is left to train" not in capsys.readouterr().out
    resume(folder, "--total-timesteps", "10")
    assert "nothing is left to train: 10 timesteps done (the run has " in capsys.readouterr().out
    resume(folder, "--n-iterations", "3")
    assert "nothing is left to train" not in capsys.readouterr().out
