"""Ray in this process: starting it or joining a cluster, checking that it lives, and leaving it."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ars.common.errors import RunError, one_line
from ars.common.interrupts import waiting
from ars.common.own_modules import PACKAGES, own_folders
from ars.distributed import reaper
from ars.distributed.nodes import Node

START_SECONDS = 120.0  # to start here: some 3 on a free machine
CONNECT_SECONDS = 60.0
VIEW_SECONDS = 1.0  # between two polls of the nodes

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # otherwise Ray reports a dead worker in a long paragraph
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # otherwise Ray warns of a coming change
}
_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
_TOOLKIT = ("ars", "envs", "policies")
# What Numba has compiled is sent too: nodes with the same kind of processor need not compile it.
_NOT_SHIPPED = ("*.pyc", "*.tmp.*", ".*", "venv", "runs", "*.egg-info")
_lock = threading.Lock()  # held while Ray starts or stops
_started: Session | None = None  # by a pool of this process that is still open


def default_workers() -> int:
    """The CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Session:
    """Ray in this process. If the process used Ray already, there is nothing to stop or check.

    Args:
        stop: ends Ray here, or leaves the cluster.
        processes: where each of Ray's processes on this machine listens, by name.
        shows_token: whether this process presents a token to the cluster.
    """

    def __init__(
        self,
        stop: Callable[[], None] = lambda: None,
        processes: Mapping[str, str] = MappingProxyType({}),
        shows_token: bool = False,
    ) -> None:
        self._stop, self._processes, self.shows_token = stop, processes, shows_token

    def stop(self) -> None:
        """End Ray here, or leave the cluster; safe to call twice."""
        global _started
        with _lock:
            stop, self._stop = self._stop, lambda: None
            stop()
            if _started is self:
                _started = None

    def check(self) -> None:
        """Raises: RunError if one of Ray's processes on this machine is gone.

        Ray itself would end this process without a message: at the next write to the object store
        if the raylet is gone, after a minute if the head is.
        """
        for name, address in self._processes.items():
            if not _listens(address):
                raise RunError(f"Ray's process on this machine ({name}) has died")


def _listens(address: str) -> bool:
    """Whether anything listens at `host:port` or at a socket's path; takes 20 us."""
    local = address.startswith("/")
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as probe:
        try:
            probe.connect(address if local else (host, int(port)))
        except OSError:
            return False
    return True


def start_ray(n_cpus: int, address: str | None = None, env_id: str = "") -> Session:
    """Start Ray here, or connect to a cluster's `address`; does nothing if Ray is in use already.

    A cluster's nodes get the toolkit's code, and the module that `env_id` names.

    Raises:
        RunError: Ray does not start or answer, or it serves another pool of this process.
    """
    global _started
    with _lock, _environment(_QUIET):  # the token too must be one for all threads
        os.environ.update(_local_environment() if address is None else _cluster_environment())
        import ray

        if _started is not None:
            raise RunError("another run of this process uses Ray; wait for it, or `n_workers` 0")
        if ray.is_initialized():
            return Session()
        _started = _start_local(n_cpus) if address is None else _join(address, env_id)
        return _started


def _start_local(n_cpus: int) -> Session:
    import ray

    mark = secrets.token_hex(16)
    reap = reaper.start(mark)
    with _environment({reaper.VARIABLE: mark}):
        try:
            context, release = _in_thread(
                lambda: ray.init(
                    "local",
                    num_cpus=n_cpus,
                    object_store_memory=100 << 20,  # bytes; snapshots and answers are kilobytes
                    include_dashboard=False,
                    job_config=_job_config(),
                    **_SILENT,
                ),
                START_SECONDS,
            )
        except BaseException:
            reap()
            raise
    _take_back_sigterm()
    addresses = context.address_info

    def stop() -> None:
        if ray.is_initialized():
            ray.shutdown(wait_for_processes=True)
        release()
        reap()
        shutil.rmtree(addresses["session_dir"], ignore_errors=True)

    sockets = {"raylet": addresses["raylet_socket_name"], "gcs_server": addresses["gcs_address"]}
    return Session(stop, sockets)


def _job_config() -> Any:
    """A configuration that keeps Ray from putting the current folder first on the workers' path.

    A file `ars.py` in it would hide the toolkit from them. They get this process's own path.
    """
    from ray.job_config import JobConfig

    config = JobConfig()
    config._client_job = True  # in Ray 2.60 this has no other effect in this process
    return config


def _join(address: str, env_id: str) -> Session:
    import ray

    with _runtime_env(env_id) as runtime_env, _stderr_closed():
        # Ray tries for ever if the token is wrong or nothing answers.
        context, release = _in_thread(
            lambda: ray.init(address, runtime_env=runtime_env, **_SILENT),
            CONNECT_SECONDS,
            f"`ray_address` {address}: cannot connect, perhaps for lack of its token",
        )
    _take_back_sigterm()

    def stop() -> None:  # the cluster goes on
        if ray.is_initialized():
            ray.shutdown()
        release()

    shows_token = os.environ.get("RAY_AUTH_MODE") == "token"
    return Session(stop, {"raylet": context.address_info["raylet_socket_name"]}, shows_token)


