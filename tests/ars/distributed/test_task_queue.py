"""Bookkeeping of rollouts that run twice, get lost or hang: nothing is counted twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import envs
from ars.common.errors import RolloutError
from ars.common.seeding import Stream
from ars.distributed import task_queue
from ars.distributed.task_queue import TaskBatch, TaskQueue
from ars.rollout.episode import Episode
from ars.rollout.task import RolloutSpec, Task
from policies import make_policy

TASKS = [Task(Stream.TRAINING, 3, k, 1) for k in range(4)]


@pytest.fixture
def waiting() -> tuple[TaskQueue, int]:
    env = envs.make("CartPole-v1")
    policy = make_policy("linear", env.observation_space, env.action_space).spec
    env.close()
    found = TaskQueue(RolloutSpec("CartPole-v1", policy))
    return found, found.add(np.zeros(1), TASKS)


def episode(number: int) -> Episode:
    return Episode(float(number), float(number), 1)


def answers(batch: TaskBatch) -> list[Any]:
    return [episode(task.index) for task in batch.tasks]


def take_all(found: TaskQueue) -> list[TaskBatch]:
    batches = []
    while batch := found.take(1, 2):
        batches.append(batch)
    return batches


def numbers(episodes: Sequence[Episode]) -> list[float]:
    return [episode.total_reward for episode in episodes]


def test_the_first_answer_counts_and_the_late_one_changes_nothing(waiting: Any) -> None:
    found, request = waiting
    late, *others = take_all(found)
    for batch in others:
        found.answer(batch, answers(batch))
    copy = found.copy(late)
    assert copy == late
    assert found.copy(late) is None  # not a third time
    found.answer(copy, answers(copy))
    assert found.done(request)
    found.answer(late, [episode(99)])
    assert numbers(found.collect(request)) == [0, 1, 2, 3]
    found.answer(late, [episode(99)])  # later still
    assert found.put_back(late, ran=True) == 0
    assert found.copy(late) is None
    assert found.hangs(late) == 0


def test_a_lost_copy_does_not_run_a_third_time_while_the_first_runs(waiting: Any) -> None:
    found, request = waiting
    first, *others = take_all(found)
    copy = found.copy(first)
    assert copy is not None
    assert found.put_back(copy, ran=True) == 0
    assert found.take(1, 2) is None
    assert found.copy(first) is not None  # but may be copied again
    for batch in [first, *others]:
        found.answer(batch, answers(batch))
    assert numbers(found.collect(request)) == [0, 1, 2, 3]


def test_when_both_are_lost_it_runs_again_once(waiting: Any) -> None:
    found, request = waiting
    first, *others = take_all(found)
    copy = found.copy(first)
    assert copy is not None
    assert found.put_back(first, ran=True) == 0
    assert found.put_back(copy, ran=True) == 1
    (again,) = take_all(found)
    assert again.indices == first.indices
    for batch in [again, *others]:
        found.answer(batch, answers(batch))
    assert numbers(found.collect(request)) == [0, 1, 2, 3]


def test_only_what_is_unanswered_is_copied(waiting: Any) -> None:
    found, _ = waiting
    whole = found.take(2, 1)
    assert whole is not None and len(whole.tasks) == 2
    copy = found.copy(whole)
    assert copy is not None
    found.answer(copy, answers(copy))
    assert found.copy(whole) is None
    assert found.put_back(whole, ran=True) == 0  # its worker died after all


def test_a_failure_beside_an_answer_does_not_count(waiting: Any) -> None:
    found, request = waiting
    first, *others = take_all(found)
    copy = found.copy(first)
    for batch in [copy, *others]:
        found.answer(batch, answers(batch))
    found.answer(first, [RolloutError("too late")])
    assert numbers(found.collect(request)) == [0, 1, 2, 3]


def test_a_failure_beside_a_running_copy_waits_for_the_copy(waiting: Any) -> None:
    found, request = waiting
    first, *others = take_all(found)
    copy = found.copy(first)
    found.answer(first, [RolloutError("once")])
    assert found.take(1, 2) is None
    for batch in [copy, *others]:
        found.answer(batch, answers(batch))
    assert numbers(found.collect(request)) == [0, 1, 2, 3]


def test_a_rollout_that_never_ends_is_named(waiting: Any) -> None:
    found, request = waiting
    for tries in range(task_queue.HUNG_TRIES):
        assert not found.done(request)
        batch = found.take(1, 2)
        assert batch is not None and found.hangs(batch) == tries
        found.put_back(batch, ran=True, hung_seconds=20.0 * 2**tries)
    with pytest.raises(RolloutError, match=r"direction 0, sign \+: no answer in 160 s, 4 times$"):
        found.collect(request)


def test_a_rollout_whose_worker_dies_ten_times_is_named(waiting: Any) -> None:
    found, request = waiting
    for _ in range(10):
        assert not found.done(request)
        found.put_back(found.take(2, 1), ran=True)
    with pytest.raises(RolloutError, match=r"direction 0, sign \+: its worker died 10 times$"):
        found.collect(request)


def test_a_batch_is_half_of_a_share_and_what_lost_its_worker_goes_alone(waiting: Any) -> None:
    found, _ = waiting
    for ran, length in ((False, 2), (True, 2), (True, 1)):
        batch = found.take(9, 1)
        assert len(batch.tasks) == length
        found.put_back(batch, ran=ran)


def test_what_waits_is_counted_until_it_is_handed_out_and_when_it_comes_back(waiting: Any) -> None:
    found, _ = waiting
    assert found.n_waiting() == 4
    batch = found.take(1, 2)
    assert found.n_waiting() == 3
    found.put_back(batch, ran=False)
    assert found.n_waiting() == 4


def test_a_queue_that_is_cleared_hears_nothing_of_what_comes_back(
    waiting: tuple[TaskQueue, int],
) -> None:
    found, _ = waiting
    early, lost, late = (found.take(1, 2) for _ in range(3))
    assert early and lost and late
    found.answer(early, answers(early))
    found.clear()
    assert (found.n_waiting(), found.take(1, 2), found.copy(late)) == (0, None, None)
    assert found.put_back(lost, ran=True) == 0
    again = found.add(np.zeros(1), TASKS[:1])
    found.answer(late, answers(late))
    assert not found.done(again)
