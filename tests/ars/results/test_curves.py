"""Runs that differ in their seed alone become one line, and nothing is cut without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stored_runs import store_run, store_seeds

from ars.results.curves import MOST_POINTS, Line, grouped, lines_of
from ars.results.stored_run import find_runs


def lines(
    folder: Path, x: str = "timesteps", training: bool = False
) -> tuple[list[Line], list[str]]:
    said: list[str] = []
    groups = grouped(find_runs([folder], said.append), said.append)
    return lines_of(groups, x, training, said.append), said


def test_seeds_become_a_line_with_its_interval(tmp_path: Path) -> None:
    store_seeds(tmp_path, 5)
    [line], said = lines(tmp_path)
    assert said == []
    assert line.group.label == "ARS"
    assert [run.seed for run in line.group.runs] == [0, 1, 2, 3, 4]
    assert line.x.tolist() == [0, 100, 200, 300]
    assert line.middle.tolist() == [20, 30, 40, 50]  # of 10, 20, 30 and so on
    assert line.n_runs.tolist() == [5] * 4
    assert line.band is not None
    assert (line.band[0] < line.middle).all() and (line.middle < line.band[1]).all()


def test_one_run_is_drawn_as_it_is(tmp_path: Path) -> None:
    store_run(tmp_path / "run", [3.0, 1.0], [0, 7])
    [line], _ = lines(tmp_path)
    assert (line.x.tolist(), line.middle.tolist(), line.band) == ([0, 7], [3, 1], None)


def test_settings_algorithms_and_environments_have_lines_of_their_own(tmp_path: Path) -> None:
    store_seeds(tmp_path, 2, "a", step_size=0.1)
    store_seeds(tmp_path, 2, "b", step_size=0.2)
    store_seeds(tmp_path, 2, "c", algo="ppo")
    store_seeds(tmp_path, 2, "d", env_id="Hopper")
    found, _ = lines(tmp_path)
    assert [(line.group.env_id, line.group.label) for line in found] == [
        ("CartPole-v1", "ARS, step size 0.1"),
        ("CartPole-v1", "ARS, step size 0.2"),
        ("CartPole-v1", "PPO"),
        ("Hopper", "ARS"),
    ]


def test_runs_on_different_grids_meet_between_their_evaluations(tmp_path: Path) -> None:
    store_run(tmp_path / "a", [0.0, 100.0], [0, 100], seed=0)
    store_run(tmp_path / "b", [0.0, 40.0, 60.0, 80.0], [0, 25, 50, 100], seed=1)
    [line], said = lines(tmp_path)
    assert said == []
    assert line.x.tolist() == [0, 25, 50, 100]
    assert line.middle.tolist() == [0, (25 + 40) / 2, (50 + 60) / 2, 90]


def test_runs_that_end_within_an_evaluation_of_each_other_end_together(tmp_path: Path) -> None:
    store_run(tmp_path / "a", [0.0, 10.0, 20.0], [0, 100, 200], seed=0)
    store_run(tmp_path / "b", [0.0, 10.0, 30.0], [0, 100, 240], seed=1)
    [line], said = lines(tmp_path)
    assert said == []
    assert line.n_runs.tolist() == [2, 2, 2, 2]
    assert line.middle[-1] == (20 + 30) / 2


def test_a_shorter_run_is_drawn_to_its_end_and_said(tmp_path: Path) -> None:
    store_run(tmp_path / "a", [0.0, 10.0], [0, 100], seed=0)
    store_run(tmp_path / "b", [0.0, 20.0, 50.0, 60.0], [0, 100, 200, 300], seed=1)
    [line], said = lines(tmp_path)
    assert said == [
        "CartPole-v1, ARS: 1 of 2 runs end before the longest, at 100 timesteps; beyond, the line "
        "is thin, of those left"
    ]
    assert line.x.tolist() == [0, 100, 200, 300]
    assert line.n_runs.tolist() == [2, 2, 2, 1]
    assert line.middle[-1] == 60
    assert line.band is not None and np.isnan(line.band[:, -1]).all()


def test_long_steps_of_one_run_do_not_stretch_another(tmp_path: Path) -> None:
    store_run(tmp_path / "a", [0.0, 10.0, 20.0], [0, 100, 200], seed=0)
    store_run(tmp_path / "b", [0.0, 60.0], [0, 1000], seed=1)
    [line], said = lines(tmp_path)
    assert line.n_runs.tolist() == [2, 2, 2, 1]
    assert len(said) == 1 and "end before the longest, at 200 timesteps" in said[0]


def test_a_run_counts_from_its_first_evaluation_on(tmp_path: Path) -> None:
    store_run(tmp_path / "a", [0.0, 10.0, 20.0], [0, 100, 200], seed=0)
    store_run(tmp_path / "b", [30.0, 40.0], [100, 200], seed=1)
    [line], _ = lines(tmp_path)
    assert (line.n_runs.tolist(), line.middle.tolist()) == ([1, 2, 2], [0, 20, 30])


def test_lines_of_different_lengths_are_said(tmp_path: Path) -> None:
    store_run(tmp_path / "a")
    store_run(tmp_path / "b", [1.0] * 8, range(0, 800, 100), algo="ppo")
    _, said = lines(tmp_path)
    assert said == [
        "CartPole-v1: lines of different lengths, each drawn to its end (ARS: 300 timesteps; "
        "PPO: 700 timesteps)"
    ]
    assert lines(tmp_path, "time", False)[1][0].endswith("(ARS: 3 min 00 s; PPO: 7 min 00 s)")


def test_a_run_that_has_not_ended_is_drawn_and_said(tmp_path: Path) -> None:
    run = store_run(tmp_path / "a", final=None)
    store_run(tmp_path / "b", seed=1, final=None)
    [line], said = lines(tmp_path)
    assert len(line.group.runs) == 2
    assert said == [f"not ended, and drawn as far as it is: {run} and 1 other run"]


def test_a_run_without_an_evaluation_is_left_out_and_said(tmp_path: Path) -> None:
    store_run(tmp_path / "a")
    begun = store_run(tmp_path / "b", seed=1)
    (begun / "evaluations.csv").write_text("")
    [line], said = lines(tmp_path)
    assert [run.folder.name for run in line.group.runs] == ["a"]
    assert said == [f"left out: {begun}: has no evaluation yet"]


def test_a_plan_has_no_curve_of_training(tmp_path: Path) -> None:
    run, planned = store_run(tmp_path / "a"), store_run(tmp_path / "b", algo="value-iteration")
    said: list[str] = []
    groups = grouped(find_runs([run, planned], said.append), said.append)
    assert len(lines_of(groups, "timesteps", True, said.append)) == 1
    assert said == [f"left out: {planned}: value-iteration plays no episodes in training"]


def test_a_copy_of_a_run_does_not_count_twice(tmp_path: Path) -> None:
    store_run(tmp_path / "a")
    longer = store_run(tmp_path / "b", [1.0] * 5, range(0, 500, 100))
    [line], said = lines(tmp_path)
    assert [run.folder for run in line.group.runs] == [longer]
    assert said == [f"left out: {tmp_path / 'a'}: has the settings and the seed of {longer}"]


@pytest.mark.parametrize("count", [2, 3])
def test_many_places_are_thinned_between_the_first_and_the_last(count: int, tmp_path: Path) -> None:
    for seed in range(count):
        steps = range(seed, 300 * count + seed, count)
        store_run(tmp_path / str(seed), [float(step) for step in steps], steps, seed=seed)
    [line], _ = lines(tmp_path)
    assert line.x.size == MOST_POINTS
    assert (line.x[0], line.x[-1]) == (0, 300 * count - 1)
