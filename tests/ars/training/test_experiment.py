"""Several seeds as one experiment: each run is what it would be alone, and none hurts another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import ars.evaluate
import ars.train
from ars.api import RunError, train, train_seeds
from ars.cli.seeds import summary, table
from ars.common.errors import UsageError
from ars.common.seeding import Stream
from ars.rollout.task import RolloutSpec, Task, task_seed
from ars.training import experiment as module
from ars.training import processes
from ars.training.experiment import Experiment, Outcome
from ars.training.seed_processes import SilentShow
from policies import FileError

FEW: dict[str, Any] = {"n_directions": 4, "n_iterations": 3, "verbose": False}


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Unplayed:
    """Stands in for the processes: every job is noted, and ends well without a result."""

    jobs: list[dict[str, Any]]
    at_a_time: int

    def __init__(self, job: Any, done: Any, show: Any) -> None:
        self._job, self._done = job, done
        self.errors: dict[int, str] = {}

    def train(self, seeds: list[int], jobs: int) -> None:
        Unplayed.jobs, Unplayed.at_a_time = [self._job(seed) for seed in seeds], jobs
        for seed in seeds:
            self._done(seed)


@pytest.fixture
def unplayed(monkeypatch: pytest.MonkeyPatch) -> type[Unplayed]:
    monkeypatch.setattr(module, "Team", Unplayed)
    return Unplayed


def start(n_seeds: int, **given: Any) -> Experiment:
    experiment = Experiment.new("CartPole-v1", given, n_seeds, "a command")
    experiment.train(SilentShow())
    return experiment


def test_each_run_is_the_one_that_its_seed_has_alone() -> None:
    runs = train_seeds("CartPole-v1", 2, seed=5, **FEW)
    assert [run.folder.as_posix() for run in runs] == [
        "runs/CartPole-v1/ars-seeds5-6/s5",
        "runs/CartPole-v1/ars-seeds5-6/s6",
    ]
    alone = train("CartPole-v1", seed=6, n_workers=0, **FEW)
    for name in ("policy.safetensors", "best_policy.safetensors", "tape.bin"):
        assert (runs[1].folder / name).read_bytes() == (alone.folder / name).read_bytes()


def test_a_seed_that_fails_is_named_and_stops_no_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spec = RolloutSpec("", None, seed=1)  # type: ignore[arg-type]
    kwargs = {"seed": task_seed(spec, Task(Stream.TRAINING, 1, 2, +1)), "flag": str(tmp_path / "f")}
    with pytest.raises(RunError, match=r"^1 of 2 seeds failed \(1\), seed 1 with: .*snapped"):
        train_seeds(
            "faulty_envs:Raises-v0", 2, env_kwargs=kwargs, run_dir="many", n_workers=0, **FEW
        )
    assert not Path("many/s1/result.json").exists()
    ars.train.main(["--resume", "many", "--n-workers", "0"])
    shown = capsys.readouterr().out
    assert "seed 0" not in shown and "seed 1: done" in shown
    assert "median" in shown and "of 2 seeds, 10 new episodes each" in shown
    alone = train("faulty_envs:Raises-v0", env_kwargs=kwargs, seed=1, n_workers=0, **FEW)
    names = Path("many/s1/policy.safetensors"), alone.folder / "policy.safetensors"
    assert names[0].read_bytes() == names[1].read_bytes()


def test_seeds_that_stand_are_named() -> None:
    experiment = Experiment.new("HalfCheetah", {"n_iterations": 1}, 2, "a command")
    final = {"return_mean": 980.0, "return_std": 1.0, "return_min": 978.0, "episodes": 5}
    final |= {"alive_mean": 1000.0, "progress_mean": 18.0, "metres_mean": 0.3, "length_mean": 1000}
    runs = {"progress_mean": 1500.0, "metres_mean": 25.0}
    shared = {"timesteps": 64, "stopped": "1 iteration done"}
    outcomes = [
        Outcome(seed, experiment.place(seed), {**shared, "final_evaluation": final | more})
        for seed, more in enumerate(({}, runs))
    ]
    lines = summary(experiment, outcomes).splitlines()
    assert [line.partition(":")[0] for line in lines if "stands" in line] == ["seed 0"]
    assert "what may help" not in "".join(lines)  # the preset has it


def test_the_folder_is_evaluated_seed_by_seed(capsys: pytest.CaptureFixture[str]) -> None:
    train_seeds("CartPole-v1", 2, run_dir="many", **{**FEW, "verbose": True})
    assert "of 2 seeds, " in capsys.readouterr().out
    ars.evaluate.main(["many", "--episodes", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("   ")] == ["0", "1"]
    assert lines[-1].endswith("of 2 seeds, 3 new episodes each")
    ars.evaluate.main(["many", "--episodes", "3", "--json"])
    seeds = json.loads(capsys.readouterr().out)["seeds"]
    assert {seed: len(row["returns"]) for seed, row in seeds.items()} == {"0": 3, "1": 3}
    for policy in Path("many", "s1").glob("*policy.safetensors"):
        policy.unlink()
    ars.evaluate.main(["many", "--episodes", "3"])
    out, err = capsys.readouterr()
    assert out.endswith("of 1 seed, 3 new episodes each\n")
    assert "left out, without a policy yet: seed 1\n" in err


def test_a_seed_that_begins_late_has_the_horizon_of_the_others() -> None:
    few = {**FEW, "n_iterations": None, "total_timesteps": 200}
    train_seeds("CartPole-v1", 2, run_dir="many", step_size_schedule="linear", **few)
    shutil.rmtree("many/s1")
    train_seeds(resume="many", total_timesteps=600, verbose=False)
    configs = [json.loads(Path(f"many/s{seed}/config.json").read_text()) for seed in (0, 1)]
    assert [config["config"]["horizon"] for config in configs] == [200, 200]
    assert [config["run"]["total_timesteps"] for config in configs] == [600, 600]


def test_an_interrupt_saves_every_seed_and_they_go_on_exactly() -> None:
    words = ["CartPole-v1", "--n-seeds", "2", "--n-iterations", "200", "--run-dir", "many"]
    words += ["--jobs", "2", "--save-freq", "1", "--eval-freq", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ars.train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not all(Path(f"many/s{seed}/checkpoint").exists() for seed in (0, 1)):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (
        130,
        "interrupted and saved; to go on: python -m ars.train --resume many --jobs 2\n",
    )
    rows = [len(Path(f"many/s{n}/progress.csv").read_text().splitlines()) for n in (0, 1)]
    again = train_seeds(resume="many", n_iterations=max(rows) + 1, verbose=False)
    alone = train(
        "CartPole-v1",
        seed=1,
        n_iterations=max(rows) + 1,
        eval_freq=1000,
        n_workers=0,
        verbose=False,
    )
    policies = [run.folder / "policy.safetensors" for run in (again[1], alone)]
    assert policies[0].read_bytes() == policies[1].read_bytes()


def test_what_is_given_on_resume_holds_for_every_run_until_all_have_ended(
    unplayed: type[Unplayed],
) -> None:
    experiment = start(3, total_timesteps=100)
    assert [job["given"]["seed"] for job in unplayed.jobs] == [0, 1, 2]
    unplayed.jobs = []
    Experiment.open(experiment.folder, {}, "again", False).train(SilentShow())
    assert unplayed.jobs == []  # all had ended
    longer = Experiment.open(experiment.folder, {"n_iterations": 9}, "longer", False)
    longer._write()  # and is killed here
    Experiment.open(experiment.folder, {}, "again", False).train(SilentShow())
    assert len(unplayed.jobs) == 3
    for job in unplayed.jobs:  # none had begun: one stop takes the place of the other
        assert job["given"]["n_iterations"] == 9
        assert "total_timesteps" not in job["given"]


@pytest.mark.parametrize(
    ("processors", "n_seeds", "given", "at_a_time", "workers"),
    [
        (8, 3, {}, 3, "2"),
        (8, 5, {}, 5, "0"),
        (4, 9, {}, 4, "0"),
        (1, 2, {}, 1, "0"),
        (8, 9, {"n_workers": "3"}, 2, "3"),
        (8, 9, {"n_workers": "0"}, 8, "0"),
        (8, 9, {"algo": "ppo"}, 8, None),
        (8, 9, {"algo": "ppo", "env_processes": 4}, 2, None),
        (8, 9, {"ray_address": "host:6379"}, 1, None),
    ],
)
def test_the_processors_are_shared(
    processors: int,
    n_seeds: int,
    given: dict[str, Any],
    at_a_time: int,
    workers: str | None,
    unplayed: type[Unplayed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "n_processors", lambda: processors)
    experiment = start(n_seeds, **given)
    assert unplayed.at_a_time == at_a_time
    assert {job["given"].get("n_workers") for job in unplayed.jobs} == {workers}
    stored = json.loads((experiment.folder / "experiment.json").read_text())
    assert not {"n_workers", "ray_address"} & stored["given"].keys()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("CartPole-v1 --jobs 2", "--jobs: has no meaning without --n-seeds"),
        ("CartPole-v1 --n-seeds 0", "--n-seeds 0: must be at least 1"),
        ("--n-seeds 3", "name an environment"),
        ("Nope-v0 --n-seeds 2", "unknown environment 'Nope-v0'"),
        ("CartPole-v1 --n-seeds 2 --step-size -1", "--step-size -1.0: must be greater than 0"),
        ("CartPole-v1 --n-seeds 2 --run-dir many", "--run-dir many: holds a run already"),
        ("CartPole-v1 --run-dir many", "--run-dir many: holds a run already"),
        ("--resume many --n-seeds 5", "--n-seeds: an experiment keeps its seeds"),
        ("--resume many --seed 5", "--seed: an experiment keeps its seeds"),
        ("--resume many/s0 --n-seeds 5", "--n-seeds: one run has one seed"),
    ],
)
def test_wrong_words_are_one_line(
    words: str, told: str, unplayed: type[Unplayed], capsys: pytest.CaptureFixture[str]
) -> None:
    start(2, run_dir="many")
    before = sorted(Path("many").rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(words.split())
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and told in error
    assert sorted(Path("many").rglob("*")) == before


@pytest.mark.parametrize(
    "damage",
    [{"seeds": []}, {"seeds": [-1]}, {"seeds": ["0"]}, {"left": [7]}, {"algo": "x"}, {"given": 3}],
)
def test_a_damaged_file_is_named(damage: dict[str, Any], unplayed: type[Unplayed]) -> None:
    folder = start(2).folder
    data = json.loads((folder / "experiment.json").read_text())
    (folder / "experiment.json").write_text(json.dumps(data | damage))
    with pytest.raises(FileError, match=rf"experiment\.json: damaged \({next(iter(damage))} "):
        train_seeds(resume=folder)


def test_what_cannot_reach_another_process_is_refused() -> None:
    with pytest.raises(UsageError, match="`env_kwargs`: must be what JSON can hold"):
        train_seeds("CartPole-v1", 2, env_kwargs={"render_mode": object()})
    with pytest.raises(UsageError, match="`env`: name an environment"):
        train_seeds()
    with pytest.raises(UsageError, match="`resume` nowhere: must be the folder of an experiment"):
        train_seeds(resume="nowhere")


def test_an_experiment_from_elsewhere_runs_no_module_that_it_names(
    unplayed: type[Unplayed], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = start(2).folder
    data = json.loads((folder / "experiment.json").read_text())
    (folder / "experiment.json").write_text(json.dumps(data | {"env_id": "evil_world:Evil-v0"}))
    Path("evil_world.py").write_text("open('ran', 'w')\n")
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["--resume", str(folder)])
    assert stopped.value.code == 2 and "evil_world" in capsys.readouterr().err
    assert not Path("ran").exists()


def test_a_failure_of_the_cluster_ends_its_seed_alone_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "Hopper --n-seeds 2 --jobs 1 --n-iterations 1 --ray-address 127.0.0.1:1 --run-dir exp"
    with pytest.raises(SystemExit) as ended:
        ars.train.main(words.split())
    said = "".join(capsys.readouterr())
    assert ended.value.code == 1 and "Traceback" not in said
    for seed in (0, 1):
        assert f"seed {seed} failed: --ray-address 127.0.0.1:1: cannot connect" in said


def test_what_a_killed_process_leaves_of_a_line_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROGRAM", "torn_line")
    place = Path("torn_line.py").resolve()
    whole, torn_off = '["notify", "whole"]', '["progress", {"a'
    place.write_text(f"print({whole!r}); print({torn_off!r}, end='')")
    monkeypatch.setenv("PYTHONPATH", str(place.parent))
    torn = processes.Processes[int]()
    torn.start(0, {})
    heard = [torn.next(30.0), torn.next(30.0)]
    assert [event and event.kind for event in heard] == ["notify", "ended"]


def test_evaluations_of_several_lengths_are_said() -> None:
    row = {"return_mean": 1.0, "return_std": 0.0, "return_min": 1.0}
    rows = {seed: {**row, "episodes": episodes} for seed, episodes in enumerate((20, 5, 20))}
    assert table("E-v0", "ars", rows).endswith("5 to 20 new episodes each")
    assert table("E-v0", "ars", {0: rows[1]}).endswith("5 new episodes each")
