"""Which processes a run has left."""

from __future__ import annotations

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
