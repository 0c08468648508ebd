"""Ray in this process: starting it or joining a cluster, checking that it lives, and leaving it."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

from ars.common.errors import ClusterError, RunError, one_line
from ars.common.interrupts import waiting
from ars.common.reaper import GRACE_SECONDS, Reaper
from ars.distributed.limits import check_limits
from ars.distributed.own_cluster import own_cluster
from ars.distributed.private_folder import RAY_FOLDER, make_private_folder
from ars.distributed.ray_environment import (
    DRIVER,
    cluster_environment,
    environment,
    local_environment,
)
from ars.distributed.shipping import runtime_env

START_SECONDS = 120.0  # to start here: some 3 on a free machine
CONNECT_SECONDS = 60.0
LISTEN_SECONDS = 1.0  # until a process that does not accept a connection is left alone
SHUTDOWN_SECONDS = 3.0  # until Ray's processes are killed; usually it takes 1.3 s

_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
_lock = threading.Lock()  # held while Ray starts or stops
_started: Session | None = None  # by a pool of this process that is still open


class RayDied(ClusterError):
    """One of Ray's processes on this machine is gone."""


class Session:
    """Ray in this process. If the process used Ray already, there is nothing to stop or check.

    Args:
        stop: ends Ray here, or leaves the cluster.
        processes: where each of Ray's processes on this machine listens, by name.
        shows_token: whether this process presents a token to the cluster.
        reaper: of a Ray that was started here.
        head: the address of a cluster that was joined.

    Attributes:
        own: whether Ray was started here, for this session alone.
    """

    def __init__(
        self,
        stop: Callable[[], None] = lambda: None,
        processes: Mapping[str, str] = MappingProxyType({}),
        shows_token: bool = False,
        reaper: Reaper | None = None,
        head: str | None = None,
    ) -> None:
        self._stop, self._processes, self.shows_token = stop, processes, shows_token
        self._reaper, self.own, self.head = reaper, reaper is not None, head

    def stop(self) -> None:
        """End Ray here, or leave the cluster; safe to call twice."""
        global _started
        with _lock:
            stop, self._stop = self._stop, lambda: None
            stop()
            if _started is self:
                _started = None

    def check(self) -> None:
        """Raises: RayDied if one of Ray's processes on this machine is gone.

        Ray itself would end this process without a message: at the next write to the object store
        if the raylet is gone, after a minute if the head is.
        """
        for name, address in self._processes.items():
            if not _listens(address):
                raise RayDied(f"Ray's process on this machine ({name}) has died")
        if self._reaper is not None:
            self._reaper.keep()


def _listens(address: str) -> bool:
    """Whether anything listens at `host:port` or at a socket's path; takes 20 us."""
    local = address.startswith("/")
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as probe:
        probe.settimeout(LISTEN_SECONDS)
        try:
            probe.connect(address if local else (host, int(port)))
        except (BlockingIOError, TimeoutError):  # a stopped process, which has many waiting
            return True
        except OSError:
            return False
    return True


def start_ray(
    n_cpus: int,
    address: str | None = None,
    env_id: str = "",
    env_kwargs: Mapping[str, Any] = {},
) -> Session:
    """Start Ray here, or connect to a cluster's `address`; does nothing if Ray is in use already.

    A cluster's nodes get the toolkit's code, and the modules that the environment names.

    Raises:
        RunError: Ray does not start or answer, or it serves another pool of this process.
    """
    global _started
    with _lock, environment(DRIVER):  # the token too must be one for all threads
        os.environ.update(local_environment() if address is None else cluster_environment())
        import ray

        if _started is not None:
            raise RunError("another run of this process uses Ray; wait for it, or `n_workers` 0")
        if ray.is_initialized():
            return Session()
        _started = _start_local(n_cpus) if address is None else _join(address, env_id, env_kwargs)
        return _started


def _start_local(n_cpus: int) -> Session:
    import ray

    check_limits(n_cpus)
    folder = make_private_folder()
    reaper = Reaper(folder)
    with reaper.marking(), _groups_of_their_own():
        try:
            context, release = _in_thread(
                lambda: ray.init(
                    "local",
                    num_cpus=n_cpus,
                    object_store_memory=100 << 20,  # bytes; snapshots and answers are kilobytes
                    include_dashboard=False,
                    job_config=_job_config(),
                    _temp_dir=str(folder / RAY_FOLDER),
                    **_SILENT,
                ),
                START_SECONDS,
                # Its folder is removed after this process, whose part of Ray may make it again.
                abandon=reaper.end,
            )
        except KeyboardInterrupt:
            raise  # Ray holds Python's lock for 30 s if it is killed while it starts
        except BaseException:
            # The thread may not have noticed: what it still makes goes with this process.
            reaper.end(grace_seconds=0.0)
            raise
    _take_back_sigterm()
    addresses = context.address_info

    def stop() -> None:
        _shut_down(reaper)
        release()

    processes = {
        "raylet": addresses["raylet_socket_name"],
        "gcs_server": addresses["gcs_address"],
    }
    return Session(stop, processes, reaper=reaper)


