"""The supervisor tells a pause from silence, and starts a Ray that has died again. No Ray here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rollouts import TRAINING, make_spec

from ars.common.errors import RolloutError, RunError
from ars.distributed import supervisor
from ars.distributed.nodes import Node
from ars.distributed.ray_session import RayDied
from ars.distributed.supervisor import Supervisor
from ars.distributed.task_queue import TaskBatch
from ars.distributed.timeouts import SteadyClock, Timeouts


class Actors:
    """Stands for Ray: one node, and workers that never answer."""

    def __init__(self, *_: Any) -> None:
        self.view = SimpleNamespace(nodes=[Node("a", "10.0.0.1", 2)], n_answers=1)
        self.can_start_again, self.died = True, False
        self.n_rays, self.n_workers, self.open_folder = 1, 0, "/tmp/ray"

    def check(self) -> None:
        if self.died:
            raise RayDied("Ray's process on this machine (raylet) has died")

    def start_again(self) -> None:
        self.n_rays, self.died = self.n_rays + 1, False
        self.view = SimpleNamespace(nodes=[Node("b", "10.0.0.1", 2)], n_answers=1)

    def start(self, avoided: frozenset[str]) -> object:
        self.n_workers += 1
        return object()

    def call(self, *_: Any) -> object:
        return object()

    def kill(self, actor: object) -> None: ...

    def close(self) -> None: ...


class Lab:
    """A supervisor of two workers, its clock and what it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervisor, "RayActors", Actors)
        self.events: list[str] = []
        self.put_back: list[TaskBatch] = []
        self.seconds = 0.0
        self.supervisor = Supervisor(
            make_spec(), 2, None, Timeouts(100), self._put_back, self.events.append
        )
        self.supervisor._watch = SteadyClock(lambda: self.seconds)
        self.actors: Any = self.supervisor._actors
        (self.warning,) = self.events
        self.events.clear()

    def _put_back(self, batch: TaskBatch, ran: bool, hung_seconds: float | None = None) -> int:
        self.put_back.append(batch)
        return len(batch.tasks)

    def wait(self, seconds: float, times: int = 1, **changed: Any) -> None:
        """Let time pass, and the supervisor look; before that, change the stand-in for Ray."""
        for _ in range(times):
            vars(self.actors).update(changed)
            self.seconds += seconds
            self.supervisor._watch.look()
            self.supervisor.supervise()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(supervisor, "START_SECONDS", 1000.0)
    return Lab(monkeypatch)


def test_a_folder_of_ray_that_others_can_write_to_is_warned_of(lab: Lab) -> None:
    assert lab.warning.startswith("warning: this machine: other users can replace what is in /tmp/")


def test_a_pause_of_this_process_is_no_silence_of_the_head(lab: Lab) -> None:
    lab.wait(1)
    lab.wait(3600)
    lab.wait(1)
    assert lab.events == []


def test_a_head_that_is_silent_while_time_is_watched_ends_the_run(lab: Lab) -> None:
    lab.wait(1)
    for _ in range(20):
        lab.actors.view.n_answers += 1
        lab.wait(2)
    with pytest.raises(RunError, match="the Ray cluster's head has not answered for 30 s"):
        lab.wait(2, times=20)


def test_a_ray_that_died_is_started_again_with_its_workers_and_their_batches(lab: Lab) -> None:
    batch = TaskBatch(1, (0, 1), None, TRAINING[:2])
    lab.supervisor.run(lab.supervisor.workers[0], batch, lambda call, answer: None)
    lab.wait(1, died=True)
    assert lab.events == [
        "Ray's process on this machine (raylet) has died; Ray is started again, "
        "2 rollouts run again"
    ]
    assert lab.put_back == [batch]
    assert lab.actors.n_rays == 2 and lab.actors.n_workers == 4
    assert [len(worker.calls) for worker in lab.supervisor.workers] == [1, 1]


def test_a_ray_that_dies_again_and_again_ends_the_run(lab: Lab) -> None:
    with pytest.raises(RayDied):
        lab.wait(1, times=10, died=True)
    assert lab.actors.n_rays == 1 + supervisor.RAY_TRIES


def test_a_cluster_that_others_started_is_not_started_again(lab: Lab) -> None:
    with pytest.raises(RayDied, match=r"\(raylet\) has died"):
        lab.wait(1, died=True, can_start_again=False)


def spend(lab: Lab, seconds: float) -> None:
    """Let time pass in pieces that are no pauses."""
    for _ in range(round(seconds)):
        lab.seconds += 1.0
        lab.supervisor._watch.look()


def live(lab: Lab, index: int, seconds: float) -> None:
    """Have a worker become ready, live and end by itself."""
    worker = lab.supervisor.workers[index]
    worker.ready, worker.built = True, lab.supervisor.now
    spend(lab, seconds)
    lab.supervisor.replace(worker, "died")


def live_in_turn(lab: Lab, n_lives: int) -> None:
    for turn in range(n_lives):
        live(lab, turn % 2, 1.0)


def test_workers_that_all_end_soon_again_and_again_end_the_run(lab: Lab) -> None:
    with pytest.raises(RolloutError, match=r"each worker has ended 12 times in a row .* died$"):
        live_in_turn(lab, 1000)
    assert len(lab.events) == 2 * supervisor.SHORT_LIVES - 1


def test_a_run_goes_on_where_one_worker_lasts(lab: Lab) -> None:
    for _ in range(2 * supervisor.SHORT_LIVES):
        live(lab, 0, 1.0)
        live(lab, 1, supervisor.LIFE_SECONDS)
    assert len(lab.events) == 4 * supervisor.SHORT_LIVES


def test_a_worker_that_is_at_work_for_long_counts_as_lasting(lab: Lab) -> None:
    live_in_turn(lab, 2 * supervisor.SHORT_LIVES - 1)
    lab.supervisor.workers[0].ready = True
    lab.supervisor.workers[0].built = lab.supervisor.now
    spend(lab, supervisor.LIFE_SECONDS)
    live(lab, 1, 1.0)
    assert len(lab.events) == 2 * supervisor.SHORT_LIVES
