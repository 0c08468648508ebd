"""A search compares like with like, survives anything, and comes out the same each time."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rehearsed import POINTS, Rehearsed, quality

from ars.common.errors import RunError, UsageError
from ars.search_spaces.base import Middle, SearchTask
from ars.training.config import TrainingConfig
from ars.training.dry_run import Speed
from ars.training.resolve import resolve_new
from ars.tuning.config import TuneConfig
from ars.tuning.outcome import Tuned, count_of_trials, table_of_best
from ars.tuning.store import JOURNAL
from ars.tuning.study import Study
from ars.tuning.trials import SilentTuneShow
from policies import FileError

FEW: dict[str, Any] = {"n_seeds": 2, "total_timesteps": 1000, "jobs": 1}


class Said(SilentTuneShow):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def search(show: SilentTuneShow | None = None, **given: Any) -> Tuned:
    return Study.new("CartPole-v1", FEW | given, "a command").search(show or SilentTuneShow())


def resume(folder: Path, **given: Any) -> Tuned:
    return Study.open(folder, given, "again", False).search(SilentTuneShow())


def results(found: Tuned) -> list[Any]:
    return [row._replace(seconds=None) for row in found.trials]


def test_it_finds_what_is_good_and_writes_it_as_a_preset(rehearsed: type[Rehearsed]) -> None:
    found = search(n_trials=30, n_seeds=1, n_directions=4)
    best = found.best[0]
    assert best.value == quality({**best.settings, "seed": 100})
    assert abs(best.settings["step_size"] / 0.03 - 1) < 0.2
    assert next(iter(found.importances)) == "step_size"
    assert not [row for row in found.trials if "n_directions" in row.suggested]
    config = resolve_new("CartPole-v1", {"preset": str(found.preset_file), "seed": 7})
    trained: TrainingConfig = resolve_new(
        "CartPole-v1", rehearsed.jobs[0]["given"] | dict(found.preset)
    )
    assert config.algorithm == trained.algorithm and config.run == trained.run
    assert config.algorithm.n_directions == 4 and config.run.total_timesteps == 1000
    lines = (found.folder / "trials.csv").read_text().splitlines()
    assert len(lines) == 31 and lines[0].startswith("trial,state,value,compared,seconds,variant")
    table = table_of_best(found).splitlines()
    assert table[0].split() == ["trial", str(best.number), *table[0].split()[2:]]
    assert table[2].split()[0] == "step_size"


def test_a_trial_ends_early_where_all_its_seeds_are_at_the_same_timesteps(
    rehearsed: type[Rehearsed],
) -> None:
    said = Said()
    found = search(said, n_trials=20)
    pruned = [row for row in found.trials if row.state == "pruned"]
    assert 1 < len(pruned) < 15 and not [row for row in found.trials[:5] if row in pruned]
    for row in pruned:
        runs = [str(found.folder / f"trial-{row.number:03}" / f"s{seed}") for seed in (100, 101)]
        assert [rehearsed.evaluated[run] for run in runs] == [row.point] * 2
        assert POINTS // 5 <= row.point < POINTS
    for row in found.best:
        assert row.point == POINTS
    line = f"trial {pruned[0].number}: ended at {pruned[0].point * 100:,} timesteps with "
    assert any(told.startswith(line) for told in said.lines)
    words = f"20 trials: {len(found.best)} complete, {len(pruned)} ended early"
    assert count_of_trials(found) == words


@pytest.mark.parametrize("pruner", ["halving", "none"])
def test_other_ways_to_end_trials(pruner: str, rehearsed: type[Rehearsed]) -> None:
    found = search(n_trials=12, pruner=pruner)
    points = {row.point for row in found.trials if row.state == "pruned"}
    assert points <= ({1, 3, 9} if pruner == "halving" else set())
    assert (len(found.best) < 12) == (pruner == "halving")


@pytest.mark.parametrize(("jobs", "n_seeds"), [(1, 3), (2, 3), (5, 2)])
def test_no_more_processes_train_than_there_are_jobs(
    jobs: int, n_seeds: int, rehearsed: type[Rehearsed]
) -> None:
    found = search(n_trials=4, jobs=jobs, n_seeds=n_seeds)
    assert rehearsed.most == jobs
    assert len(found.trials) == 4 and {row.state for row in found.trials} <= {"complete", "pruned"}


def test_the_same_seed_makes_the_same_search_and_interrupts_change_nothing(
    rehearsed: type[Rehearsed],
) -> None:
    whole = search(n_trials=12, seed=3)
    assert results(search(n_trials=12, seed=3)) == results(whole)
    assert results(search(n_trials=1, seed=4)) != results(whole)[:1]
    for patience in (1, 50):
        rehearsed.patience = patience
        with pytest.raises(KeyboardInterrupt):
            search(n_trials=12, seed=3, run_dir=f"broken{patience}")
        times = 0
        while True:
            times += 1
            rehearsed.patience = 80 * times
            try:
                again = resume(Path(f"broken{patience}"))
                break
            except KeyboardInterrupt:
                pass
        assert times > 1
        assert results(again) == results(whole)
        assert again.preset_file.read_text() == whole.preset_file.read_text()


def test_a_trial_that_fails_is_told_and_stops_no_other(rehearsed: type[Rehearsed]) -> None:
    rehearsed.fails = lambda given: (
        "it fell" if given["seed"] == 101 and given["step_size"] > 0.05 else None
    )
    said = Said()
    found = search(said, n_trials=12)
    failed = [row for row in found.trials if row.state == "failed"]
    assert failed and found.best
    assert all(row.settings["step_size"] > 0.05 for row in failed)
    assert {row.reason for row in failed} == {"seed 101: it fell"}
    assert f"trial {failed[0].number} failed: seed 101: it fell" in said.lines
    assert "seed 101: it fell" in (found.folder / "trials.csv").read_text()


def test_an_environment_that_always_fails_stops_the_search(rehearsed: type[Rehearsed]) -> None:
    rehearsed.fails = lambda given: "no licence"
    with pytest.raises(RunError, match=r"^5 trials failed one after the other, .*no licence"):
        search(n_trials=50)
    assert len({job["command"] for job in rehearsed.jobs}) == 5


def test_a_cluster_that_is_lost_costs_no_trial(rehearsed: type[Rehearsed]) -> None:
    whole = search(n_trials=3, run_dir="whole")
    rehearsed.on_cluster, lost = True, [None, None, None, "no answer"]
    rehearsed.fails = lambda given: lost.pop(0) if lost else None
    with pytest.raises(RunError, match=r"^trial \d+, seed 10\d: no answer$"):
        search(n_trials=3, run_dir="search")
    assert results(resume(Path("search"))) == results(whole)


def test_a_training_that_is_killed_goes_on_once(rehearsed: type[Rehearsed]) -> None:
    killed = ["its process was ended by SIGKILL"]
    rehearsed.fails = lambda given: killed.pop() if killed else None
    said = Said()
    found = search(said, n_trials=2)
    assert [row.state for row in found.trials] == ["complete"] * 2
    assert said.lines[0].startswith("trial 0, seed 100: its process was ended by SIGKILL; it goes")
    killed += ["its process was ended by SIGKILL"] * 2
    assert resume(found.folder, n_trials=3).trials[2].reason is not None


def test_a_time_budget_saves_what_is_under_way(rehearsed: type[Rehearsed]) -> None:
    study = Study.new("CartPole-v1", FEW | {"time_budget": "1h"}, "a command")
    assert study.config.n_trials is None
    late = dataclasses.replace(study, began=study.began - 3600)
    found = late.search(SilentTuneShow())
    assert [row.state for row in found.trials] == ["under way"] and not found.best
    assert count_of_trials(found) == "1 trial: 1 under way"
    assert len(resume(late.folder, n_trials=3).trials) == 3  # takes the place of the budget


@pytest.mark.parametrize(
    ("given", "total", "every"),
    [
        ({"time_budget": "10m"}, 15_000, 1500),  # 20 trials of 2 seeds at 1,000 steps a second
        ({"time_budget": "10m", "n_trials": 10}, 30_000, 3000),
        ({"time_budget": "10m", "eval_timesteps": 16_000}, 16_000, 16_000),
        ({"time_budget": "20h"}, 1_000_000, 100_000),  # there is time for whole ones
        ({"time_budget": "1s"}, 1000, 100),
        ({"time_budget": "10m", "total_timesteps": 2_000}, 2000, 200),
    ],
)
def test_trainings_are_so_short_that_enough_trials_fit_into_a_time_budget(
    given: dict[str, Any], total: int, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ars.tuning.study.measured", lambda *_: Speed(1000.0, 100.0, 100.0))
    study = Study.new("CartPole-v1", {"n_seeds": 2, "jobs": 1, "n_workers": 0} | given, "a command")
    assert study.config.total_timesteps == study.task.total_timesteps == total
    assert study.config.eval_timesteps == every


def test_the_preset_may_be_the_first_trial() -> None:
    config = TuneConfig(start_from_preset=True, total_timesteps=5000, eval_timesteps=500)
    study = Study("CartPole-v1", "ppo", {}, SearchTask(5000), config, [], {})
    first = study._given(study._settings(0, Middle()))
    trained = resolve_new("CartPole-v1", first)
    assert trained.preset == "CartPole-v1" and trained.algorithm.n_steps == 32
    assert trained.run.total_timesteps == 5000
    assert study._given(study._settings(1, Middle()))["preset"] is None
    preset = study._preset({"preset": "CartPole-v1"})
    assert preset["n_steps"] == 32 and "preset" not in preset and preset["algo"] == "ppo"


def test_trials_begin_untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained policy fits one network; a search tries several."""
    monkeypatch.setattr("ars.presets.ppo.PRESETS", {"CartPole-v1": {"init_from": "Hopper"}})
    config = TuneConfig(start_from_preset=True, total_timesteps=5000, eval_timesteps=500)
    study = Study("CartPole-v1", "ppo", {}, SearchTask(5000), config, [], {})
    assert resolve_new("CartPole-v1", study._given({"preset": "CartPole-v1"})).init_from is None
    assert "init_from" not in study._preset({"preset": "CartPole-v1"})


