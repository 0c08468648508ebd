"""The tape: what is on it, that no byte of it changes unseen, and what is rebuilt from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hopper_runs import resume, train
from learners import outcome
from paths import OLD_RUNS
from tapes import forge_header

import ars.evaluate
import ars.train
from ars.api import UsageError, evaluate, load
from ars.training import checkpoint
from ars.training.finished import Run
from ars.training.rebuild import chosen_policy, make_algorithm, replayed, training_moments
from ars.training.run_folder import TAPE
from ars.training.tape import read_tape
from policies import FileError, read_policy

IDENTITY = "small_worlds:IdentityBox-v0"
FEW = ("--n-directions", "2", "--n-iterations", "2", "--variant", "v2")


@pytest.fixture(scope="module")
def hopper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ten iterations; tests that change it take a copy."""
    return train(tmp_path_factory.mktemp("tape") / "run", "--n-iterations", "10")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tape") / "small"
    return train(folder, *FEW, env=IDENTITY)


def test_a_record_holds_counters_scores_and_statistics(hopper: Path) -> None:
    tape, run = read_tape(hopper / TAPE), Run.open(hopper)
    assert tape.records.dtype.names is not None
    assert set(tape.records.dtype.names) == {
        *("timesteps", "episodes", "scores", "observations", "mean", "m2", "digest")
    }
    assert tape.timesteps == [0, *run.progress["timesteps"].tolist()]
    assert tape.records["episodes"].tolist() == run.progress["episodes"].tolist()
    assert tape.records["scores"].shape == (10, 6)
    # Hopper's preset subtracts 1 from each step's reward.
    returns = tape.records["scores"].mean(axis=1) + run.progress["length_mean"]
    assert returns == pytest.approx(run.progress["return_mean"])
    # It has v2: all observations acted on are in the statistics.
    assert tape.records["observations"].tolist() == tape.timesteps[1:]
    normalizer = run.latest_policy.normalizer
    assert normalizer is not None
    assert tape.records["mean"][-1].tolist() == normalizer.mean.tolist()


