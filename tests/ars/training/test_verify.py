"""`ars verify`: every run that is as it says is verified, and what was forged is found."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hopper_runs import resume, start, train, wait_for_rows
from mortal_workers import kill_workers
from paths import OLD_RUNS
from pictures import refusal
from tapes import forge, forge_header

import ars.train
from ars import api, verify
from ars.api import RunError
from ars.common.seeding import Stream, reset_seed
from ars.training import checkpoint, verification
from ars.training.comparison import Comparison
from ars.training.run_folder import TAPE
from ars.training.tape import machine_now, read_tape
from ars.training.verification import Verification, chance_to_find, verify_run
from policies import FileError, NormalizerRule, read_policy, save_policy

IDENTITY = "small_worlds:IdentityBox-v0"
SIX = ("--n-iterations", "6")


def verify_all(folder: Path, **details: Any) -> Verification:
    """With every iteration played again."""
    found = verify_run(str(folder), share=1.0, **details)
    assert len(found.played) == found.n_iterations
    assert found.other_machine is None
    return found


@pytest.fixture(scope="module")
def hopper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("verify") / "run", *SIX)


@pytest.fixture
def copied(hopper: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(hopper, tmp_path / "copy"))


# Runs that are as they say


def test_what_was_checked_is_told(hopper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify.main([str(hopper), "--iterations", "2", "--seed", "1"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "tape of 6 iterations: digests match"
    assert said[1].startswith("rebuilt from the tape: identical: ")
    for words in ("6 rows of progress.csv", "policy.safetensors (iteration 6)", "best_policy"):
        assert words in said[1]
    assert "the checkpoint (iteration 6)" in said[1]
    assert said[2] == "replayed: identical: 2 iterations (33.3%), 12 rollouts"
    assert said[3] == "probability of detecting forged iterations: 33.3% for 1, 60.0% for 2"
    assert said[4] == "verified"


@pytest.mark.parametrize(
    "words",
    [
        ["--variant", "v1"],
        ["--variant", "brs", "--common-seeds", "iteration"],
        ["--variant", "v1-t", "--n-top", "1", "--common-seeds", "pair"],
        ["--policy", "mlp", "--hidden-sizes", "4"],
        ["--shift", "0", "--reward-clip", "0.5"],
        ["--shift", "0", "--ddof", "0", "--var-floor", "0.01"],
    ],
    ids=" ".join,
)
def test_every_kind_of_run_is_verified(words: list[str], tmp_path: Path) -> None:
    folder = train(tmp_path / "run", *words, "--n-iterations", "4", "--seed", "5")
    assert verify_all(folder).n_rollouts == 4 * 6


@pytest.mark.parametrize("env", ["CartPole-v1", "small_worlds:Identity-v0", IDENTITY])
def test_any_environment_is_verified(env: str, tmp_path: Path) -> None:
    verify_all(train(tmp_path / "run", "--n-iterations", "4", env=env))


def test_a_run_that_was_stopped_and_resumed_is_verified(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "4")
    verify_all(folder)
    verify_all(resume(folder, *SIX))


def test_a_run_that_was_killed_is_verified_before_and_after_it_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, "--n-iterations", "2000")
    wait_for_rows(folder, 5, process)
    process.kill()
    process.communicate()
    verify_run(str(folder), iterations=3)
    done = len(read_tape(folder / TAPE).records)
    verify_run(str(resume(folder, "--n-iterations", str(done + 3))), iterations=5)


def test_directions_left_out_are_verified(tmp_path: Path) -> None:
    seed = reset_seed(0, Stream.TRAINING, 1, 0, 0)  # of iteration 2, direction 0, sign +
    faulty = ["--env-kwargs", "what=reward", f"seed={seed}", "--on-nonfinite", "exclude"]
    env = "faulty_envs:Corrupts-v0"
    folder = train(tmp_path / "run", *faulty, "--n-iterations", "3", env=env)
    scores = read_tape(folder / TAPE).records["scores"]
    assert np.isnan(scores[1]).tolist() == [True, True, False, False, False, False]
    assert verify_all(folder).n_rollouts == 18


def test_a_run_that_begins_with_a_trained_policy_is_verified(hopper: Path, tmp_path: Path) -> None:
    trained = str(hopper / "policy.safetensors")
    folder = train(tmp_path / "run", "--init-from", trained, "--n-iterations", "3")
    assert read_tape(folder / TAPE).header.start.arrays["weights"].any()
    said = verify.report(verify_all(folder)).splitlines()
    assert said[1] == f"it began with the policy {trained}, of which nothing is checked"


def test_a_run_of_an_earlier_version_is_verified_from_where_it_went_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUNS["ars-course"], folder)
    done = checkpoint.load(folder).values["algorithm"]["iteration"]
    words = ["--n-iterations", str(done + 2), "--n-workers", "0"]
    ars.train.main(["--resume", str(folder), *words])
    assert verify_all(folder).first == done
    capsys.readouterr()
    verify.main([str(folder)])
    assert f"it begins after iteration {done}" in capsys.readouterr().out


def test_workers_change_nothing(
    hopper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = kill_workers(monkeypatch, 1)
    folder = train(tmp_path / "run", *SIX, workers="2")
    assert len(killed) == 1
    assert (folder / TAPE).read_bytes() == (hopper / TAPE).read_bytes()
    verify_all(folder)
    verify_all(folder, n_workers="2")


def test_an_environment_given_as_it_is_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from small_worlds import IdentityBox

    monkeypatch.chdir(tmp_path)
    few: dict[str, Any] = {"n_iterations": 3, "n_directions": 2, "verbose": False}
    run = api.train(IdentityBox, run_dir="run", **few)
    found = api.verify(run, iterations=2, seed=3)
    assert len(found.played) == 2
    assert found.chance_to_find(1) == pytest.approx(2 / 3)


# What differs is found


def change_record(field: str, index: int) -> Callable[[Path], None]:
    """The last bit of a number in the third record, its digests made to hold."""

    def edit(records: Any) -> None:
        numbers = np.atleast_1d(records[field][2])
        numbers.view(np.int64)[index] ^= 1
        records[field][2] = numbers.reshape(records[field][2].shape)

    return lambda folder: forge(folder / TAPE, edit)


def change_policy(name: str, what: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = read_policy(folder / name)
        policy, normalizer = file.policy, file.policy.normalizer
        if what == "weights":
            weights = policy.weights
            weights.view(np.int64)[3] ^= 1
            policy.weights = weights
        elif what in ("mean", "var"):
            getattr(normalizer, what).view(np.int64)[3] ^= 1
        elif what == "iteration":
            file.training[what] += 1
        else:
            file.training[what] -= 1
        save_policy(folder / name, file)

    return edit


def set_in_policy(name: str, value: Any) -> Callable[[Path], None]:
    """An attribute of the latest policy's file, named with dots."""

    def edit(folder: Path) -> None:
        path = folder / "policy.safetensors"
        file = read_policy(path)
        *outer, last = name.split(".")
        setattr(reduce(getattr, outer, file), last, value)
        save_policy(path, file)

    return edit


