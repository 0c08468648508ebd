"""What is shown while a run goes on: how long it takes, what is best, and that it lives."""

from __future__ import annotations

import io
import sys
import time
from typing import Any

import pytest

from ars.cli import life_sign
from ars.cli.console import PlainDisplay, RunNumbers
from ars.cli.streams import Output
from ars.training.config import RunConfig


def row(iteration: int, **values: Any) -> dict[str, Any]:
    """A row of progress.csv: 100 timesteps an iteration, 10 a second."""
    common = {"return_mean": -0.0245, "return_max": 0.0, "steps_per_second": 10.0}
    return {"iteration": iteration, "timesteps": 100 * iteration, **common, **values}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("ars.cli.console.time.monotonic", clock)
    return clock


def test_the_expected_duration_is_said_once_from_the_second_iteration(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainDisplay(RunNumbers(RunConfig(total_timesteps=10_000), None))
    clock.now += 3
    display.progress(row(1))
    assert capsys.readouterr().out == ""
    clock.now += 10
    display.progress(row(2))
    clock.now += 10
    display.progress(row(3))
    assert capsys.readouterr().out.startswith("about 16 min 20 s to go\n")


def test_after_a_long_first_iteration_it_is_said_at_once(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainDisplay(RunNumbers(RunConfig(n_iterations=4), None))
    clock.now += 60
    display.progress(row(1))
    assert capsys.readouterr().out == "about 30 s to go\n"


def test_a_resumed_run_shows_the_best_from_before_and_every_evaluation() -> None:
    numbers = RunNumbers(RunConfig(n_iterations=4), None)
    numbers.best_so_far(500.0)
    numbers.progress(row(2))
    assert dict(numbers.cells())["best"] == "500.0"
    numbers.evaluation({"return_mean": 400.0, "iteration": 2, "best": 0})
    cells = dict(numbers.cells())
    assert (cells["evaluation"], cells["best"]) == ("400.0 (after 2)", "500.0")
    assert cells["return"] == "-0.0245 (max 0.0)"


def test_a_reader_who_goes_away_from_a_life_sign_ends_the_run_at_its_next_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(life_sign, "FIRST", 0.0)
    monkeypatch.setattr(life_sign, "LOOKS", 0.001)
    stdout = Output(Gone())
    monkeypatch.setattr(sys, "stdout", stdout)
    with PlainDisplay(RunNumbers(RunConfig(n_iterations=4), None)) as display:
        deadline = time.monotonic() + 10
        while stdout.error is None and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(BrokenPipeError):
            display.notify("run folder")


def test_a_run_that_has_nothing_to_say_shows_that_it_lives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(life_sign, "FIRST", 0.0)
    monkeypatch.setattr(life_sign, "LATER", 1000.0)
    monkeypatch.setattr(life_sign, "LOOKS", 0.001)
    with PlainDisplay(RunNumbers(RunConfig(n_iterations=4), None)) as display:
        display.working(lambda: "iteration 1: 3 of 32 episodes played")
        display.notify("run folder")
        deadline = time.monotonic() + 10
        said = ""
        while "iteration" not in said and time.monotonic() < deadline:
            time.sleep(0.01)
            said += capsys.readouterr().out
    assert "iteration 1: 3 of 32 episodes played, 0 s so far\n" in said


def test_a_block_that_takes_long_shows_that_it_lives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(life_sign, "FIRST", 0.0)
    monkeypatch.setattr(life_sign, "LOOKS", 0.001)
    said, deadline = "", time.monotonic() + 10
    with life_sign.life_signs("preparing the search"):
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
            said = capsys.readouterr().out
    assert said == "preparing the search, 0 s so far\n"


def test_a_run_whose_iterations_end_does_not_say_that_it_lives(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(life_sign, "FIRST", 10.0)
    monkeypatch.setattr(life_sign, "LOOKS", 0.001)
    with PlainDisplay(RunNumbers(RunConfig(n_iterations=9), None)) as display:
        display.working(lambda: "iteration 3: 5 of 32 episodes played")
        for iteration in (1, 2):
            clock.now += 6
            display.progress(row(iteration))
            time.sleep(0.05)  # fifty looks
        assert "episodes played" not in capsys.readouterr().out
        clock.now += 11
        deadline, said = time.perf_counter() + 10, ""
        while "episodes played" not in said and time.perf_counter() < deadline:
            time.sleep(0.01)
            said += capsys.readouterr().out
    assert "iteration 3: 5 of 32 episodes played, 11 s so far\n" in said


def test_an_evaluation_of_an_iteration_that_was_shown_is_shown_alone(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainDisplay(RunNumbers(RunConfig(n_iterations=9), None))
    for iteration in (1, 2):
        clock.now += 11
        display.progress(row(iteration))
    display.evaluation({"return_mean": 400.0, "iteration": 1, "best": 1})
    clock.now += 1
    display.progress(row(3))
    display.evaluation({"return_mean": 300.0, "iteration": 3, "best": 0})
    lines = [line for line in capsys.readouterr().out.splitlines() if "to go" not in line]
    assert lines[0].startswith("iteration 2  timesteps 200  ")
    assert lines[1] == "evaluation 400.0 (after 1)  best 400.0"
    assert lines[2].startswith("iteration 3  ")
    assert "evaluation 300.0 (after 3)  best 400.0" in lines[2]
