"""A time budget is kept within iterations and evaluations, and what it drops comes again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hopper_runs import resume, train
from learners import outcome, without_times

import ars.train
import ars.training.run
from ars.algorithms.actor_critic import A2C
from ars.algorithms.base import Row
from ars.rollout.pool import LocalPool
from ars.rollout.task import Snapshot, Task
from ars.training.time_budget import OutOfTime, TimeBudget


class Clock:
    """Stands still but for what is added."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def play(budget: TimeBudget, clock: Clock, rollouts: int, seconds: float = 1.0) -> None:
    """Rollouts of 100 steps, one after another."""
    for _ in range(rollouts):
        clock.now += seconds
        budget.answered(1, 100, seconds)


def test_an_evaluation_is_expected_to_take_what_its_steps_have_taken() -> None:
    clock = Clock()
    budget = TimeBudget(60, eval_episodes=10, stretch=3, clock=clock)
    play(budget, clock, 5, seconds=2.0)  # and episodes are three times as long in an evaluation
    assert budget.evaluation_seconds() == pytest.approx(1.2 * 10 * 6)
    budget.evaluated(40.0)  # now it is known
    budget.evaluated(30.0)  # the longest counts
    assert budget.evaluation_seconds() == pytest.approx(1.2 * 10 * 0.8)


def test_it_begins_once_the_pool_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    open_pool = ars.training.run._pool_for

    def noted(*given: Any) -> Any:
        order.append("pool")
        return open_pool(*given)

    monkeypatch.setattr(ars.training.run, "_pool_for", noted)
    monkeypatch.setattr(TimeBudget, "begin", lambda self: order.append("begin"))
    train(tmp_path / "run", "--n-iterations", "1")
    assert order == ["pool", "begin"]
    monkeypatch.undo()
    clock = Clock()
    budget = TimeBudget(60, clock=clock)
    clock.now += 50
    budget.begin()
    clock.now += 1
    assert budget.spent == 1


def test_it_is_not_judged_by_rollouts_that_load_and_compile() -> None:
    clock = Clock()
    budget = TimeBudget(60, eval_episodes=10, clock=clock)
    play(budget, clock, 4, seconds=10.0)
    assert budget.evaluation_seconds() == 0.0
    play(budget, clock, 1, seconds=0.1)
    assert budget.evaluation_seconds() == pytest.approx(1.2 * 10 * 0.1)


def test_rollouts_that_run_beside_each_other_shorten_it() -> None:
    clock = Clock()
    budget = TimeBudget(60, eval_episodes=10, clock=clock)
    for _ in range(3):
        clock.now += 1
        for _worker in range(4):
            budget.answered(1, 100, 1.0)
    assert budget.evaluation_seconds() == pytest.approx(1.2 * 3 * 1.0)


def test_what_is_done_between_evaluations_does_not_lengthen_them() -> None:
    clock = Clock()
    budget = TimeBudget(300, eval_episodes=20, clock=clock)
    for _ in range(2):
        clock.now += 100
        budget.submitted(20)
        for _ in range(5):
            clock.now += 1
            for _worker in range(4):
                budget.answered(1, 100, 1.0)
    assert budget.evaluation_seconds() == pytest.approx(1.2 * 5 * 1.0)


def test_time_is_kept_for_evaluations_but_no_more_than_half_of_it() -> None:
    clock = Clock()
    budget = TimeBudget(60, eval_episodes=10, clock=clock)
    play(budget, clock, 35)  # an evaluation: 12 s
    assert not budget.is_used(2)
    play(budget, clock, 2)
    assert budget.is_used(2)
    assert not budget.is_used(1)
    slow = TimeBudget(60, eval_episodes=100, clock=clock)
    play(slow, clock, 29)
    assert not slow.is_used(2)
    play(slow, clock, 1)
    assert slow.is_used(2)


