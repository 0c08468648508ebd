"""Workers that die while a run goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import pytest

from ars.distributed.pool import RayPool
from ars.rollout.task import Snapshot, Task


def kill_workers(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Have runs kill a worker after each submission, `most` in all; returns their pids, growing."""
    killed: list[int] = []

    class MortalPool(RayPool):
        def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
            request = super().submit(snapshot, tasks)
            alive = [pid for pid in self.pids() if pid not in killed]
            if alive and len(killed) < most:
                killed.append(alive[0])
                os.kill(alive[0], signal.SIGKILL)
            return request

    monkeypatch.setattr("ars.distributed.pool.RayPool", MortalPool)
    return killed