def test_without_a_normaliser_there_are_no_statistics_on_it(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", *FEW, "--variant", "v1", env=IDENTITY)
    names = read_tape(folder / TAPE).header.fields.names
    assert names == ("timesteps", "episodes", "scores")


def test_the_header_says_what_the_run_is_and_what_it_began_on(hopper: Path) -> None:
    header = read_tape(hopper / TAPE).header
    assert header.run == checkpoint.load(hopper).values["run"]
    assert header.first == 0
    assert {"cpu", "libc", "versions"} <= header.machine.keys()
    assert {"numpy", "pybullet"} <= header.machine["versions"].keys()


def test_no_byte_changes_unseen(small: Path, tmp_path: Path) -> None:
    data, path = (small / TAPE).read_bytes(), tmp_path / TAPE
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1 << (index % 8)
        path.write_bytes(changed)
        with pytest.raises(FileError, match=r"tape\.bin"):
            read_tape(path)


def test_a_tape_that_ends_within_a_record_is_damaged(small: Path, tmp_path: Path) -> None:
    data, path, tape = (small / TAPE).read_bytes(), tmp_path / TAPE, read_tape(small / TAPE)
    whole = {len(tape.header.encoded) + k * tape.records.dtype.itemsize for k in range(3)}
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if length in whole:
            assert len(read_tape(path).records) == sorted(whole).index(length)
            continue
        with pytest.raises(FileError, match=r"damaged|not a tape"):
            read_tape(path)


@pytest.mark.parametrize(
    "edit",
    [
        {"format": 2},
        {"record": [["timesteps", "<f4", []]]},
        {"record": [["timesteps", "<i8", [-1]]]},
        {"record": [["scores", "<f8", [2]]]},
        {"arrays": [["weights", "<f8", [10**12]]]},
        {"arrays": [["weights", "<f8", [10**30]]]},
        {"record": [["timesteps", "<i8", [10**30]]]},
        {"arrays": 3},
        {"start": {"iteration": -1, "timesteps": 0}},
        {"policy": None},
    ],
    ids=str,
)
def test_a_header_that_makes_no_sense_is_refused(
    edit: dict[str, Any], small: Path, tmp_path: Path
) -> None:
    path = tmp_path / TAPE
    shutil.copy(small / TAPE, path)
    forge_header(path, lambda document: document.update(edit))
    with pytest.raises(FileError, match="not a usable tape"):
        read_tape(path)


@pytest.mark.parametrize(
    "edit",
    [
        {"algo": "dqn"},
        {"algo": "none"},
        {"n_directions": 0},
        {"policy": "cnn"},
        {"hidden_sizes": [3], "policy": "mlp"},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(
    edit: dict[str, Any], small: Path, tmp_path: Path
) -> None:
    path = tmp_path / TAPE
    shutil.copy(small / TAPE, path)
    forge_header(path, lambda document: document["run"].update(edit))
    tape = read_tape(path)
    with pytest.raises(FileError, match="not a usable tape"):
        make_algorithm(tape.header, path)


# What is rebuilt


@pytest.mark.parametrize("run", ["hopper", "small"])
def test_what_is_rebuilt_is_what_the_run_left(run: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(run)
    tape = read_tape(folder / TAPE)
    algorithm = make_algorithm(tape.header, tape.path)
    rows = list(replayed(tape, algorithm))
    stored, found = checkpoint.load(folder), algorithm.state()
    assert found.values == stored.values["algorithm"]
    for name, array in found.arrays.items():
        assert array.tobytes() == stored.arrays[name].tobytes(), name
    progress = Run.open(folder).progress
    for name in rows[1]:
        assert [row[name] for row in rows[1:]] == progress[name].tolist(), name
    assert {"length_mean", "sigma_r", "step_norm", "weight_norm", "excluded"} <= rows[1].keys()
    # Where no shift is subtracted the scores are the returns.
    assert ({"return_mean", "return_max", "return_top_mean"} <= rows[1].keys()) == (run == "small")


@pytest.mark.parametrize("n", [0, 1, 4, 9, 10])
def test_at_names_the_policy_of_a_run_that_stopped_there(
    n: int, hopper: Path, tmp_path: Path
) -> None:
    steps = read_tape(hopper / TAPE).timesteps
    moments = [steps[n]] if n == 10 else [steps[n], steps[n + 1] - 1]
    found = [chosen_policy(str(hopper), at=moment).file for moment in moments]
    for file in found:
        assert file.training["iteration"] == n
    if n == 0:
        assert not found[0].policy.weights.any()
        return
    stopped = read_policy(train(tmp_path / "run", "--n-iterations", str(n)) / "policy.safetensors")
    for file in found:
        assert (file.env_id, file.training) == (stopped.env_id, stopped.training)
        assert file.policy.spec == stopped.policy.spec
        assert file.policy.weights.tobytes() == stopped.policy.weights.tobytes()
        ours, theirs = file.policy.normalizer, stopped.policy.normalizer
        assert ours is not None and theirs is not None
        assert ours.mean.tobytes() == theirs.mean.tobytes()
        assert ours.var.tobytes() == theirs.var.tobytes()
        assert (ours.count, ours.rule) == (theirs.count, theirs.rule)


def test_at_beyond_the_end_is_the_latest_policy(hopper: Path) -> None:
    latest, rebuilt = load(hopper, latest=True), load(hopper, at=10**9)
    assert latest.weights.tobytes() == rebuilt.weights.tobytes()


def test_evaluate_takes_at(hopper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = read_tape(hopper / TAPE).timesteps
    ars.evaluate.main([str(hopper), "--at", str(steps[3]), "--episodes", "2"])
    said = capsys.readouterr().out
    assert f"policy from {hopper / TAPE} (iteration 3, {steps[3]:,} timesteps)" in said
    assert evaluate(hopper, episodes=1, at=steps[3])["iteration"] == 3


def test_moments_are_spread_over_the_training(hopper: Path) -> None:
    steps = read_tape(hopper / TAPE).timesteps
    moments = training_moments(str(hopper), 4)
    found = [moment.timesteps for moment in moments]
    assert len(found) == 4 and (found[0], found[-1]) == (0, steps[-1])
    assert found == sorted(found) and set(found) <= set(steps)
    assert len(training_moments(str(hopper), 100)) == len(steps)


def test_where_there_is_no_tape_at_is_refused(tmp_path: Path, hopper: Path) -> None:
    deep = str(OLD_RUNS["dqn"])
    for run, at, told in (
        (deep, 5, r"`at` 5: \S+dqn has no tape\.bin; ARS, PGPE"),
        ("Ant", 5, r"`at` 5: Ant has no tape\.bin; ARS, PGPE"),
        (str(hopper / "policy.safetensors"), 5, "`at` 5: .* is one policy"),
        (str(hopper), -1, r"`at` -1: the tape of \S+ begins at 0 timesteps"),
        ("nowhere", 5, "no run folder, policy file or shipped policy"),
    ):
        with pytest.raises(UsageError, match=told):
            load(run, at=at)
    for other in ("500k", 1.5, True):
        with pytest.raises(UsageError, match=f"`at` {other}: must be a whole number"):
            load(hopper, at=other)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`at` 5: has no meaning beside `latest`"):
        load(hopper, latest=True, at=5)
    with pytest.raises(UsageError, match="`at` 5: a policy has no tape"):
        evaluate(load(hopper), at=5, env="Hopper")


# Resuming


def test_a_resumed_run_has_the_tape_of_one_that_never_stopped(hopper: Path, tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "4")
    resume(folder, "--n-iterations", "10")
    assert (folder / TAPE).read_bytes() == (hopper / TAPE).read_bytes()


def test_what_is_behind_the_checkpoint_is_cut_off(hopper: Path, tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "4")
    with (folder / TAPE).open("ab") as file:
        file.write(b"half a record")
    resume(folder, "--n-iterations", "10")
    assert (folder / TAPE).read_bytes() == (hopper / TAPE).read_bytes()


def test_a_run_of_an_earlier_version_begins_a_tape_where_it_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUNS["ars-halfcheetah"], folder)
    before = checkpoint.load(folder).values["algorithm"]
    words = ["--n-iterations", str(before["iteration"] + 2), "--n-workers", "0"]
    ars.train.main(["--resume", str(folder), *words])
    tape = read_tape(folder / TAPE)
    assert (tape.header.first, len(tape.records)) == (before["iteration"], 2)
    assert tape.timesteps[0] == before["timesteps"]
    latest = read_policy(folder / "policy.safetensors").policy
    rebuilt = load(folder, at=tape.timesteps[-1])
    assert rebuilt.weights.tobytes() == latest.weights.tobytes()
    with pytest.raises(UsageError, match=f"begins at {before['timesteps']:,} timesteps"):
        load(folder, at=before["timesteps"] - 1)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)


def rename_field(path: Path) -> None:
    def edit(header: dict[str, Any]) -> None:
        header["record"] = [[n.replace("scores", "points"), *kind] for n, *kind in header["record"]]

    forge_header(path, edit)


def begin_later(path: Path) -> None:
    forge_header(path, lambda header: header["start"].update(iteration=1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (damage, "the record of iteration 2 does not match its digest"),
        (rename_field, "its records hold other things than this run's"),
        (begin_later, "ends after 3 iterations, the checkpoint is of 2"),
    ],
)
def test_a_tape_that_is_not_the_run_s_is_not_gone_on_with(
    change: Callable[[Path], None], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", *FEW, env=IDENTITY)
    change(folder / TAPE)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        resume(folder, "--n-iterations", "5")
    assert stopped.value.code == 1
    message = capsys.readouterr().err
    assert told in message
    assert message.count("\n") == 1


def test_a_tape_that_is_gone_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], undisturbed: dict[str, object]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "4")
    (folder / TAPE).unlink()
    resume(folder, "--n-iterations", "10")
    assert f"{folder / TAPE} is gone: a new one begins here" in capsys.readouterr().out
    assert read_tape(folder / TAPE).header.first == 4
    assert outcome(folder) == undisturbed


def test_deep_algorithms_write_none(tmp_path: Path) -> None:
    words = ["--algo", "reinforce", "--n-iterations", "1", "--eval-episodes", "1"]
    folder = tmp_path / "run"
    ars.train.main(["CartPole-v1", "--run-dir", str(folder), "--n-workers", "0", *words])
    assert not (folder / TAPE).exists()