def test_a_wait_ends_only_where_the_time_is_kept() -> None:
    clock = Clock()
    budget = TimeBudget(10, clock=clock)
    clock.now += 11
    budget.answered(1, 1, 0.0)
    with budget.kept_for(0), pytest.raises(OutOfTime):
        budget.waiting()
    budget.waiting()
    unlimited = TimeBudget(None, clock=clock)
    clock.now += 1e9
    unlimited.answered(1, 1, 0.0)
    with unlimited.kept_for(2):
        unlimited.waiting()


def test_a_run_that_took_longer_says_why() -> None:
    clock = Clock()
    budget = TimeBudget(10, eval_episodes=1, clock=clock)
    play(budget, clock, 5, seconds=1.7)
    assert budget.overrun(3.0) is None
    clock.now += 6.5
    assert budget.overrun(30.0) == (
        "the time budget is passed by 5 s: an iteration is always finished, and the last took 30 s"
    )
    assert budget.overrun(0.0) == (
        "the time budget is passed by 5 s: an evaluation takes about 2 s; fewer `eval_episodes` "
        "would shorten it"
    )


class EpisodesTakeASecond(LocalPool):
    """A pool by whose clock every episode takes a second."""

    clock = Clock()

    def __init__(self, spec: Any, on_event: Any, watch: Any) -> None:
        super().__init__(spec, on_event, watch)
        run = self._rollouts.run

        def and_wait(snapshot: Snapshot, tasks: Sequence[Task]) -> Any:
            self.clock.now += 1.0
            return run(snapshot, tasks)

        self._rollouts.run = and_wait  # type: ignore[method-assign]


def train_for(seconds: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of at most ten iterations, six episodes each, with evaluations of two."""
    clock = EpisodesTakeASecond.clock

    with monkeypatch.context() as patched:
        patched.setattr("ars.training.run.TimeBudget", partial(TimeBudget, clock=clock))
        patched.setattr("ars.training.run.LocalPool", EpisodesTakeASecond)
        patched.setattr("ars.rollout.pool.time.perf_counter", clock)
        words = ["--n-iterations", "10", "--time-budget", str(seconds)]
        before = clock.now
        train(folder, *words)
        assert clock.now - before <= max(seconds, 1) + 1


@pytest.mark.parametrize("seconds", [1, 3, 7, 13, 14, 17, 22, 27, 31, 36, 45, 53, 58, 62])
def test_what_a_budget_drops_comes_again_with_the_same_bytes(
    seconds: int,
    tmp_path: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    train_for(seconds, folder, monkeypatch)
    said = capsys.readouterr().out
    result = json.loads((folder / "result.json").read_text())
    assert result["stopped"] == f"time budget {seconds} used"
    assert result["iterations"] == max(0, len(without_times(folder / "progress.csv")) - 1) < 10
    assert "passed" not in said
    assert outcome(resume(folder, "--n-iterations", "10")) == undisturbed


def test_an_iteration_that_is_dropped_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_for(17, tmp_path / "run", monkeypatch)
    assert " episodes played: there is no time for more\n" in capsys.readouterr().out


def test_a_final_evaluation_without_time_is_cut_to_the_episodes_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_for(1, tmp_path / "run", monkeypatch)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["final_evaluation"]["episodes"] == 1
    assert result["best_evaluation"] is None
    assert (tmp_path / "run" / "best_policy.safetensors").exists()


def test_deep_algorithms_finish_their_iteration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()

    def iterate(self: A2C) -> Row:
        clock.now += 20.0
        return iteration(self)

    iteration = A2C._iterate
    monkeypatch.setattr("ars.training.run.TimeBudget", partial(TimeBudget, clock=clock))
    monkeypatch.setattr(A2C, "_iterate", iterate)
    words = ["--algo", "a2c", "--n-envs", "1", "--iteration-steps", "50", "--time-budget", "30"]
    ars.train.main(["CartPole-v1", "--run-dir", str(tmp_path / "run"), *words])
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["iterations"], result["timesteps"]) == (2, 100)
    assert "time budget 30 used" in result["stopped"]
    assert (
        "the time budget is passed by 10 s: an iteration is always finished, and the last took"
    ) in capsys.readouterr().out