def test_a_search_without_a_preset_knows_nothing_of_it(rehearsed: type[Rehearsed]) -> None:
    search(n_trials=1)
    assert {job["given"]["preset"] for job in rehearsed.jobs} == {None}
    assert {job["given"]["seed"] for job in rehearsed.jobs} == {100, 101}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"algo": "ddpg"}, "`algo` ddpg: must be one of"),
        ({"algo": "dqn", "env": "Pendulum-v1"}, "`algo` dqn: chooses among Discrete actions"),
        ({"env": "Nope-v0"}, "unknown environment 'Nope-v0'"),
        ({"n_trials": 0}, "`n_trials` 0: must be at least 1"),
        ({"n_seeds": 0}, "`n_seeds` 0: must be at least 1"),
        ({"time_budget": "soon"}, "`time_budget` soon: must be a time such as"),
        ({"pruner": "medium"}, "`pruner` medium: must be one of median, halving, none"),
        ({"eval_timesteps": 5000}, "`eval_timesteps` 5000: must be at most `total_timesteps` 1000"),
        ({"step_size": -1}, "`step_size` -1.0: must be greater than 0"),
        ({"stepsize": 1}, "`stepsize`: is no setting of a search with ars (did you mean step_size"),
        ({"preset": "Hopper"}, "`preset`: is no setting of a search"),
        ({"gamma": 0.9}, "`gamma`: is no setting of a search with ars"),
        ({"n_top": 99, "n_directions": 8}, "`n_top` 99: must be at most `n_directions`"),
        ({"start_from_preset": True}, "`start_from_preset`: there is no preset for CartPole-v1"),
        ({"env_kwargs": {"colour": 1}}, "`env_kwargs`"),
    ],
)
def test_what_cannot_be_searched_is_told(given: dict[str, Any], told: str) -> None:
    env = given.pop("env", "CartPole-v1")
    with pytest.raises((UsageError, ValueError)) as refused:
        Study.new(env, FEW | given, "a command")
    assert str(refused.value).startswith(told) or told == "`env_kwargs`"
    assert "\n" not in str(refused.value)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n_seeds": 5}, "`n_seeds` 5: the search was begun with 2; on resume only"),
        ({"seed": 5}, "`seed` 5: the search was begun with 0"),
        ({"algo": "ppo"}, "`algo` ppo: the search was begun with ars"),
        ({"env_id": "Hopper"}, "`env_id` Hopper: the search was begun with CartPole-v1"),
        ({"step_size": 0.1}, "`step_size` 0.1: the search was begun without it"),
        ({"run_dir": "x"}, "`run_dir` x: the search was begun without it"),
        ({"n_trials": 0}, "`n_trials` 0: must be at least 1"),
    ],
)
def test_what_may_not_change_on_resume_is_told(
    given: dict[str, Any], told: str, rehearsed: type[Rehearsed]
) -> None:
    found = search(n_trials=1)
    with pytest.raises(UsageError) as refused:
        Study.open(found.folder, given, "again", False)
    assert str(refused.value).startswith(told)
    same = {"n_seeds": 2, "env_id": "cartpole-v1", "algo": "ARS", "n_trials": 2}
    assert len(resume(found.folder, **same).trials) == 2


