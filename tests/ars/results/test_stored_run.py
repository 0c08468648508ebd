"""Which runs are found, and what of their logs is taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from paths import ROOT
from stored_runs import store_run, store_seeds

from ars.common.errors import UsageError
from ars.results.stored_run import StoredRun, find_runs
from policies import FileError

STORED = sorted((ROOT / "tests" / "data" / "runs").iterdir())


def names(paths: list[Path], said: list[str] | None = None) -> list[str]:
    notify = (lambda line: None) if said is None else said.append
    return [run.folder.name for run in find_runs(paths, notify)]


def curve(folder: Path, x: str = "timesteps", training: bool = False) -> list[tuple[float, float]]:
    said: list[str] = []
    found = StoredRun.open(folder).curve(x, training, said.append)
    assert said == []
    return list(zip(found.x.tolist(), found.y.tolist(), strict=True))


def test_every_run_below_a_folder_is_taken_in_the_order_of_numbers(tmp_path: Path) -> None:
    store_seeds(tmp_path / "deep" / "er", 11)
    store_run(tmp_path / "another")
    assert names([tmp_path]) == ["another", *(f"ars-s{seed}" for seed in range(11))]


def test_the_trials_of_a_search_are_taken_where_it_is_named(tmp_path: Path) -> None:
    store_run(tmp_path / "ars-s0")
    store_run(tmp_path / "tune-ars" / "trial0")
    (tmp_path / "tune-ars" / "study.json").write_text("{}")
    said: list[str] = []
    assert [run.folder.name for run in find_runs([tmp_path], said.append)] == ["ars-s0"]
    search = tmp_path / "tune-ars"
    assert said == [f"left out: {search}: the trials of a search, unless it is named itself"]
    assert names([search]) == ["trial0"]
    shutil.copytree(search, tmp_path / "alone" / "tune-ars")
    with pytest.raises(UsageError, match="only searches are there; name one"):
        find_runs([tmp_path / "alone"], said.append)


def test_names_may_hold_any_digits_and_numbers_be_of_any_size(tmp_path: Path) -> None:
    runs = [store_run(tmp_path / name) for name in ("x1²", "x10", "x9")]
    assert len(find_runs([tmp_path], print)) == 3
    result = json.loads((runs[0] / "result.json").read_text())
    result["final_evaluation"]["return_mean"] = 10**400
    (runs[0] / "result.json").write_text(json.dumps(result))
    with pytest.raises(FileError, match="no return of its final evaluation"):
        find_runs([runs[0]], print)


def test_a_shipped_run_is_known_by_its_name() -> None:
    assert find_runs(["Hopper"], print)[0].place == "Hopper"


def test_runs_behind_links_are_taken_once(tmp_path: Path) -> None:
    run = store_run(tmp_path / "runs" / "one")
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "ours").symlink_to(run)
    (tmp_path / "paper" / "loop").symlink_to(tmp_path / "paper")
    assert names([tmp_path / "paper"]) == ["ours"]
    assert names([tmp_path]) == ["ours"]
    said: list[str] = []
    assert names([run, run], said) == ["one"]
    assert said == [f"{run}: is given twice and taken once"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("nowhere", "`run` nowhere: there is no run folder of that name"),
        ("", "`run` '': there is no run folder of that name"),
        ("empty", "`run` empty: no run folder, and none below it (no config.json)"),
        ("run/progress.csv", "run/progress.csv: one file has no learning curve; give its run"),
    ],
)
def test_where_there_is_no_run_it_is_said(
    word: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    store_run(Path("run"))
    with pytest.raises(UsageError) as error:
        find_runs([word], print)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"env_id": "A", "algo": "ars", "seed": "1", "config": {}}']
)
def test_a_damaged_run_is_refused_by_name_and_left_out_below_a_folder(
    text: str, tmp_path: Path
) -> None:
    store_run(tmp_path / "good")
    bad = store_run(tmp_path / "worse")
    (bad / "config.json").write_text(text)
    with pytest.raises(FileError, match=r"worse/config\.json: "):
        find_runs([bad], print)
    said: list[str] = []
    assert names([tmp_path], said) == ["good"]
    [line] = said
    assert line.startswith(f"left out: {bad / 'config.json'}: ")


def test_a_curve_runs_over_timesteps_episodes_or_time(tmp_path: Path) -> None:
    run = store_run(tmp_path / "run", [0.0, 10.0, 20.0], [0, 100, 250])
    assert curve(run) == [(0, 0), (100, 10), (250, 20)]
    assert curve(run, "episodes") == [(0, 0), (2, 10), (4, 20)]
    assert curve(run, "time") == [(0, 0), (60, 10), (120, 20)]
    assert curve(run, training=True) == [(100, 5), (250, 10)]
    assert curve(run, "episodes", training=True) == [(2, 5), (4, 10)]


@pytest.mark.parametrize("folder", STORED, ids=lambda path: path.name)
@pytest.mark.parametrize("x", ["timesteps", "episodes", "time"])
@pytest.mark.parametrize("training", [False, True])
def test_runs_of_earlier_versions_have_curves(folder: Path, x: str, training: bool) -> None:
    assert len(curve(folder, x, training)) >= 1


@pytest.mark.parametrize("rest", ["4,40", "4,400,5,99", "4,400,5,99,240"])
def test_a_row_that_is_being_written_is_left_out_and_said(rest: str, tmp_path: Path) -> None:
    path = store_run(tmp_path / "run") / "evaluations.csv"
    path.write_text(path.read_text() + rest)
    said: list[str] = []
    found = StoredRun.open(tmp_path / "run").curve("timesteps", False, said.append)
    assert found.x.tolist() == [0, 100, 200, 300]
    assert said == [f"{path}: its last row is incomplete and left out"]


def test_so_is_a_last_row_with_cells_missing(tmp_path: Path) -> None:
    path = store_run(tmp_path / "run") / "evaluations.csv"
    path.write_text(path.read_text() + "4,400\n")
    said: list[str] = []
    found = StoredRun.open(tmp_path / "run").curve("timesteps", False, said.append)
    assert (found.x.size, len(said)) == (4, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "has no column return_mean"),
        ("timesteps,return_mean\n1,x\n", "return_mean: could not convert"),
        ("timesteps,return_mean\n1,2,3\n2,3\n3,4\n", "not a log of a run"),
        ("timesteps,timesteps\n1,2\n", "two columns of one name"),
        ("timesteps,return_mean\n5,1\n9,1\n4,1\n", "its timesteps go back at row 3"),
    ],
)
def test_a_damaged_log_is_named(text: str, told: str, tmp_path: Path) -> None:
    run = store_run(tmp_path / "run")
    (run / "evaluations.csv").write_text(text)
    with pytest.raises(FileError, match=r"run/evaluations\.csv: ") as error:
        curve(run)
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["", "timesteps,return_mean", "timesteps,return_mean\n"])
def test_a_log_without_a_row_has_no_curve(text: str, tmp_path: Path) -> None:
    run = store_run(tmp_path / "run")
    (run / "evaluations.csv").write_text(text)
    assert StoredRun.open(run).curve("timesteps", False, lambda line: None).x.size == 0
    (run / "evaluations.csv").unlink()
    assert curve(run) == []


def test_iterations_without_an_episode_have_no_return(tmp_path: Path) -> None:
    run = store_run(tmp_path / "run")
    (run / "progress.csv").write_text("timesteps,return_mean\n1,nan\n2,3.0\n3,\n")
    assert curve(run, training=True) == [(2, 3)]


def test_an_evaluation_whose_iteration_is_not_logged_yet_waits(tmp_path: Path) -> None:
    run = store_run(tmp_path / "run")
    rows = (run / "progress.csv").read_text().splitlines(keepends=True)
    (run / "progress.csv").write_text("".join(rows[:-1]))
    said: list[str] = []
    found = StoredRun.open(run).curve("episodes", False, said.append)
    assert found.x.tolist() == [0, 2, 4]
    assert said == [
        f"{run / 'evaluations.csv'}: left out: 1 row without a finite return or episodes"
    ]


def test_a_run_has_ended_if_it_has_a_result(tmp_path: Path) -> None:
    ended, going = store_run(tmp_path / "a", final=7.5), store_run(tmp_path / "b", final=None)
    assert (StoredRun.open(ended).final_return, StoredRun.open(ended).timesteps) == (7.5, 300)
    assert StoredRun.open(going).final_return is None
    (ended / "result.json").write_text(json.dumps({"final_evaluation": {"return_mean": "7"}}))
    with pytest.raises(FileError, match=r"result\.json: not the result of a run"):
        StoredRun.open(ended)
