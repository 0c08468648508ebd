"""docs/results.md: its tables say what docs/results.csv holds, and that what was trained."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from paths import OLD_RUNS, ROOT

from policies import FileError


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """scripts/results.py, with a page and a table of its own."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import results
    from outcomes.tables import BEGIN, END

    (tmp_path / "page.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    monkeypatch.setattr(results, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(results, "TABLE", tmp_path / "table.csv")
    return results


def row(seed: int, **changed: Any) -> object:
    """A row of Hopper's preset; the script's folder must be on the path."""
    from outcomes.rows import Measured, settings_today

    usual = Measured(
        "Hopper", "ars", seed, 3_001_000, 100.0, 5.0, 90.0, 2.0, None, 1.5, "", "0.1.0"
    )
    return usual._replace(settings=settings_today("Hopper", "ars"))._replace(**changed)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_has_the_tables_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import results
    from outcomes.tables import tables, with_tables

    page = results.PAGE.read_text()
    assert page == with_tables(page, tables(results.groups()))


def test_every_seed_is_shown_with_the_median_and_the_worst(results: ModuleType) -> None:
    returns = {0: 10.0, 1: 30.0, 2: 20.0, 3: 2600.0, 4: 40.0}
    rows = [row(seed, return_mean=found) for seed, found in returns.items()]
    results.write_rows(results.TABLE, rows)
    results.write_tables()
    before, *lines, after = results.PAGE.read_text().splitlines()
    assert (before, after) == ("before", "after")
    summary, single, published = (cells(line) for line in lines if line.startswith("| `Hopper`"))
    # The interquartile mean leaves the lowest and the highest out.
    assert summary[1:4] == ["5 of 10", "3M", "30.0"]
    assert re.fullmatch(r"30\.0 \(\d\S* to \d\S*\)", summary[4])
    assert summary[5:9] == ["10.0", "2.0", "1.5", "2,500: 1 of 5"]
    assert "PPO 2,575 (2M)" in published[1]
    assert single[1] == "10.0 ± 5.0, 30.0 ± 5.0, 20.0 ± 5.0, 2,600 ± 5, 40.0 ± 5.0"


def test_seeds_with_a_gap_are_named(results: ModuleType) -> None:
    results.write_rows(results.TABLE, [row(1), row(4)])
    results.write_tables()
    assert "1: 100 ± 5, 4: 100 ± 5" in results.PAGE.read_text()


def test_flags_stand_beside_the_metres(results: ModuleType) -> None:
    rows = [row(seed, flags=flags) for seed, flags in enumerate([0.5, 2.25, 1.0])]
    results.write_rows(results.TABLE, rows)
    results.write_tables()
    summary, single, _ = [
        cells(line) for line in results.PAGE.read_text().splitlines() if "`Hopper`" in line
    ]
    assert summary[6] == "2.0 (1.0 flags)"
    assert single[3] == "2 (0.5 flags), 2 (2.2 flags), 2 (1.0 flags)"


def test_rows_come_back_as_they_were_written(results: ModuleType) -> None:
    rows = [row(0, metres=None), row(1, return_mean=-3.25, flags=2.5)]
    results.write_rows(results.TABLE, rows[::-1])
    assert list(results.read_rows(results.TABLE).values()) == rows
    results.TABLE.write_text(results.TABLE.read_text().replace("3001000", "3e6"))
    with pytest.raises(FileError, match=r"table\.csv: damaged"):
        results.read_rows(results.TABLE)


def test_a_row_of_another_preset_is_not_shown_and_is_trained_again(results: ModuleType) -> None:
    results.write_rows(results.TABLE, [row(0), row(1, settings="step_size=9")])
    results.write_tables()
    assert "1 of 10" in results.PAGE.read_text()
    hopper = [planned for planned in results.PLAN if planned[:2] == ("Hopper", "ars")]
    assert [name.seed for name in results.missing(hopper)] == list(range(1, 10))


@pytest.mark.filterwarnings("ignore:episodes are cut:RuntimeWarning")  # of the old run
def test_a_run_is_taken_if_it_is_what_would_be_trained(
    results: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = OLD_RUNS["ars-halfcheetah"]
    results.take([folder], results.PLAN)
    assert "of other settings: eval_episodes=2 " in capsys.readouterr().out
    assert not results.TABLE.exists()

    config = json.loads((folder / "config.json").read_text())
    theirs = results.settings_in(config)
    monkeypatch.setattr("outcomes.rows.settings_today", lambda *_: theirs)
    monkeypatch.setattr(results, "EPISODES", 1)
    results.take([folder], results.PLAN)
    [taken] = results.read_rows(results.TABLE).values()
    assert (taken.name, taken.timesteps) == (("HalfCheetah", "ars", 0), 600)
    assert taken.metres is not None
    results.take([folder], results.PLAN)
    assert "in the table already" in capsys.readouterr().out
    assert "`HalfCheetah`, `ars` | 1 of 20" in results.PAGE.read_text()


def test_a_run_that_has_not_ended_is_left_out(
    results: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    config = (OLD_RUNS["ars-halfcheetah"] / "config.json").read_text()
    (folder / "config.json").write_text(config)
    results.take([folder], results.PLAN)
    assert "has not ended" in capsys.readouterr().out


def test_a_page_without_marks_is_refused(results: ModuleType) -> None:
    results.PAGE.write_text("by hand\n")
    with pytest.raises(results.RunError, match="must have"):
        results.write_tables()
    assert results.PAGE.read_text() == "by hand\n"


@pytest.mark.filterwarnings("ignore:episodes are cut:RuntimeWarning")  # of the old run
def test_what_is_trained_is_begun_gone_on_with_or_only_measured(
    results: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, told = OLD_RUNS["ars-halfcheetah"], list[dict[str, Any]]()

    class Team:
        errors: ClassVar[dict[int, str]] = {}

        def __init__(self, job: Callable[[int], dict[str, object]], *_: object) -> None:
            self.job = job

        def train(self, indices: Iterable[int], jobs: int) -> None:
            told.extend(self.job(index) for index in indices)

    place = tmp_path / "HalfCheetah"
    shutil.copytree(old, place / "ars-s0")
    (place / "ars-s1").mkdir()
    config = (old / "config.json").read_text().replace('"seed": 0', '"seed": 1')
    (place / "ars-s1" / "config.json").write_text(config)
    plan = [results.Planned("HalfCheetah", "ars", 3)]
    with pytest.raises(results.UsageError, match="of other settings: eval_episodes=2 "):
        results.train(plan, tmp_path, 1)

    theirs = results.settings_in(json.loads(config))
    monkeypatch.setattr("outcomes.rows.settings_today", lambda *_: theirs)
    monkeypatch.setattr(results, "EPISODES", 1)
    monkeypatch.setattr(results, "Team", Team)
    results.train(plan, tmp_path, 1)
    assert [job["folder"] for job in told] == [str(place / "ars-s1"), None]
    assert told[1]["given"]["seed"] == 2
    assert told[1]["given"]["run_dir"] == str(place / "ars-s2")
    assert [name.seed for name in results.read_rows(results.TABLE)] == [0]
