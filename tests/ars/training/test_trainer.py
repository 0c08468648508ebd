"""Training leaves the same bytes however it is interrupted, resumed or spread over workers."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from learners import outcome, without_times
from processes import session_processes

import ars.evaluate
import ars.train
import envs
from ars.common.errors import RunError
from ars.distributed.pool import RayPool
from ars.rollout.episode import Episode
from ars.rollout.pool import LocalPool
from ars.rollout.task import Snapshot, Task
from ars.training import checkpoint
from ars.training.run_folder import lock

# Untrained Hoppers fall within some 20 steps: real physics, milliseconds an iteration.
SMALL = ["--n-directions", "3", "--eval-freq", "2", "--eval-episodes", "2", "--save-freq", "3"]


def train(folder: Path, *words: str, env: str = "Hopper", workers: str = "0") -> Path:
    """Run the command in this process."""
    ars.train.main([env, "--run-dir", str(folder), "--n-workers", workers, *SMALL, *words])
    return folder


def resume(folder: Path, *words: str) -> Path:
    ars.train.main(["--resume", str(folder), *words])
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return outcome(train(tmp_path_factory.mktemp("run") / "whole", "--n-iterations", "10"))


def test_a_run_leaves_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "3", "--seed", "5")
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.json",
        "progress.csv",
        "evaluations.csv",
        "policy.safetensors",
        "best_policy.safetensors",
        "result.json",
        "checkpoint",
    }
    config = json.loads((folder / "config.json").read_text())
    assert (config["env_id"], config["seed"], config["config"]["shift"]) == ("Hopper", 5, 1.0)
    assert [row[0] for row in without_times(folder / "progress.csv")] == ["iteration", *"123"]
    assert [row[0] for row in without_times(folder / "evaluations.csv")] == ["iteration", *"023"]
    printed = capsys.readouterr().out
    assert f"python -m ars.render {folder}" in printed
    assert "3 iterations done" in printed


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    assert outcome(train(tmp_path / "again", "--n-iterations", "10")) == undisturbed
    other = outcome(train(tmp_path / "other", "--n-iterations", "10", "--seed", "1"))
    assert other["policy"] != undisturbed["policy"]


def test_evaluations_may_be_longer_than_training_s_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = {"--rollout-length": 5, "--eval-length": 9}
    words = [str(word) for pair in lengths.items() for word in pair]
    folder = train(tmp_path / "run", "--n-iterations", "2", *words, env="HalfCheetah")
    (row, *_) = csv.DictReader((folder / "progress.csv").read_text().splitlines())
    assert int(row["timesteps"]) == int(row["episodes"]) * 5
    evaluations = csv.DictReader((folder / "evaluations.csv").read_text().splitlines())
    assert {float(row["length_mean"]) for row in evaluations} == {9.0}
    final = json.loads((folder / "result.json").read_text())["final_evaluation"]
    capsys.readouterr()
    ars.evaluate.main([str(folder), "--episodes", "2", "--json"])
    again = json.loads(capsys.readouterr().out)
    assert again["length_mean"] == final["length_mean"] == 9.0
    assert again["return_mean"] == final["return_mean"]


def test_evaluations_are_as_long_as_rollouts_where_only_these_are_given(tmp_path: Path) -> None:
    words = ["--n-iterations", "1", "--rollout-length", "5"]  # the preset evaluates at 1000
    folder = train(tmp_path / "run", *words, env="HalfCheetah")
    evaluations = csv.DictReader((folder / "evaluations.csv").read_text().splitlines())
    assert {float(row["length_mean"]) for row in evaluations} == {5.0}


def test_the_compiled_loop_changes_nothing(
    tmp_path: Path, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envs, "accelerate", lambda env: (None, None))
    monkeypatch.setattr("envs.bullet.compiled.loop.play", None)
    assert outcome(train(tmp_path / "plain", "--n-iterations", "10")) == undisturbed


@pytest.mark.parametrize("first", [1, 2, 4, 6, 9])
def test_stopping_and_resuming_changes_nothing(
    first: int, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", str(first))
    assert outcome(resume(folder, "--n-iterations", "10")) == undisturbed


@pytest.mark.parametrize("workers", ["1", "2", "5"])
def test_the_number_of_workers_changes_nothing(
    workers: str, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "10", workers=workers)
    assert outcome(folder) == undisturbed


def test_killing_workers_changes_nothing(
    tmp_path: Path, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    class MortalPool(RayPool):
        def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
            request = super().submit(snapshot, tasks)
            alive = [pid for pid in self.pids() if pid not in killed]
            if alive and len(killed) < 3:
                killed.append(alive[0])
                os.kill(alive[0], signal.SIGKILL)
            return request

    monkeypatch.setattr("ars.distributed.pool.RayPool", MortalPool)
    folder = train(tmp_path / "run", "--n-iterations", "10", workers="2")
    assert len(killed) == 3
    assert outcome(folder) == undisturbed


def test_mlp_and_plain_gymnasium_environments_resume_exactly_too(tmp_path: Path) -> None:
    words = ["--policy", "mlp", "--hidden-sizes", "5", "--rollout-length", "30"]
    whole = outcome(train(tmp_path / "a", *words, "--n-iterations", "4", env="CartPole-v1"))
    part = train(tmp_path / "b", *words, "--n-iterations", "3", env="CartPole-v1")
    assert outcome(resume(part, "--n-iterations", "4")) == whole


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
        patched.setattr("ars.rollout.pool.LocalPool", InterruptedPool)
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
        patched.setattr("ars.rollout.pool.LocalPool", LostPool)
        with pytest.raises(SystemExit) as stopped:
            train(folder, "--n-iterations", "10")
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        f"error: the head is gone; to go on: python -m ars.train --resume {folder}\n"
    )
    assert outcome(resume(folder)) == undisturbed


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
        f"python -m ars.train --resume {folder}\n"
    )
    assert 3 < len(without_times(folder / "progress.csv")) < 100
    assert outcome(resume(folder)) == outcome(train(tmp_path / "whole", *length))


def test_tensorboard_reads_what_was_logged(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = train(tmp_path / "run", "--n-iterations", "3")
    resume(folder, "--n-iterations", "5")
    found = EventAccumulator(str(folder)).Reload()
    rows = without_times(folder / "progress.csv")[1:]
    returns = found.Scalars("rollout/ep_rew_mean")
    assert [event.step for event in returns] == [int(row[1]) for row in rows]
    assert found.Scalars("time/iterations")[-1].value == 5.0
    assert "eval/mean_reward" in found.Tags()["scalars"]


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ars.train", "Hopper", "--run-dir", str(folder), *SMALL]
    return subprocess.Popen(
        [*command, "--n-workers", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(folder: Path, rows: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        path = folder / "progress.csv"
        if path.exists() and path.read_text().count("\n") > rows:
            return
        time.sleep(0.005)
    raise AssertionError(f"no {rows} rows: {process.communicate(timeout=10)}")


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_with_130_and_a_checkpoint(
    number: signal.Signals, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = start(folder, "--n-iterations", "100000")
    wait_for_rows(folder, 2, process)
    process.send_signal(number)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, (out, err)
    assert err == f"interrupted and saved; to go on: python -m ars.train --resume {folder}\n"
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


def test_a_run_stops_at_a_target_return_and_resumes_to_the_same_place(tmp_path: Path) -> None:
    words = ["--target-return", "-1e9", "--n-iterations", "9"]
    folder = train(tmp_path / "a", *words)
    assert json.loads((folder / "result.json").read_text())["stopped"] == (
        "target return -1e+09 reached"
    )
    assert len(without_times(folder / "progress.csv")) == 2
    resume(folder)
    assert len(without_times(folder / "progress.csv")) == 2
    # Another target is another question.
    resume(folder, "--target-return", "1e9", "--n-iterations", "3")
    assert len(without_times(folder / "progress.csv")) == 4
    resume(folder, "--target-return", "-1e8")
    assert len(without_times(folder / "progress.csv")) == 4


def test_a_run_stops_after_the_iteration_that_reaches_its_timesteps(tmp_path: Path) -> None:
    folder = train(tmp_path / "a", "--total-timesteps", "300")
    steps = [int(row[1]) for row in without_times(folder / "progress.csv")[1:]]
    assert steps[-2] < 300 <= steps[-1]


def test_a_run_stops_when_its_time_is_up(tmp_path: Path) -> None:
    folder = train(tmp_path / "a", "--time-budget", "0.5s")
    assert "time budget 0.5s used" in (folder / "result.json").read_text()


def test_flags_that_are_repeated_on_resume_change_nothing(tmp_path: Path) -> None:
    words = ["--variant", "v2-t", "--n-directions", "4", "--n-top", "1"]
    folder = train(tmp_path / "a", *words, "--n-iterations", "1")
    resume(folder, "--n-directions", "4", "--n-iterations", "3")
    assert json.loads((folder / "config.json").read_text())["config"]["n_top"] == 1
    whole = train(tmp_path / "b", *words, "--n-iterations", "3")
    assert outcome(folder) == outcome(whole)


def test_init_from_starts_with_a_trained_policy(tmp_path: Path) -> None:
    first = train(tmp_path / "a", "--n-iterations", "2")
    second = train(
        tmp_path / "b", "--n-iterations", "1", "--init-from", str(first / "policy.safetensors")
    )
    (first / "policy.safetensors").rename(first / "moved")  # a run that goes on needs it no more
    resume(second, "--n-iterations", "1")
    norms = [float(without_times(folder / "progress.csv")[-1][11]) for folder in (first, second)]
    assert without_times(first / "progress.csv")[0][11] == "weight_norm"
    assert norms[1] > norms[0] / 2
    assert (
        without_times(second / "evaluations.csv")[1] != without_times(first / "evaluations.csv")[1]
    )


def test_two_runs_cannot_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    process = start(folder, "--n-iterations", "100000")
    wait_for_rows(folder, 3, process)
    with pytest.raises(SystemExit) as stopped:
        resume(folder, "--n-iterations", "1")
    process.kill()
    process.communicate()
    assert stopped.value.code == 1
    assert "another process is training in this folder" in capsys.readouterr().err


def test_a_folder_that_is_being_let_go_is_waited_for(tmp_path: Path) -> None:
    held = threading.Event()

    def hold() -> None:
        with lock(tmp_path):
            held.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with lock(tmp_path):
        holder.join()


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


def test_the_previous_checkpoint_goes_on_exactly(
    tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "7")
    (folder / "checkpoint" / "previous.safetensors").replace(
        folder / "checkpoint" / "state.safetensors"
    )
    assert outcome(resume(folder, "--n-iterations", "10")) == undisturbed


def test_linear_training_never_loads_torch_and_in_process_training_never_ray(
    tmp_path: Path,
) -> None:
    code = (
        "import sys, ars.train\n"
        "ars.train.main(sys.argv[1:])\n"
        "print('loaded', sorted({'torch', 'ray'} & set(sys.modules)))\n"
    )
    words = ["Hopper", "--n-workers", "0", "--n-iterations", "1", *SMALL]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--run-dir", tmp_path / "run"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("loaded []\n")
    assert done.stderr == ""