def change_checkpoint(name: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        state = checkpoint.load(folder)
        if name in state.arrays:
            state.arrays[name] = state.arrays[name].copy()
            state.arrays[name].view(np.int64)[1] ^= 1
        else:
            values = [part for part in ("algorithm", "run") if name in state.values[part]]
            state.values[values[0]][name] += 1
        checkpoint.save(folder, state)

    return edit


def change_progress(column: str, factor: float = 0.0) -> Callable[[Path], None]:
    """A number of the second row, by default in its last bit."""

    def edit(folder: Path) -> None:
        names, *rows = (line.split(",") for line in (folder / "progress.csv").read_text().split())
        index = names.index(column)
        value = float(rows[1][index])
        rows[1][index] = repr(value * factor if factor else math.nextafter(value, 1e9))
        text = "\n".join(",".join(row) for row in (names, *rows)) + "\n"
        (folder / "progress.csv").write_text(text)

    return edit


def change_setting(folder: Path) -> None:
    data = json.loads((folder / "config.json").read_text())
    data["config"]["step_size"] *= 2
    (folder / "config.json").write_text(json.dumps(data))


def cut_records(folder: Path) -> None:
    forge(folder / TAPE, lambda records: records[:4])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        # Every iteration is played again: without it only what follows from the tape is found.
        (
            change_record("scores", 1),
            r"iteration 3: (sigma_r|weight_norm|step_norm|scores\[1\]) is",
        ),
        (change_record("mean", 4), r"iteration 3: mean\[4\] is \S+, played again"),
        (change_record("m2", 0), r"iteration 3: m2\[0\] is \S+, played again"),
        (change_record("observations", 0), r"iteration 3: observations is \d+, played again \d+"),
        (change_record("timesteps", 0), r"progress\.csv: iteration 3: timesteps is|length_mean"),
        (change_record("episodes", 0), r"record 3: episodes is 19, by the tape 18"),
        (lambda folder: forge_header(folder / TAPE, lambda d: None, 1e-300), "its start: weights"),
        (
            lambda folder: forge_header(folder / TAPE, lambda d: d["run"].update(seed=9)),
            "not the tape of this run",
        ),
        (change_policy("policy.safetensors", "weights"), r"policy\.safetensors: weights\[3\] is"),
        (change_policy("policy.safetensors", "mean"), r"policy\.safetensors: normalizer\.mean\[3"),
        (change_policy("best_policy.safetensors", "var"), r"best_policy.*: normalizer\.var\[3"),
        (change_policy("best_policy.safetensors", "seed"), r"best_policy.*: seed is -1, by the"),
        (change_policy("policy.safetensors", "timesteps"), r"policy\.safetensors: timesteps is"),
        (change_policy("policy.safetensors", "iteration"), "ends after iteration 6, but"),
        (set_in_policy("env_id", "Ant"), r"policy\.safetensors: env_id is Ant, by the tape Hopper"),
        (
            set_in_policy("env_kwargs", {"clock": [1.0]}),
            r"env_kwargs is {'clock'.*, by the tape {}",
        ),
        (set_in_policy("policy.normalizer", None), "normalizer is True, by the tape False"),
        (set_in_policy("policy.normalizer.rule", NormalizerRule(ddof=0)), r"normalizer\.rule is"),
        (set_in_policy("policy.normalizer.count", 7), r"normalizer\.count is 7, by the tape \d+"),
        (change_checkpoint("weights"), r"state\.safetensors: weights\[1\] is"),
        (change_checkpoint("statistics.m2"), r"state\.safetensors: statistics\.m2\[1\] is"),
        (change_checkpoint("episodes"), r"state\.safetensors: episodes is"),
        (change_checkpoint("seed"), r"state\.safetensors: not a checkpoint .*its seed is 1,"),
        (change_progress("sigma_r"), r"progress\.csv: iteration 2: sigma_r is"),
        (change_progress("return_mean"), r"progress\.csv: iteration 2: return_mean is"),
        (change_setting, "step_size is"),
        (cut_records, r"tape\.bin: ends after iteration 4, but \S+ is of iteration 6"),
    ],
)
def test_what_was_changed_is_found(change: Callable[[Path], None], told: str, copied: Path) -> None:
    change(copied)
    with pytest.raises((RunError, FileError)) as found:
        verify_all(copied)
    message = str(found.value)
    assert re.search(told, message), message
    assert str(copied) in message and "\n" not in message


