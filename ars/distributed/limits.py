"""Limits of this process (`ulimit`) under which Ray would hang or abort as it starts."""

from __future__ import annotations

import os
from contextlib import suppress

from ars.common.errors import ClusterError

# What Ray 2.60 takes here with two workers: 207 threads; it does not start with 40 open files or
# 500 MB of addresses, and does with 64 and 2 GB.
_THREADS, _THREADS_PER_WORKER = 130, 40
_FILES = 64
_ADDRESSES = 1_500_000_000  # bytes


def check_limits(n_workers: int) -> None:
    """Raises: ClusterError that names a limit with which Ray cannot start so many workers here."""
    trouble = _trouble(n_workers)
    if trouble is not None:
        raise ClusterError(f"`n_workers` {n_workers}: {trouble}: raise it, or use `n_workers` 0")


def _trouble(n_workers: int) -> str | None:
    try:
        import resource
    except ImportError:  # Windows
        return None

    def limit(name: str, hard: bool = False) -> float:
        found = resource.getrlimit(getattr(resource, name))[hard]
        return float("inf") if found == resource.RLIM_INFINITY else found

    if (files := limit("RLIMIT_NOFILE", hard=True)) < _FILES:  # Ray raises the soft one
        return f"Ray opens more than the {files:,.0f} files that are allowed (ulimit -n)"
    if (size := limit("RLIMIT_AS")) < _ADDRESSES:
        return f"Ray needs more than the {size / 1e6:,.0f} MB of addresses allowed (ulimit -v)"
    threads = _THREADS + _THREADS_PER_WORKER * n_workers
    most = float("inf") if os.geteuid() == 0 else limit("RLIMIT_NPROC")
    if most < threads or (most < 50 * threads and most - _running() < threads):
        return (
            f"Ray starts some {threads:,} threads, and this user may have {most:,.0f} (ulimit -u)"
        )
    return None


def _running() -> int:
    """The threads of this user."""
    count = 0
    with suppress(OSError):  # not Linux
        for entry in os.scandir("/proc"):
            with suppress(OSError):  # it has just ended
                if entry.name.isdigit() and entry.stat().st_uid == os.geteuid():
                    count += len(os.listdir(f"{entry.path}/task"))
    return count