def test_damaged_and_foreign_folders_are_refused(rehearsed: type[Rehearsed]) -> None:
    with pytest.raises(UsageError, match=r"^`resume` nowhere: not the folder of a search"):
        resume(Path("nowhere"))
    found = search(n_trials=2)
    with pytest.raises(UsageError, match=r"holds a search already; .* tune on with"):
        search(run_dir=str(found.folder))
    journal, study = found.folder / JOURNAL, found.folder / "study.json"
    whole, defined = journal.read_bytes(), study.read_text()
    journal.write_bytes(whole + b'{"op_code":4,"torn')  # as by a kill
    assert results(resume(found.folder)) == results(found)
    journal.write_bytes(whole.replace(b"op_code", b"opcode", 3))
    with pytest.raises(FileError, match=rf"{JOURNAL}: damaged"):
        resume(found.folder)
    wrongs = [defined.replace(*pair) for pair in (("ars", "x"), ("1000", '"y"'), ("500", '"z"'))]
    wrongs.append(defined.replace('"fixed": {', '"fixed": {"init_from": "evil"'))
    for wrong in ("{}", *wrongs):
        study.write_text(wrong)
        with pytest.raises(FileError, match=r"study\.json"):
            resume(found.folder)
    study.write_text(json.dumps({**json.loads(defined), "env_id": "evil_world:Evil-v0"}))
    with pytest.raises(UsageError, match="evil_world"):
        resume(found.folder)


def test_without_optuna_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RunError, match=r"^a search needs Optuna .*pip install optuna"):
        Study.new("CartPole-v1", FEW, "a command")