class NodeView:
    """The living nodes, polled in a thread, as Ray blocks for a minute while its head is silent."""

    def __init__(self) -> None:
        self.nodes = living_nodes()
        self._seen = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stop.wait(VIEW_SECONDS):
            try:
                self.nodes = living_nodes()
            except Exception:
                continue  # whatever the error, `age` grows
            self._seen = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the head last answered."""
        return time.monotonic() - self._seen

    def close(self) -> None:
        """Stop polling."""
        self._stop.set()
        self._thread.join(timeout=VIEW_SECONDS)


def living_nodes() -> list[Node]:
    """The nodes that Ray believes alive and that have processors; takes 0.9 ms on two nodes."""
    import ray

    nodes = [
        Node(node["NodeID"], node["NodeManagerAddress"], int(node["Resources"].get("CPU", 0)))
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]
    return [node for node in nodes if node.n_cpus]


@contextmanager
def _runtime_env(env_id: str) -> Iterator[dict[str, Any]]:
    """What a cluster's nodes need besides Ray and the dependencies.

    The modules are copied to a folder of their own, so that nothing else in the current folder is
    sent. A job submitted with a working directory has brought the code with it.
    """
    runtime_env: dict[str, Any] = {"env_vars": dict(_ONE_THREAD)}
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
    if (job.get("runtime_env") or {}).get("working_dir"):
        yield runtime_env
        return
    with tempfile.TemporaryDirectory(prefix="ars-") as folder:
        for name in (*_TOOLKIT, *_user_modules(env_id)):
            _copy_module(name, Path(folder))
        _copy_own_folder(_top_level_module(env_id), Path(folder))
        yield {**runtime_env, "working_dir": folder}


def _top_level_module(env_id: str) -> str:
    """`package` of `package.module:Id-v0`; empty if the id names no module."""
    return env_id.rpartition(":")[0].partition(".")[0]


def _user_modules(env_id: str) -> list[str]:
    """The top-level module that `env_id` names, unless it is installed like a dependency."""
    name = _top_level_module(env_id)
    if not name or name in (*_TOOLKIT, *sys.stdlib_module_names):
        return []
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}
    path = _module_path(name)
    return [name] if path is not None and not installed & set(path.parents) else []


def _module_path(name: str) -> Path | None:
    """The file or folder of a top-level module; None if it is neither."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin).resolve() if spec.has_location and spec.origin else None


def _copy_module(name: str, folder: Path) -> None:
    path = _module_path(name)
    assert path is not None
    if path.is_dir():
        shutil.copytree(path, folder / name, ignore=shutil.ignore_patterns(*_NOT_SHIPPED))
    else:
        shutil.copy(path, folder)


def _copy_own_folder(package: str, folder: Path) -> None:
    """Copy the user's modules that are found in a toolkit's package, such as `envs.my_robot`."""
    if package not in PACKAGES:
        return
    for own in own_folders(package):
        for path in Path(own).iterdir():
            target = folder / package / path.name
            if target.exists() or path.name == "__pycache__":
                continue
            if path.is_dir():
                shutil.copytree(path, target, ignore=shutil.ignore_patterns(*_NOT_SHIPPED))
            else:
                shutil.copy(path, target)


def _in_thread(
    start: Callable[[], Any], seconds: float, trouble: str = "Ray does not start"
) -> tuple[Any, Callable[[], None]]:
    """Run `start` in a thread of its own; returns its result and a function to end the thread.

    In the main thread Ray would take over SIGTERM, and exit on it in the middle of its start. The
    thread has to live on, because the processes that it started end with it.

    Raises:
        RunError: `start` fails or does not return in time. KeyboardInterrupt ends the wait too.
    """
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()
    released = threading.Event()

    def run() -> None:
        try:
            outcome.put(start())
        except BaseException as error:
            outcome.put(error)
        released.wait()

    threading.Thread(target=run, daemon=True).start()
    try:
        with waiting():
            result = outcome.get(timeout=seconds)
    except queue.Empty:
        raise RunError(f"{trouble}: no answer") from None
    if isinstance(result, BaseException):
        released.set()
        raise RunError(f"{trouble}: {one_line(result)}") from None
    return result, released.set


def _take_back_sigterm() -> None:
    """Remove the SIGTERM handler of Ray's C++ part, which writes a stack trace to stderr."""
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)


@functools.cache
def _token() -> str:
    # The same for the life of the process, because Ray keeps the first one that it reads.
    return secrets.token_hex(32)


def _local_environment() -> dict[str, str]:
    """What Ray's processes inherit; the driver's own environment is restored afterwards."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _token(),
        # On Linux too, this binds every port to the loopback interface alone.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # A process that sets its title would overwrite the mark that the reaper reads.
        "SPT_NOENV": "1",
        **_ONE_THREAD,
        # Workers import whatever this process can, the user's own environment included.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }


def _cluster_environment() -> dict[str, str]:
    """What this process's connection needs; the cluster's processes have their own environment."""
    values = {
        # Our runtime environment takes precedence over that of a submitted job.
        "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
        # Otherwise Ray leaves out __pycache__, where Numba's files are.
        "RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES": "",
    }
    # Ray itself presents an existing token only for the address "auto".
    token = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    if token or (Path.home() / ".ray" / "auth_token").exists():
        values["RAY_AUTH_MODE"] = os.environ.get("RAY_AUTH_MODE", "token")
    return values


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


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
