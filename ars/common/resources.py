"""What of this machine a process may use: its processors, and memory that is free.

A container sees the whole machine in most places; what it was given stands in its control groups.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def n_processors() -> int:
    """The processors this process may use, at least 1: a quota of 0.5 or of 1.5 is rounded up."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cpu_quota())))


def _cpu_quota() -> float:
    """The processors that this process's control groups grant it; infinity for no limit."""
    quota = math.inf
    for folder in _folders("cpu"):
        if words := _read(folder / "cpu.max"):  # version 2: "50000 100000", or "max 100000"
            granted, period = (*words, "100000")[:2]
        else:  # version 1; -1 for no limit
            granted = " ".join(_read(folder / "cpu.cfs_quota_us"))
            period = " ".join(_read(folder / "cpu.cfs_period_us"))
        if granted.isdigit() and period.isdigit() and int(granted) and int(period):
            quota = min(quota, int(granted) / int(period))
    return quota


def _folders(controller: str) -> Iterator[Path]:
    """The folders of this process's control groups, from its own to the outermost that it sees.

    A container may see its own group as the outermost, whatever the path that it is told.
    """
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one hierarchy for all controllers, and names none.
        root = _GROUPS / controller if controllers else _GROUPS
        own = root / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def _read(path: Path) -> list[str]:
    """The words of a file; none if it cannot be read."""
    try:
        return path.read_text().split()
    except OSError:
        return []
