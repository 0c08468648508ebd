"""A cluster's nodes may come, go, freeze or differ: the episodes are those of a single process.

Several raylets on this machine stand for the nodes. They know nothing of where the toolkit is.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import alive, parent, wait_until
from raylets import Raylets
from rollouts import EVALUATION, TRAINING, expected, make_snapshot, make_spec, plain, run

from ars.common.errors import RunError
from ars.distributed import ray_environment, supervisor, timeouts
from ars.distributed.pool import RayPool

SLOW = "faulty_envs:Slow-v0"  # a module that the nodes can have from the driver alone


@pytest.fixture(scope="module")
def raylets() -> Iterator[Raylets]:
    with ray_environment.environment(
        ray_environment.QUIET | ray_environment.local_environment() | {"PYTHONPATH": ""}
    ):
        found = Raylets()
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
def make_pool(raylets: Raylets) -> Iterator[Callable[..., RayPool]]:
    pools: list[RayPool] = []
    for node in list(raylets.nodes):
        raylets.remove(node)

    def make(env_id: str, n_workers: int | None, events: list[str]) -> RayPool:
        pools.append(RayPool(make_spec(env_id), n_workers, raylets.address, events.append))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def run_until(pool: RayPool, condition: Callable[[], bool], seconds: float = 180.0) -> None:
    """Keep a pool busy, its episodes compared each time, until something has happened."""
    want = expected(make_spec(), EVALUATION)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert run(pool, EVALUATION) == want


def test_workers_follow_the_nodes_and_nothing_shows_in_the_episodes(
    raylets: Raylets, make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(supervisor, "NODE_SECONDS", 15.0)  # a worker's start takes some
    first = raylets.add(2)
    pool = make_pool(SLOW, None, events)
    run_until(pool, lambda: len(pool.pids()) == 2)
    _look_at_what_was_shipped(pool.pids()[0])

    second = raylets.add(1)
    run_until(pool, lambda: len(pool.pids()) == 3)
    assert events == ["the cluster has 2 nodes and 3 processors now, before 1 and 2"]

    request = pool.submit(make_snapshot(), TRAINING)  # amid which a node goes
    remover = threading.Timer(0.5, raylets.remove, [first])
    remover.start()
    assert plain(pool.collect(request)) == expected(make_spec(), TRAINING)
    remover.join()
    run_until(pool, lambda: "has 1 nodes and 1 processors now" in events[-1])
    run_until(pool, lambda: len(pool.pids()) == 1)

    raylets.remove(second)
    with pytest.raises(RunError, match="no worker started within 15 s: no node is left") as info:
        run(pool, TRAINING)
    assert "\n" not in str(info.value)


def _look_at_what_was_shipped(pid: int) -> None:
    shipped = Path(f"/proc/{pid}/cwd").resolve()
    assert {path.name for path in shipped.iterdir()} == {
        "ars",
        "envs",
        "policies",
        "faulty_envs.py",
    }
    environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert {"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"} <= set(environment)


def test_a_node_of_other_versions_is_refused_and_the_rest_go_on(
    raylets: Raylets, make_pool: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "numpy-1.99.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.99.0\n")
    events: list[str] = []
    raylets.add(1, path=str(tmp_path))
    pool = make_pool(SLOW, 1, events)
    with pytest.raises(
        RunError, match=r"no node can be used: .*: numpy 1\.99\.0 there, [\d.]+ here"
    ):
        run(pool, TRAINING)
    pool.close()

    raylets.add(1)
    pool = make_pool(SLOW, None, events)
    run_until(pool, lambda: any("is not used: numpy 1.99.0 there" in event for event in events))
    assert run(pool, TRAINING) == expected(make_spec(), TRAINING)
    assert len(pool.pids()) == 1


def test_workers_that_cannot_be_placed_do_not_hinder_the_others(
    raylets: Raylets, make_pool: Any
) -> None:
    events: list[str] = []
    raylets.add(1)
    pool = make_pool(SLOW, 3, events)
    assert run(pool, TRAINING) == expected(make_spec(), TRAINING)
    assert len(pool.pids()) == 1
    raylets.add(1)
    run_until(pool, lambda: len(pool.pids()) == 2)


def test_a_frozen_node_is_survived_and_its_late_answers_ignored(
    raylets: Raylets, make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "LATE_SECONDS", 0.5)
    monkeypatch.setattr(timeouts, "HUNG_SECONDS", 3.0)
    events: list[str] = []
    raylets.add(1)
    second = raylets.add(1)
    pool = make_pool(SLOW, None, events)
    run_until(pool, lambda: len(pool.pids()) == 2)
    raylet = second.all_processes["raylet"][0].process.pid
    frozen = [raylet, *(pid for pid in pool.pids() if parent(pid) == raylet)]
    assert len(frozen) == 2
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            assert run(pool, TRAINING) == expected(make_spec(), TRAINING)
    finally:
        for pid in frozen:
            if alive(pid):
                os.kill(pid, signal.SIGCONT)
    assert run(pool, TRAINING) == expected(make_spec(), TRAINING)
    # The thawed raylet ends, and its worker with it, told or not; one not taken for dead serves on.
    assert wait_until(lambda: not alive(frozen[1]) or frozen[1] in pool.pids())