def test_an_iteration_is_found_if_it_is_drawn(tmp_path: Path) -> None:
    """A score of a direction that the update does not use shows in nothing that is rebuilt."""
    words = ["--variant", "v2-t", "--n-top", "1", "--shift", "1"]
    folder = train(tmp_path / "run", *words, *SIX, env=IDENTITY)
    scores = read_tape(folder / TAPE).records["scores"][2]
    worst = int(scores.argmin())
    assert scores[worst // 2 * 2 : worst // 2 * 2 + 2].max() < scores.max()
    change_record("scores", worst)(folder)
    verify_run(str(folder), iterations=0)
    for seed in range(6):
        drawn = set((1 + np.random.default_rng(seed).permutation(6)[:2]).tolist())
        if 3 in drawn:
            with pytest.raises(RunError, match=rf"iteration 3: scores\[{worst}\] is .* played"):
                verify_run(str(folder), iterations=2, seed=seed)
        else:
            assert set(verify_run(str(folder), iterations=2, seed=seed).played) == drawn


def test_the_draw_differs_from_time_to_time(hopper: Path) -> None:
    draws = {tuple(verify_run(str(hopper), iterations=2).played) for _ in range(8)}
    assert len(draws) > 1
    same = {tuple(verify_run(str(hopper), iterations=2, seed=4).played) for _ in range(2)}
    assert len(same) == 1


@pytest.mark.parametrize(("n", "m", "k"), [(6, 2, 1), (6, 2, 2), (5, 4, 2), (4, 0, 2), (3, 2, 3)])
def test_the_chance_is_counted_right(n: int, m: int, k: int) -> None:
    draws = list(combinations(range(n), m))
    hits = sum(any(item < k for item in draw) for draw in draws)
    assert chance_to_find(n, m, k) == pytest.approx(hits / len(draws))


# Other machines


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "machine_now", lambda: {**machine_now(), "cpu": "Abacus 3"})


