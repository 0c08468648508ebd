"""The table that compares runs, in each of its formats."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from stored_runs import store_run, store_seeds

from ars.common.errors import UsageError
from ars.results.plotting import compare_runs
from ars.results.table import FORMATS, GroupScore

FINAL = "scores are final evaluations: the best policy of each run on new episodes"


def rows(folder: Path) -> tuple[list[GroupScore], list[str]]:
    said: list[str] = []
    return compare_runs([folder], said.append), said


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Three runs of ARS that came to 30, 40 and 50, and four of PPO to 30, 40, 50 and 60."""
    store_seeds(tmp_path, 3, "a")
    store_seeds(tmp_path, 4, "b", algo="ppo")
    return tmp_path


def test_a_row_has_what_the_runs_came_to(two: Path) -> None:
    (ars, ppo), said = rows(two)
    assert said == [FINAL]
    assert (ars.label, ars.n_runs, ars.timesteps) == ("ARS", 3, (300, 300))
    assert (ars.median, ars.iqm) == (40.0, 40.0)
    assert (ppo.median, ppo.iqm) == (45.0, 45.0)
    assert (ars.interval, ppo.interval) == ((30.0, 50.0), (30.0, 60.0))


def test_the_first_row_is_what_others_improve_on(two: Path) -> None:
    (ars, ppo), _ = rows(two)
    assert (ars.baseline, ars.improvement, ars.improvement_interval) == (None, None, None)
    # Of 12 pairs PPO's run is better in 0 + 1 + 2 + 3, and 3 are ties.
    assert (ppo.baseline, ppo.improvement) == ("ARS", (6 + 1.5) / 12)
    assert ppo.improvement_interval == (0.25, 1.0)


def test_each_environment_has_a_first_row_of_its_own(two: Path) -> None:
    store_run(two / "c", env_id="Hopper", algo="ppo")
    *_, hopper = rows(two)[0]
    assert (hopper.env_id, hopper.label, hopper.baseline) == ("Hopper", "PPO", None)


def test_runs_that_have_not_ended_are_compared_by_their_last_evaluations(two: Path) -> None:
    (two / "b-s3" / "result.json").unlink()
    (ars, ppo), [told] = rows(two)
    assert told.startswith(
        "scores are the last scheduled evaluations, for there are runs that have"
    )
    assert str(two / "b-s3") in told
    assert (ars.median, ppo.median) == (40.0, 45.0)


def test_the_last_evaluation_counts_though_another_was_better(tmp_path: Path) -> None:
    store_run(tmp_path / "a", [0.0, 50.0, 20.0], [0, 100, 200], final=None)
    store_run(tmp_path / "b", [0.0, 50.0, 30.0], [0, 100, 300], seed=1)
    [row], _ = rows(tmp_path)
    assert (row.median, row.timesteps) == (25.0, (200, 300))


def test_one_run_has_no_interval(tmp_path: Path) -> None:
    store_run(tmp_path / "run", final=-3.0)
    [row], _ = rows(tmp_path)
    assert (row.median, row.iqm, row.interval) == (-3.0, -3.0, None)


def test_nothing_to_compare_is_one_line(tmp_path: Path) -> None:
    run = store_run(tmp_path / "run", final=None)
    (run / "evaluations.csv").unlink()
    with pytest.raises(UsageError, match="`run`: none has an evaluation yet"):
        rows(tmp_path)


ROWS = [
    GroupScore("Car_Pole", "ARS", 5, (300, 400), 1234.5, -12.25, (-20.0, 1e4)),
    GroupScore("Car_Pole", "PPO | 50%", 1, (7, 7), 1.5, 1.5, None, "ARS", 0.25, (0.0, 0.5)),
    GroupScore("Hopper", "ARS", 1, (7, 7), 1.5, 1.5, None),
]


def test_as_text_it_lines_up() -> None:
    assert FORMATS["text"](ROWS).splitlines() == [
        "Car_Pole   runs   timesteps   median    IQM      95 % interval   P(better than ARS)",
        "ARS           5  300 to 400  1,234.5  -12.2  -20.0 to 10,000.0",
        "PPO | 50%     1           7     1.50   1.50                     0.25 (0.00 to 0.50)",
        "",
        "Hopper  runs  timesteps  median   IQM  95 % interval",
        "ARS        1          7    1.50  1.50",
    ]


def test_as_markdown_it_is_a_table() -> None:
    first, rule, _, ppo, empty, *_ = FORMATS["markdown"](ROWS).splitlines()
    assert first.startswith("| Car_Pole | runs | timesteps | median | IQM | 95 % interval |")
    assert rule == "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert ppo.startswith(r"| PPO \| 50% | 1 |")
    assert empty == ""


def test_as_latex_its_signs_are_text() -> None:
    lines = FORMATS["latex"](ROWS).splitlines()
    assert lines[:2] == [r"\begin{tabular}{lrrrrrr}", r"\toprule"]
    assert lines[2].startswith(r"Car\_Pole & runs & timesteps & median & IQM & 95 \% interval &")
    assert lines[4] == r"ARS & 5 & 300 to 400 & 1,234.5 & $-$12.2 & $-$20.0 to 10,000.0 &  \\"
    assert lines[5].startswith(r"PPO | 50\% & 1 & 7 & 1.50")
    assert lines.count(r"\end{tabular}") == 2


def test_as_csv_it_has_plain_numbers() -> None:
    ars, ppo, _ = csv.DictReader(io.StringIO(FORMATS["csv"](ROWS)))
    assert (ars["timesteps_min"], ars["timesteps_max"], ars["median"]) == ("300", "400", "1234.5")
    assert (ars["iqm_low"], ars["iqm_high"], ars["improvement"]) == ("-20.0", "10000.0", "")
    assert (ppo["label"], ppo["iqm_low"], ppo["improvement_high"]) == ("PPO | 50%", "", "0.5")
