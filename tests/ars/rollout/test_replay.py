"""A rollout that always fails is named with the command that plays it again, and that does."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest
from rollouts import make_spec

from ars import train
from ars.common.seeding import Stream
from ars.rollout.task import Task, task_seed


def test_the_command_that_is_printed_meets_the_failure_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = task_seed(dataclasses.replace(make_spec(), seed=0), Task(Stream.TRAINING, 1, 2, -1))
    flags = f"--n-workers 0 --n-directions 4 --n-iterations 3 --run-dir {tmp_path / 'run'}"
    command = ["faulty_envs:Raises-v0", "--env-kwargs", f"seed={seed}", *flags.split()]
    for _ in range(2):
        with pytest.raises(SystemExit) as exit_:
            train.main(command)
        assert exit_.value.code == 1
        (line,) = (text for text in capsys.readouterr().err.splitlines() if "error:" in text)
        assert "iteration 2, direction 2, sign -: ValueError: the pole snapped" in line
        again = shlex.split(line.partition("to play it again: ")[2])
        assert again[:3] == ["python", "-m", "ars.train"] and again[-2:] == ["--n-workers", "0"]
        command = again[3:]
