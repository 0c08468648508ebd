"""The environment variables that Ray's processes and this process's connection need."""

from __future__ import annotations

import functools
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ars.common.home import home_folder

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# For Ray's part in this process.
DRIVER = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # otherwise Ray reports a dead worker in a long paragraph
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # otherwise Ray warns of a coming change
    # Otherwise Ray ends this process a minute after a head is gone, even after another has started.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10000000",
    # Otherwise leaving a head that is gone takes 5 s.
    "RAY_task_events_shutdown_flush_timeout_ms": "200",
}


@functools.cache
def _token() -> str:
    # The same for the life of the process, because Ray keeps the first one that it reads.
    return secrets.token_hex(32)


def local_environment() -> dict[str, str]:
    """What Ray's processes inherit; the driver's own environment is restored afterwards."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _token(),
        # On Linux too, this binds every port to the loopback interface alone.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # A process that sets its title would overwrite the mark that a reaper reads.
        "SPT_NOENV": "1",
        **ONE_THREAD,
        # Workers import whatever this process can, the user's own environment included.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }


def cluster_environment() -> dict[str, str]:
    """What this process's connection needs; the cluster's processes have their own environment."""
    values = {
        # Our runtime environment takes precedence over that of a submitted job.
        "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
        # Otherwise Ray leaves out __pycache__, where Numba's files are.
        "RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES": "",
    }
    # Ray itself presents an existing token only for the address "auto".
    token = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    home = home_folder()
    if token or (home is not None and (home / ".ray" / "auth_token").exists()):
        values["RAY_AUTH_MODE"] = os.environ.get("RAY_AUTH_MODE", "token")
    return values


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block; then all is as it was before."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        # Name by name: another thread may start a process meanwhile.
        for name in os.environ.keys() - before.keys():
            os.environ.pop(name, None)
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
