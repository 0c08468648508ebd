"""Which processes a run has left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def session_processes(session: int) -> list[int]:
    """The living processes of a session, by /proc."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, group_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # gone meanwhile
            continue
        if int(group_session) == session and state != "Z":
            alive.append(int(stat.parent.name))
    return alive


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parent(pid: int) -> int:
    """The process id of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether a condition came true in time, which is long: other work may keep a machine busy."""
    deadline = time.monotonic() + seconds
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return true
