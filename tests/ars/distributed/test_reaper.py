"""What carries a session's mark does not outlive the process that started it; all else does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT
from processes import alive, wait_until

from ars.distributed import reaper

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MARK = "0123456789abcdef"
DRIVER = f"""
import os, sys
from ars.distributed import reaper
reaper.start({MARK!r})
if child := os.fork():
    print(child, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sleepers() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Processes with the mark, one of them stopped, and with none or another's."""
    marks = {"own": MARK, "stopped": MARK, "another": MARK + "0", "none": ""}
    found = {
        name: subprocess.Popen(
            ["sleep", "60"],
            env={**os.environ, reaper.VARIABLE: mark} if mark else None,
            start_new_session=True,
        )
        for name, mark in marks.items()
    }
    found["stopped"].send_signal(signal.SIGSTOP)
    yield found
    for process in found.values():
        process.kill()
        process.wait()


def test_a_killed_process_takes_with_it_what_carries_its_mark(
    sleepers: dict[str, subprocess.Popen[bytes]],
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout
        child = int(driver.stdout.readline())  # has the pipe too, and outlives its parent
        reaper_pid = _find_reaper()
        assert all(alive(process.pid) for process in sleepers.values())
        driver.kill()
        assert wait_until(lambda: not alive(reaper_pid))
        assert alive(child)
    ended = {name for name, process in sleepers.items() if process.poll() is not None}
    assert ended == {"own", "stopped"}


def test_reaping_leaves_no_zombie_and_is_quick_where_nothing_is_left() -> None:
    reap = reaper.start(MARK)
    reaper_pid = _find_reaper()
    reap()
    reap()  # safe
    assert not Path(f"/proc/{reaper_pid}").exists()


def test_a_terminals_interrupt_does_not_reach_it() -> None:
    reap = reaper.start(MARK)
    reaper_pid = _find_reaper()
    assert os.getpgid(reaper_pid) != os.getpgrp()
    reap()


def _find_reaper() -> int:
    """The process id of the only one with the mark."""
    assert wait_until(lambda: bool(_processes_of_mark()))
    (pid,) = _processes_of_mark()
    return pid


def _processes_of_mark() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if MARK.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
