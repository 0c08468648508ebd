"""Workers may be few or many, be slow or die: the episodes are those of a single process."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import alive, wait_until
from rollouts import EVALUATION, TRAINING, expected, make_snapshot, make_spec, plain, run

import envs
from ars.common.errors import RolloutError, RunError
from ars.distributed import pool as pool_module
from ars.distributed import ray_actors, ray_session, supervisor, task_queue, timeouts
from ars.distributed.pool import RayPool
from ars.rollout.pool import LocalPool
from ars.rollout.task import RolloutSpec, Snapshot, task_seed
from policies import make_policy


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One Ray for all pools here: each start of Ray costs seconds."""
    session = ray_session.start_ray(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_session, "_started", None)  # as if it were the user's own
        yield
    session.stop()


@pytest.fixture
def make_pool() -> Iterator[Callable[..., RayPool]]:
    pools: list[RayPool] = []

    def make(*args: Any, **kwargs: Any) -> RayPool:
        pools.append(RayPool(*args, **kwargs))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
        pool.close()  # safe


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_episodes_do_not_depend_on_the_number_of_workers(make_pool: Any, n_workers: int) -> None:
    spec = make_spec()
    pool = make_pool(spec, n_workers)
    want = expected(spec, TRAINING)
    assert run(pool, TRAINING) == want
    assert run(pool, TRAINING) == want  # in calls of several rollouts, now that they are known
    assert 1 <= len(pool.pids()) <= n_workers


@pytest.mark.parametrize("evaluation_first", [True, False])
def test_two_requests_collected_in_either_order(make_pool: Any, evaluation_first: bool) -> None:
    spec = make_spec()
    pool = make_pool(spec, 2)
    evaluation = pool.submit(make_snapshot(), EVALUATION)
    training = pool.submit(Snapshot(np.ones(8), delta_std=0.5), TRAINING)
    empty = pool.submit(make_snapshot(), [])
    order = [evaluation, training] if evaluation_first else [training, evaluation]
    episodes = {request: pool.collect(request) for request in order}
    local = LocalPool(spec)
    assert plain(episodes[training]) == plain(
        local.collect(local.submit(Snapshot(np.ones(8), delta_std=0.5), TRAINING))
    )
    assert plain(episodes[evaluation]) == expected(spec, EVALUATION)
    assert pool.collect(empty) == []


@pytest.mark.parametrize("n_killed", [1, 3])
def test_killed_workers_are_replaced_and_change_nothing(make_pool: Any, n_killed: int) -> None:
    spec = make_spec("faulty_envs:Slow-v0")
    events: list[str] = []
    pool = make_pool(spec, 3, on_event=events.append)
    while len(pool.pids()) < 3:
        run(pool, TRAINING[:3])
    before = pool.pids()

    answered = pool.n_answered

    def kill() -> None:
        wait_until(lambda: pool.n_answered > answered)  # in the middle of calls
        for pid in before[:n_killed]:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    episodes = run(pool, TRAINING)
    killer.join()
    assert episodes == expected(make_spec(), TRAINING)
    assert len(events) == n_killed
    assert "died; replaced" in events[0]
    assert f"(pid {before[0]})" in " ".join(events)
    assert not set(before[:n_killed]) & set(pool.pids())


def test_a_worker_killed_while_idle_is_replaced(make_pool: Any) -> None:
    spec = make_spec()
    pool = make_pool(spec, 1)
    run(pool, TRAINING[:2])
    os.kill(pool.pids()[0], signal.SIGKILL)
    assert run(pool, TRAINING) == expected(spec, TRAINING)


def test_a_constructor_that_raises_ends_the_run_with_its_own_error(
    make_pool: Any, tmp_path: Path
) -> None:
    pool = make_pool(make_spec("faulty_envs:BrokenConstructor-v0", flag=str(tmp_path)), 2)
    with pytest.raises(
        RunError, match=r"cannot start: OSError: no such robot \(at .*:\d+\)$"
    ) as info:
        run(pool, TRAINING)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("name", ["Raises", "Kills", "KillsAtTheEnd"])