@pytest.mark.usefixtures("elsewhere")
def test_another_processor_is_told(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_policy("policy.safetensors", "weights")(copied)  # the last bit: nobody's fault there
    verify.main([str(copied)])
    said = capsys.readouterr().out
    assert "not comparable bit for bit (processor " in said
    assert "Abacus 3 here): compared within a scale" in said
    assert "probability" not in said and "only a mean score that is off by more than" in said
    assert said.endswith("verified\n")


def raise_scores(folder: Path) -> None:
    def edit(records: Any) -> None:  # all alike: the same step
        records["scores"][2] += 100.0

    forge(folder / TAPE, edit)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (raise_scores, r"iteration 3: the mean score is \S+, played again"),
        (change_progress("sigma_r", 1.01), r"iteration 2: sigma_r is \S+, by the tape"),
    ],
)
def test_on_another_processor_more_than_bits_is_found(
    change: Callable[[Path], None], told: str, copied: Path
) -> None:
    change(copied)
    with pytest.raises(RunError, match=told):
        verify_run(str(copied), share=1.0)


@pytest.mark.parametrize("found", [0.0, 1e6])
def test_on_another_processor_a_millionth_is_the_most_that_rows_may_be_off(found: float) -> None:
    off = max(found, 1.0) * 1e-6
    compare = Comparison(exact=False)
    compare.row("log", {"column": repr(found + 0.9 * off)}, {"column": found})
    with pytest.raises(RunError, match="log: column is"):
        compare.row("log", {"column": repr(found + 1.1 * off)}, {"column": found})


def name_processor(folder: Path) -> None:
    data = json.loads((folder / "config.json").read_text())
    data["platform"]["cpu"] = "Abacus 3"
    (folder / "config.json").write_text(json.dumps(data))


def name_first_processor(folder: Path) -> None:
    forge_header(folder / TAPE, lambda header: header["machine"].update(cpu="Abacus 3"))


@pytest.mark.parametrize("name", [name_processor, name_first_processor])
def test_the_first_machine_of_a_run_counts_and_the_last(
    name: Callable[[Path], None], copied: Path
) -> None:
    name(copied)
    other = f"processor Abacus 3 there, {machine_now()['cpu']} here"
    assert verify_run(str(copied), iterations=0).other_machine == other


# What it refuses


def test_wrong_words(
    hopper: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (copied / TAPE).write_bytes((copied / TAPE).read_bytes()[:-3])
    shutil.copytree(hopper, tmp_path / "several/s0")
    shutil.copytree(hopper, tmp_path / "unnamed")
    (tmp_path / "unnamed/config.json").unlink()
    for words, status, told in (
        ([hopper, "--share", "1.5"], 2, "--share 1.5: must be at most 1"),
        ([hopper, "--iterations", "-1"], 2, "--iterations -1: must be at least 0"),
        ([hopper, "--n-workers", "some"], 2, "--n-workers some: must be auto or a whole number"),
        ([hopper, "--sead", "1"], 2, "unknown argument --sead (did you mean --seed"),
        (["Ant"], 2, "RUN Ant: it has no tape.bin"),
        (
            [hopper, "--iterations", "1", "--share", "0.9"],
            2,
            "--share 0.9: has no meaning beside --iterations",
        ),
        (["nowhere"], 2, "RUN nowhere: no run folder"),
        ([OLD_RUNS["dqn"]], 2, f"RUN {OLD_RUNS['dqn']}: it has no tape.bin"),
        (["several"], 2, "RUN several: it has no tape.bin; it holds 1 run: name one, for"),
        (["unnamed"], 2, "RUN unnamed: not a run folder (no config.json in it)"),
        ([copied], 1, f"{copied / TAPE}: damaged: it ends within the record of iteration 6"),
    ):
        found = refusal(verify.main, list(words), capsys)
        assert found[0] == status
        assert found[1].startswith(f"error: {told}"), found[1]
