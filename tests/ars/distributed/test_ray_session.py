"""Ray belongs to one pool of a process at a time."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from ars.common.errors import ClusterError, RunError
from ars.distributed import ray_session
from ars.distributed.ray_session import Session, start_ray


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A Ray that takes a moment to start; the sessions that were stopped, by their processors."""
    stopped: list[int] = []

    def start(n_cpus: int) -> Session:
        time.sleep(0.1)
        return Session(lambda: stopped.append(n_cpus))

    monkeypatch.setattr(ray_session, "_start_local", start)
    return stopped


def test_of_threads_that_start_ray_together_one_has_it_and_the_others_are_refused(
    stopped: list[int],
) -> None:
    sessions: list[Session] = []
    refusals: list[str] = []

    def start(n_cpus: int) -> None:
        try:
            sessions.append(start_ray(n_cpus))
        except RunError as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=start, args=(n_cpus,)) for n_cpus in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 1 and stopped == []
    told = "another run of this process uses Ray; wait for it, or `n_workers` 0"
    assert refusals == [told] * 2
    sessions[0].stop()
    assert len(stopped) == 1


def test_a_session_that_is_stopped_twice_leaves_the_next_one_alone(stopped: list[int]) -> None:
    first = start_ray(1)
    first.stop()
    second = start_ray(2)
    first.stop()
    assert stopped == [1]
    with pytest.raises(RunError, match="another run of this process uses Ray"):
        start_ray(3)
    second.stop()
    assert stopped == [1, 2]


def test_an_address_that_nobody_listens_at_is_refused_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        ray_session._check_answer(address)
    with pytest.raises(ClusterError, match=f"`ray_address` {address}: cannot connect: Connection"):
        ray_session._check_answer(address)
    for other in ("ray://127.0.0.1:1", "nonsense", "local"):  # for Ray to judge
        ray_session._check_answer(other)