@contextmanager
def _groups_of_their_own() -> Iterator[None]:
    """Put each of Ray's processes into a process group of its own, which no terminal signals.

    Ray has no setting for it. If its head dies of a signal while it starts, Ray holds Python's lock
    for 30 s as it waits for the head's port, and nothing can be interrupted.
    """
    from ray._private import services as module

    services: Any = module
    start = services.ConsolePopen
    services.ConsolePopen = partial(start, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = start


def _shut_down(reaper: Reaper) -> None:
    """End Ray here, by force if its processes do not answer.

    With its head stopped, `ray.shutdown` would wait for it for ever.
    """
    import ray

    def shut_down() -> None:
        if ray.is_initialized():
            ray.shutdown(wait_for_processes=True)

    thread = threading.Thread(target=shut_down, daemon=True)
    thread.start()
    thread.join(SHUTDOWN_SECONDS)
    reaper.reap(grace_seconds=0.0 if thread.is_alive() else GRACE_SECONDS)
    thread.join()
    reaper.reap()  # Ray's part in this process may have made the folder again


def _job_config() -> Any:
    """A configuration that keeps Ray from putting the current folder first on the workers' path.

    A file `ars.py` in it would hide the toolkit from them. They get this process's own path.
    """
    from ray.job_config import JobConfig

    config = JobConfig()
    config._client_job = True  # in Ray 2.60 this has no other effect in this process
    return config


def _join(address: str, env_id: str, env_kwargs: Mapping[str, Any]) -> Session:
    import ray

    if address == "auto":
        address = own_cluster()
    _check_answer(address)
    with runtime_env(env_id, env_kwargs) as what_is_sent, _stderr_closed():
        # Ray tries for ever if the token is wrong or nothing answers.
        context, release = _in_thread(
            lambda: ray.init(address, runtime_env=what_is_sent, **_SILENT),
            CONNECT_SECONDS,
            f"`ray_address` {address}: cannot connect, perhaps for lack of its token",
        )
    _take_back_sigterm()

    def stop() -> None:  # the cluster goes on
        if ray.is_initialized():
            ray.shutdown()
        release()

    found = context.address_info
    shows_token = os.environ.get("RAY_AUTH_MODE") == "token"
    return Session(
        stop, {"raylet": found["raylet_socket_name"]}, shows_token, head=found["gcs_address"]
    )


def _check_answer(address: str) -> None:
    """Raises: ClusterError if it is plain that nothing answers at `host:port`."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except TimeoutError:  # Ray has its own patience
        return
    except (OSError, OverflowError) as error:
        raise ClusterError(f"`ray_address` {address}: cannot connect: {one_line(error)}") from None


def _in_thread(
    start: Callable[[], Any],
    seconds: float,
    trouble: str = "Ray does not start (`n_workers` 0 trains without it, with the same results)",
    abandon: Callable[[], None] = lambda: None,
) -> tuple[Any, Callable[[], None]]:
    """Run `start` in a thread of its own; returns its result and a function to end the thread.

    In the main thread Ray would take over SIGTERM, and exit on it in the middle of its start. The
    thread has to live on, because the processes that it started end with it.

    Raises:
        ClusterError: `start` fails or does not return in time.
        KeyboardInterrupt: the user does not wait; `abandon` is called after `start`, unless this
            process ends before.
    """
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()
    released, given_up = threading.Event(), threading.Event()

    def run() -> None:
        try:
            outcome.put(start())
        except BaseException as error:
            outcome.put(error)
        released.wait()
        if given_up.is_set():
            abandon()

    threading.Thread(target=run, daemon=True).start()
    try:
        with waiting():
            result = outcome.get(timeout=seconds)
    except queue.Empty:
        raise ClusterError(f"{trouble}: no answer") from None
    except KeyboardInterrupt:
        given_up.set()
        released.set()
        raise
    if isinstance(result, BaseException):
        released.set()
        raise ClusterError(f"{trouble}: {one_line(result)}") from None
    return result, released.set


def _take_back_sigterm() -> None:
    """Remove the SIGTERM handler of Ray's C++ part, which writes a stack trace to stderr."""
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Hide the many lines that Ray's C++ part prints for a wrong token, whatever its log level."""
    with open(os.devnull, "w") as nowhere:
        before = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
