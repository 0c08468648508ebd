"""What of this machine a process may use: its processors, and memory that is free.

A container sees the whole machine in most places; what it was given stands in its control groups.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ars.common.errors import RunError

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_MEMORY = Path("/proc/meminfo")
_PAGES = Path("/proc/self/statm")
MEASURE_EVERY = 32  # things made between two looks at the memory that they take

T = TypeVar("T")


class NotEnoughMemory(RunError):
    """What a setting asks for does not fit the memory that is free."""


def n_processors() -> int:
    """The processors this process may use, at least 1: a quota of 0.5 or of 1.5 is rounded up."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cpu_quota())))


def free_memory() -> float:
    """Bytes that this process and others may still take without swapping; infinity if unknown."""
    free = [math.inf]
    for line in _lines(_MEMORY):
        if line.startswith("MemAvailable:"):
            free.append(float(line.split()[1]) * 1024)
    for folder in _folders("memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            words = [*_read(folder / limit), *_read(folder / used)]
            if len(words) == 2 and all(map(str.isdigit, words)):
                # What is used includes cached files, which make room.
                cached = [
                    line.split()[1]
                    for line in _lines(folder / "memory.stat")
                    if line.startswith(("inactive_file ", "total_inactive_file "))
                ]
                free.append(float(words[0]) - float(words[1]) + sum(map(float, cached)))
    return min(free)


def require_memory(n_bytes: float, what: str) -> None:
    """Check that there is room, before the machine swaps or ends processes.

    Raises:
        NotEnoughMemory: `n_bytes` more, for `what`, do not fit.
    """
    if (line := shortage(n_bytes, what)) is not None:
        raise NotEnoughMemory(line)


def shortage(n_bytes: float, what: str) -> str | None:
    """What to say if there is no room for `n_bytes` more, for `what`; None if there is."""
    if n_bytes <= (free := free_memory()):
        return None
    needed, free = n_bytes / 1e9, free / 1e9
    return f"{what}: about {needed:,.1f} GB of memory more, and {free:,.1f} GB are free"


def within_memory(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, of each of which something is then made that takes memory.

    What the first ones take tells whether the rest will fit.

    Raises:
        NotEnoughMemory: they will not; `what` names them.
    """
    after_first = 0.0
    for n_made, item in enumerate(items):
        if n_made == 1:
            after_first = resident()
        elif n_made and n_made % MEASURE_EVERY == 0:
            each = (resident() - after_first) / (n_made - 1)
            require_memory(each * (len(items) - n_made), what)
        yield item


def resident() -> float:
    """Bytes of memory that this process holds; 0 if unknown."""
    pages = _read(_PAGES)
    return float(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0.0


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
    for line in _lines(_OWN_GROUPS):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has one hierarchy for all controllers, and names none.
        root = _GROUPS / controller if controllers else _GROUPS
        own = root / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def _lines(path: Path) -> list[str]:
    """The lines of a file; none if it cannot be read, as where the system is not Linux."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _read(path: Path) -> list[str]:
    """The words of a file."""
    return " ".join(_lines(path)).split()