def test_a_rollout_that_fails_once_is_run_again(make_pool: Any, tmp_path: Path, name: str) -> None:
    env_id = f"faulty_envs:{name}-v0"
    spec = make_spec(env_id)
    seed = task_seed(spec, TRAINING[7])
    faulty = make_spec(env_id, seed=seed, flag=str(tmp_path / "flag"))
    events: list[str] = []
    pool = make_pool(faulty, 2, on_event=events.append)
    assert run(pool, TRAINING) == expected(spec, TRAINING)
    assert len(events) == 1


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts that a test can wait for."""
    monkeypatch.setattr(timeouts, "LATE_SECONDS", 0.5)
    monkeypatch.setattr(timeouts, "HUNG_SECONDS", 2.0)
    monkeypatch.setattr(timeouts, "HUNG_START_SECONDS", 1.0)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_stopped_worker_is_replaced(make_pool: Any, n_workers: int) -> None:
    events: list[str] = []
    pool = make_pool(make_spec("faulty_envs:Slow-v0"), n_workers, on_event=events.append)
    while len(pool.pids()) < n_workers:
        run(pool, TRAINING[:n_workers])
    stopped = pool.pids()[0]
    os.kill(stopped, signal.SIGSTOP)
    assert run(pool, TRAINING) == expected(make_spec(), TRAINING)
    while stopped in pool.pids():  # the others may have done it all by then
        run(pool, TRAINING)
    assert any(f"(pid {stopped}) did not answer for" in event for event in events)
    assert wait_until(lambda: not alive(stopped))


@pytest.mark.usefixtures("hasty")
def test_a_rollout_that_hangs_once_is_run_again(make_pool: Any, tmp_path: Path) -> None:
    seed = task_seed(make_spec(), TRAINING[7])
    faulty = make_spec("faulty_envs:Hangs-v0", seed=seed, flag=str(tmp_path / "flag"))
    assert run(make_pool(faulty, 1), TRAINING) == expected(make_spec(), TRAINING)


@pytest.mark.usefixtures("hasty")
def test_a_rollout_that_always_hangs_is_named(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "HUNG_TRIES", 2)
    seed = task_seed(make_spec(), TRAINING[7])
    pool = make_pool(make_spec("faulty_envs:Hangs-v0", seed=seed), 1)
    run(pool, EVALUATION)
    with pytest.raises(RolloutError, match=r"direction 3, sign -: no answer in \d+ s, 2 times"):
        run(pool, TRAINING)


def test_a_straggler_gets_a_second_copy_elsewhere(make_pool: Any, tmp_path: Path) -> None:
    seed = task_seed(make_spec(), TRAINING[7])
    faulty = make_spec("faulty_envs:Straggles-v0", seed=seed, flag=str(tmp_path / "flag"))
    events: list[str] = []
    pool = make_pool(faulty, 2, on_event=events.append)
    while len(pool.pids()) < 2:
        run(pool, EVALUATION)
    want = expected(make_spec(), TRAINING)
    before, began = pool.n_answered, time.monotonic()
    assert run(pool, TRAINING) == want
    assert run(pool, TRAINING) == want  # the late worker still holds its first copy
    assert time.monotonic() - began < 300  # it would be 600
    assert len(events) == 1
    assert events[0].endswith("is late; its rollouts also run elsewhere")
    assert pool.n_answered - before == 2 * len(TRAINING)  # what the straggler holds, its copy did


def test_an_ordinary_tail_is_not_run_twice(make_pool: Any) -> None:
    events: list[str] = []
    pool = make_pool(make_spec("faulty_envs:Slow-v0"), 2, on_event=events.append)
    run(pool, TRAINING)
    before = pool.n_answered
    for n_tasks in (1, 3, 5, len(TRAINING)):
        run(pool, TRAINING[:n_tasks])
    assert pool.n_answered - before == 1 + 3 + 5 + len(TRAINING)
    assert events == []


def test_second_calls_wait_at_workers_only_while_many_rollouts_do(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "CALL_SECONDS", 0.0)  # one rollout to a call
    monkeypatch.setattr(pool_module, "SHORT_CALL_SECONDS", 0.0)
    pool = make_pool(make_spec("faulty_envs:Slow-v0"), 2)
    while len(pool.pids()) < 2:
        run(pool, TRAINING[:2])
    waiting: list[int] = []
    hand_out = pool._supervisor.run

    def watched(worker: Any, batch: Any, settle: Any) -> None:
        if worker.calls:
            waiting.append(pool._queue.n_waiting() + len(batch.tasks))
        hand_out(worker, batch, settle)

    monkeypatch.setattr(pool._supervisor, "run", watched)
    assert run(pool, TRAINING) == expected(make_spec(), TRAINING)
    assert waiting and min(waiting) >= pool_module.WAITING_PER_WORKER * 2


@pytest.mark.parametrize("sent_bytes", [ray_actors.SENT_BYTES, 0])  # with the call, or through Ray
def test_snapshots_of_many_requests_are_not_confused(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch, sent_bytes: int
) -> None:
    monkeypatch.setattr(ray_actors, "SENT_BYTES", sent_bytes)
    spec = make_spec()
    pool, local = make_pool(spec, 1), LocalPool(spec)
    snapshots = [Snapshot(np.full(8, 0.1 * n), delta_std=0.5) for n in range(5)]
    for tasks in (TRAINING[:4], EVALUATION[:3]):
        requests = [pool.submit(snapshot, tasks) for snapshot in snapshots]
        for request, snapshot in reversed(list(zip(requests, snapshots, strict=True))):
            want = local.collect(local.submit(snapshot, tasks))
            assert plain(pool.collect(request)) == plain(want)


def test_a_rollout_that_always_raises_is_named(make_pool: Any) -> None:
    seed = task_seed(make_spec(), TRAINING[7])
    pool = make_pool(make_spec("faulty_envs:Raises-v0", seed=seed), 2)
    healthy = pool.submit(make_snapshot(), EVALUATION)
    with pytest.raises(RolloutError, match=r"iteration 4, direction 3, sign -") as info:
        run(pool, TRAINING)
    assert "ValueError: the pole snapped (at " in str(info.value)
    assert plain(pool.collect(healthy)) == expected(make_spec(), EVALUATION)


def test_a_rollout_that_always_kills_its_worker_is_named(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "LOST_TRIES", 3)
    seed = task_seed(make_spec(), TRAINING[7])
    pool = make_pool(make_spec("faulty_envs:Kills-v0", seed=seed), 2)
    with pytest.raises(RolloutError, match=r"direction 3, sign -: its worker died 3 times"):
        run(pool, TRAINING)


def test_no_free_processor_is_an_error_and_not_a_wait(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    occupant = make_pool(make_spec(), 5)
    while len(occupant.pids()) < 5:
        run(occupant, TRAINING[:5])
    monkeypatch.setattr(supervisor, "START_SECONDS", 1.0)
    pool = make_pool(make_spec(), 1)
    with pytest.raises(RunError, match="no worker started within 1 s"):
        run(pool, TRAINING)


def test_a_worker_that_cannot_compile_its_loop_is_told_once(make_pool: Any) -> None:
    env = envs.make("Hopper")
    policy = make_policy("linear", env.observation_space, env.action_space).spec
    env.close()
    spec = RolloutSpec("faulty_envs:HopperWithoutNumba-v0", policy)
    snapshot, tasks = Snapshot(np.zeros(policy.n_weights), delta_std=0.1), TRAINING[:6]
    events: list[str] = []
    pool = make_pool(spec, 2, on_event=events.append)
    while len(pool.pids()) < 2:
        episodes = pool.collect(pool.submit(snapshot, tasks))
    local = LocalPool(dataclasses.replace(spec, env_id="Hopper"))
    assert plain(episodes) == plain(local.collect(local.submit(snapshot, tasks)))
    assert len(events) == 1
    assert events[0].startswith("warning: worker ")
    assert "): Hopper runs at half its speed, with the same results: " in events[0]


def test_workers_load_no_torch_and_run_one_thread_each(make_pool: Any) -> None:
    pool = make_pool(make_spec(), 1)
    run(pool, TRAINING)
    maps = Path(f"/proc/{pool.pids()[0]}/maps").read_text()
    assert "numpy" in maps
    assert "torch" not in maps
    environment = Path(f"/proc/{pool.pids()[0]}/environ").read_text().split("\0")
    assert {"OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1"} <= set(environment)


def test_ray_refuses_a_client_without_the_token() -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    assert address.startswith("127.0.0.1:")
    assert "RAY_AUTH_TOKEN" not in os.environ  # the driver's environment is as it was
    code = f"import ray; ray.init({address!r}, logging_level='CRITICAL'); print('connected')"
    client = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},  # look on the loopback
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with client:
        assert client.stdout
        first = client.stdout.readline()  # it tries again and again, and says so
        client.kill()
    assert "InvalidAuthToken" in first
