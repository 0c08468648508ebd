"""`ars evaluate`: what it prints and refuses, and what it has in common with `ars render`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, SUPPORT
from pictures import Main, Square, refusal, save
from rude_envs import Polite

from ars import evaluate, render
from ars.common.seeding import Stream
from ars.rollout.pool import LocalPool
from ars.rollout.task import RolloutSpec, Snapshot, Task
from policies import PolicyFile, build_policy, make_policy, read_policy, save_policy

pytestmark = pytest.mark.usefixtures("no_display")


def test_evaluation_is_training_s_final_evaluation(
    cheetah: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main([str(cheetah), "--episodes", "3", "--json"])
    found = json.loads(capsys.readouterr().out)
    policy = read_policy(cheetah).policy
    pool = LocalPool(RolloutSpec("HalfCheetah", policy.spec, seed=5, rollout_length=40))
    tasks = [Task(Stream.FINAL_EVALUATION, 0, index) for index in range(3)]
    episodes = pool.collect(pool.submit(Snapshot(policy.weights), tasks))
    pool.close()
    returns = [episode.total_reward for episode in episodes]
    assert found["returns"] == returns
    assert found["lengths"] == [episode.length for episode in episodes]
    assert found["return_mean"] == pytest.approx(np.mean(returns))
    assert found["return_std"] == pytest.approx(np.std(returns))
    assert (found["return_min"], found["return_max"]) == (min(returns), max(returns))
    assert found["length_mean"] == np.mean(found["lengths"])
    assert (found["env_id"], found["policy"]) == ("HalfCheetah", str(cheetah))
    assert (found["iteration"], found["seed"], found["episodes"]) == (7, 5, 3)


def test_json_stands_alone_whatever_the_environment_prints(tmp_path: Path) -> None:
    spec = make_policy("linear", Polite().observation_space, Polite().action_space)
    path = tmp_path / "talks.safetensors"
    kwargs = {"at": "step"}
    save_policy(path, PolicyFile(spec, "rude_envs:Talks-v0", kwargs, {"rollout_length": 20}))
    done = subprocess.run(
        [sys.executable, "-m", "ars.evaluate", str(path), "--episodes", "2", "--json", "--trust"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["lengths"] == [20, 20]
    for line in ("simulator ready", "from C", "simulator closed", "goodbye"):
        assert line in done.stderr.splitlines()


def test_seed_0_is_not_the_training_s(square: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for words in ([], ["--seed", "0"]):
        evaluate.main([str(square), "--episodes", "1", "--json", *words])
        found.append(json.loads(capsys.readouterr().out))
    assert [result["seed"] for result in found] == [5, 0]
    assert found[0]["returns"] != found[1]["returns"]


def test_summary_names_the_policy_and_lines_up(
    square: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main([str(square), "--episodes", "4", "--seed", "9"])
    first, second, *table = capsys.readouterr().out.splitlines()
    assert first == f"policy file {square} (iteration 7, 12,345 timesteps)"
    assert second == "Square-v0, 4 episodes, seed 9"
    assert [line[:14].strip() for line in table] == [
        "mean return",
        "deviation",
        "minimum",
        "maximum",
        "mean length",
    ]
    assert len({len(line) for line in table}) == 1
    assert table[-1].endswith(" 20.00")


def test_several_runs_are_checked_first_and_then_evaluated_one_by_one(
    square: Path, cheetah: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(square), str(cheetah), "--episodes", "2"]
    status, line = refusal(evaluate.main, [*words, "nowhere"], capsys)
    assert (status, line.split(":")[:2]) == (2, ["error", " RUN nowhere"])
    evaluate.main(words)
    one, two = capsys.readouterr().out.split("\n\n")
    assert one.startswith(f"policy file {square} (")
    assert two.splitlines()[1] == "HalfCheetah, 2 episodes, seed 5"
    evaluate.main([*words, "--json"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result["env_id"] for result in found] == ["Square-v0", "HalfCheetah"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--stochastic"], "--stochastic: .*cheetah.* has no distribution of actions"),
        ([], "environment 'gone:Gone-v0': "),
    ],
)
def test_what_cannot_be_evaluated_is_told_before_anything_is_played(
    words: list[str],
    told: str,
    square: Path,
    cheetah: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Square, "step", pytest.fail)
    file = read_policy(square)
    gone = tmp_path / "gone.safetensors"
    save_policy(gone, replace(file, env_id="gone:Gone-v0"))
    last = cheetah if words else gone
    first = tmp_path / "draws.safetensors"
    policy = build_policy(replace(file.policy.spec, distribution="categorical"))
    save_policy(first, replace(file, policy=policy))
    status, line = refusal(evaluate.main, [first, last, *words, "--trust"], capsys)
    assert status == 2 and re.match(f"error: {told}", line), line


def test_runs_may_follow_two_dashes(
    square: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(square.parent)
    Path("-odd.safetensors").write_bytes(square.read_bytes())
    words = ["--episodes", "1", "--json", "--", "-odd.safetensors"]
    for more in ([], [square.name]):
        evaluate.main([*more, *words])
        found = [json.loads(line)["policy"] for line in capsys.readouterr().out.splitlines()]
        assert found == [*more, "-odd.safetensors"]


def test_a_summary_counts_the_episodes_in_which_a_flag_was_reached() -> None:
    means = {"mean": 1.0, "std": 2.0, "min": 0.0, "max": 2.0}
    result = {f"return_{name}": value for name, value in means.items()}
    result |= {"length_mean": 3.0, "flags_mean": 1.25, "metres_mean": 2.5}
    told = evaluate.report(
        {**result, "env_id": "E", "episodes": 4, "seed": 1, "flags": [2.0, 0.0, 3.0, 0.0]}
    ).splitlines()
    assert told[-3].split() == ["mean", "flags", "1.25"]
    assert told[-2].split() == ["episodes", "with", "a", "flag", "2"]
    assert told[-1].split() == ["mean", "metres", "2.50"]


def test_a_run_folder_means_its_best_policy_unless_latest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "best_policy.safetensors", seed=1)
    save(tmp_path / "policy.safetensors", seed=2)
    for flags, file, seed in (([], "best_policy", 1), (["--latest"], "policy", 2)):
        evaluate.main([str(tmp_path), "--episodes", "1", "--json", *flags])
        found = json.loads(capsys.readouterr().out)
        assert (found["policy"], found["seed"]) == (str(tmp_path / f"{file}.safetensors"), seed)


def test_a_reward_that_is_not_finite_is_told(
    square: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Square, "trouble", "nan")
    for main in (evaluate.main, render.main):
        status, line = refusal(main, [square], capsys)
        assert status == 1
        assert "Square-v0" in line
        assert "episode 0: reward 9 is nan" in line
    assert not list(square.parent.glob("*.mp4"))


# What both refuse


@pytest.mark.parametrize("main", [evaluate.main, render.main])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["RUN", "--episodes", "0"], "--episodes 0: must be at least 1"),
        (["RUN", "--seed", "-1"], "--seed -1: must be at least 0"),
        (["RUN", "--epsiodes", "3"], "unknown argument --epsiodes (did you mean --episodes?)"),
        (["nowhere"], "RUN nowhere: no run folder, policy file or shipped policy"),
        (["RUN", "--latest"], "--latest: "),
        ([], "the following arguments are required: RUN"),
    ],
)
def test_wrong_words(
    main: Main, words: list[str], expected: str, square: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = refusal(main, [square if word == "RUN" else word for word in words], capsys)
    assert status == 2
    assert line.startswith(f"error: {expected}")


def test_a_folder_of_runs_has_one_named(
    square: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("s1", "s0"):
        (tmp_path / "seeds" / name).mkdir(parents=True)
        (tmp_path / "seeds" / name / "best_policy.safetensors").write_bytes(square.read_bytes())
    status, line = refusal(render.main, [tmp_path / "seeds"], capsys)
    assert status == 2
    assert line.endswith(f"it holds 2 runs: name one, for example {tmp_path / 'seeds' / 's0'}")


@pytest.mark.parametrize("main", [evaluate.main, render.main])
def test_files_that_cannot_be_used(
    main: Main,
    square: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    half = tmp_path / "half.safetensors"
    half.write_bytes(square.read_bytes()[:-40])
    status, line = refusal(main, [half], capsys)
    assert status == 1
    assert str(half) in line
    file = read_policy(square)
    for env_id, kwargs, expected, told in (
        ("Sqare-v0", {}, 2, "unknown environment 'Sqare-v0'; did you mean Square-v0"),
        ("Square-v0", {"n_obs": 4}, 1, "observations of 4 numbers, the policy takes 3"),
        ("Square-v0", {"n_actions": 5}, 1, "actions 0 to 4, the policy gives actions 0 to 1"),
        ("Square-v0", {"wheels": 5}, 1, "cannot be made: TypeError"),
    ):
        file.env_id, file.env_kwargs = env_id, kwargs
        save_policy(half, file)
        status, line = refusal(main, [half], capsys)
        assert status == expected
        assert told in line
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mp4"] == []
