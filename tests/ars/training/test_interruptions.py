"""Workers, interrupts and signals change nothing of what a run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hopper_runs import SMALL, resume, start, train, wait_for_rows
from learners import outcome
from mortal_workers import kill_workers
from processes import session_processes

from ars.common.errors import RunError
from ars.rollout.episode import Episode
from ars.rollout.pool import LocalPool
from ars.rollout.task import Snapshot, Task
from ars.training import checkpoint


@pytest.mark.parametrize("workers", ["1", "2", "5"])
def test_the_number_of_workers_changes_nothing(
    workers: str, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "10", workers=workers)
    assert outcome(folder) == undisturbed


def test_killing_workers_changes_nothing(
    tmp_path: Path, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = kill_workers(monkeypatch, 3)
    folder = train(tmp_path / "run", "--n-iterations", "10", workers="2")
    assert len(killed) == 3
    assert outcome(folder) == undisturbed


class InterruptedPool(LocalPool):
    """Raises KeyboardInterrupt in the `moment`-th wait, as Ctrl-C would."""

    moment = 0
    waits = 0

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        return super().submit(snapshot, tasks)

    def collect(self, request: int) -> list[Episode]:
        type(self).waits += 1
        if self.waits == self.moment:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)  # the handler runs in here
        return super().collect(request)


@pytest.mark.parametrize("moment", range(1, 18, 2))
def test_an_interrupt_at_any_wait_saves_and_resumes_exactly(
    moment: int,
    tmp_path: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    InterruptedPool.moment, InterruptedPool.waits = moment, 0
    with monkeypatch.context() as patched:
        patched.setattr("ars.training.run.LocalPool", InterruptedPool)
        with pytest.raises(SystemExit) as stopped:
            train(folder, "--n-iterations", "10")
    assert stopped.value.code == 130
    assert f"--resume {folder}" in capsys.readouterr().err
    assert outcome(resume(folder)) == undisturbed


def test_a_run_that_loses_its_workers_is_saved_and_says_how_to_go_on(
    tmp_path: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class LostPool(LocalPool):
        waits = 0

        def collect(self, request: int) -> list[Episode]:
            type(self).waits += 1
            if self.waits == 5:
                raise RunError("the head is gone")
            return super().collect(request)

    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("ars.training.run.LocalPool", LostPool)
        with pytest.raises(SystemExit) as stopped:
            train(folder, "--n-iterations", "10")
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        f"error: the head is gone; to go on: python -m ars.train --resume {folder} --n-workers 0\n"
    )
    assert outcome(resume(folder)) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_with_130_and_a_checkpoint(
    number: signal.Signals, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = start(folder, "--n-iterations", "100000")
    wait_for_rows(folder, 2, process)
    process.send_signal(number)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    go_on = f"python -m ars.train --resume {folder} --n-workers 0"
    assert err == f"interrupted and saved; to go on: {go_on}\n"
    assert checkpoint.exists(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_signals_while_ray_starts_leave_no_process(seconds: float, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ars.train", "Hopper", "--run-dir", str(tmp_path / "run")]
    with subprocess.Popen(
        [*command, "--n-workers", "2", *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("run folder")
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.startswith("interrupted")
    assert err.count("\n") == 1
    deadline = time.monotonic() + 10
    while session_processes(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert session_processes(process.pid) == []
