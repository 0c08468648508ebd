"""When a worker is late and when it is given up, by numbers worked out by hand."""

from __future__ import annotations

import pytest

from ars.distributed import timeouts
from ars.distributed.timeouts import SteadyClock, Timeouts


def learned(seconds: float, n_steps: int, rollout_length: int = 1000) -> Timeouts:
    found = Timeouts(rollout_length)
    for _ in range(10):
        found.learn(seconds, 1, n_steps)
    return found


def test_before_the_first_answer_there_is_much_patience() -> None:
    assert Timeouts(1000).late(1) == 30
    assert Timeouts(1000).hung(1) == 300
    assert Timeouts(1000).pace is None


def test_deadlines_follow_the_pace() -> None:
    found = learned(seconds=0.5, n_steps=1000)
    assert found.late(1) == 2 + 3 * 0.5
    assert found.late(4) == 2 + 3 * 4 * 0.5
    assert found.hung(1) == 20 + 10 * 0.5
    assert found.pace == pytest.approx(0.5)


def test_a_call_of_several_rollouts_counts_each() -> None:
    found = Timeouts(1000)
    found.learn(2.0, 4, 4000)
    assert found.pace == 0.5
    assert found.late(1) == 2 + 3 * 0.5


def test_short_episodes_do_not_make_a_long_one_late() -> None:
    # 0.2 s for 100 of 1000 steps: a full episode takes 2 s, and is not late before three times that
    assert learned(seconds=0.2, n_steps=100).late(1) == pytest.approx(2 + 3 * 2.0)


def test_but_what_takes_hundreds_of_times_as_long_is_no_episode() -> None:
    # 5 s of reset and one step, of 1000 it might have: not 5000 s
    assert learned(seconds=5.0, n_steps=1).late(1) == pytest.approx(2 + 3 * 100.0)


def test_stragglers_do_not_teach_patience() -> None:
    found = learned(seconds=0.5, n_steps=1000)
    for _ in range(4):
        found.learn(50.0, 1, 1000)
    assert found.late(1) == 2 + 3 * 0.5


def test_patience_doubles_with_every_try() -> None:
    found = learned(seconds=0.5, n_steps=1000)
    assert [found.hung(1, tries) for tries in range(3)] == [25, 50, 100]
    assert Timeouts(1000).hung(1, 1) == 600


def test_starts_are_learned_apart() -> None:
    found = learned(seconds=0.5, n_steps=1000)
    assert found.hung_start() == 300
    found.learn_start(4.0)
    assert found.hung_start() == 60 + 10 * 4.0
    assert found.late(1) == 2 + 3 * 0.5


def test_a_slow_constructor_is_waited_for() -> None:
    found = Timeouts(1000, env_seconds=75.0)
    assert found.hung_start() == 300 + 10 * 75.0
    assert found.patience(60.0) == 60 + 10 * 75.0
    found.learn_start(80.0)
    assert found.hung_start() == 60 + 10 * 80.0


def test_the_window_forgets() -> None:
    found = learned(seconds=0.5, n_steps=1000)
    for _ in range(timeouts.WINDOW):
        found.learn(1.0, 1, 1000)
    assert found.late(1) == 2 + 3 * 1.0


def test_a_watch_hardly_moves_while_nobody_looks() -> None:
    times = iter([100.0, 100.5, 101.0, 5000.0, 5000.25])
    watch = SteadyClock(lambda: next(times))
    assert [watch.look() for _ in range(4)] == [0.5, 1.0, 3.0, 3.25]
    assert watch.now == 3.25
