"""What a training run does, leaves and stops at."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hopper_runs import SMALL, resume, start, train, wait_for_rows
from learners import outcome, without_times

import ars.evaluate
import ars.train
import envs
from ars.training.run_folder import lock
from policies import build_policy, load_policy, read_policy, save_policy


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


def test_evaluations_are_whole_episodes_where_only_rollouts_are_cut(tmp_path: Path) -> None:
    words = ["--n-iterations", "1", "--rollout-length", "5", "--preset", "course"]
    folder = train(tmp_path / "run", *words, env="HalfCheetah")
    evaluations = csv.DictReader((folder / "evaluations.csv").read_text().splitlines())
    assert {float(row["length_mean"]) for row in evaluations} == {1000.0}


def test_the_compiled_loop_changes_nothing(
    tmp_path: Path, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envs, "accelerate", lambda env: (None, None))
    monkeypatch.setattr("envs.bullet.compiled.loop.play", None)
    assert outcome(train(tmp_path / "plain", "--n-iterations", "10")) == undisturbed


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


def test_an_equal_return_is_no_better_and_reaches_a_target(tmp_path: Path) -> None:
    env = "small_worlds:ShortCorridor-v0"  # always returns 5
    folder = train(tmp_path / "a", "--n-iterations", "3", env=env)
    assert read_policy(folder / "best_policy.safetensors").training["iteration"] == 0
    train(tmp_path / "b", "--target-return", "5", "--n-iterations", "9", env=env)
    result = json.loads((tmp_path / "b" / "result.json").read_text())
    assert result["stopped"] == "target return 5 reached"


def test_what_planning_solved_is_kept_however_its_evaluation_went(tmp_path: Path) -> None:
    run = tmp_path / "run"
    ars.train.main(["Blackjack", "--algo", "value-iteration", "--run-dir", str(run)])
    with (run / "evaluations.csv").open() as file:
        returns = [float(row["return_mean"]) for row in csv.DictReader(file)]
    assert returns[-1] < max(returns)  # luck: zeros everywhere had the better ten episodes
    best, latest = (load_policy(run / f"{name}policy.safetensors") for name in ("best_", ""))
    assert (best.weights == latest.weights).all()


def test_a_run_stops_after_the_iteration_that_reaches_its_timesteps(tmp_path: Path) -> None:
    folder = train(tmp_path / "a", "--total-timesteps", "300")
    steps = [int(row[1]) for row in without_times(folder / "progress.csv")[1:]]
    assert steps[-2] < 300 <= steps[-1]


def test_a_run_stops_when_its_time_is_up(tmp_path: Path) -> None:
    folder = train(tmp_path / "a", "--time-budget", "0.5s")
    assert "time budget 0.5s used" in (folder / "result.json").read_text()


def test_a_linear_policy_to_start_from_has_no_activation(tmp_path: Path) -> None:
    path = train(tmp_path / "a", "--n-iterations", "1") / "policy.safetensors"
    file = read_policy(path)
    other = build_policy(dataclasses.replace(file.policy.spec, activation="relu"))
    other.weights, other.normalizer = file.policy.weights, file.policy.normalizer
    save_policy(path, dataclasses.replace(file, policy=other))  # as an earlier version had it
    train(tmp_path / "b", "--init-from", str(path), "--n-iterations", "1")
    hidden = ["--policy", "mlp", "--hidden-sizes", "4", "--n-iterations", "1"]
    first = train(tmp_path / "c", *hidden, "--activation", "relu")
    with pytest.raises(SystemExit):
        train(tmp_path / "d", *hidden, "--init-from", str(first), "--activation", "tanh")


def test_init_from_starts_with_a_trained_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(tmp_path / "a", "--n-iterations", "2")
    second = train(
        tmp_path / "b", "--n-iterations", "1", "--init-from", str(first / "policy.safetensors")
    )
    assert "normalises" not in capsys.readouterr().out
    words = ["--init-from", str(first / "policy.safetensors"), "--var-floor", "0.5"]
    train(tmp_path / "c", "--n-iterations", "1", *words)
    told = "--init-from: its policy normalises observations with var_floor 0.01, here 0.5"
    assert told in capsys.readouterr().out
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
