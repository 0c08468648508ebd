"""What carries a run's mark does not outlive it; all else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT
from processes import alive, wait_until

from ars.common.reaper import VARIABLE, Reaper

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

DRIVER = """
import os, sys
from pathlib import Path
from ars.common.reaper import Reaper
reaper = Reaper(Path(sys.argv[1]))
print(reaper._mark, reaper._program.pid, flush=True)
sys.stdin.read()
"""


def sleeper(mark: str | None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **({} if mark is None else {VARIABLE: mark})}
    return subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True)


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    found = Reaper()
    yield found
    found.reap(grace_seconds=0.0)


def program(reaper: Reaper) -> int:
    assert reaper._program is not None
    return reaper._program.pid


def test_a_killed_process_takes_with_it_what_carries_its_mark_and_their_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "theirs"
    (folder / "logs").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout
        mark, reaper_pid = driver.stdout.readline().split()
        marks = {"own": mark, "stopped": mark, "another": f"{mark}0", "none": None}
        sleepers = {name: sleeper(mark) for name, mark in marks.items()}
        sleepers["stopped"].send_signal(signal.SIGSTOP)
        driver.kill()
        assert wait_until(lambda: not alive(int(reaper_pid)))
    ended = {name for name, process in sleepers.items() if process.poll() is not None}
    for process in sleepers.values():
        process.kill()
        process.wait()
    assert ended == {"own", "stopped"}
    assert tmp_path.exists() and not folder.exists()


def test_reaping_ends_what_is_marked_and_leaves_no_zombie(reaper: Reaper) -> None:
    marked = sleeper(reaper._mark)
    reaper_pid = program(reaper)
    reaper.reap(grace_seconds=0.0)
    reaper.reap()  # safe
    assert marked.wait() == -signal.SIGKILL
    assert not Path(f"/proc/{reaper_pid}").exists()


def test_what_is_started_in_the_block_is_marked_and_nothing_else(reaper: Reaper) -> None:
    second = Reaper()
    with reaper.marking():
        first = sleeper(None)
        with second.marking():
            inner = sleeper(None)
        last = sleeper(None)
    outside = sleeper(None)
    reaper.reap(grace_seconds=0.0)
    assert first.wait() == last.wait() == -signal.SIGKILL
    assert inner.poll() is None
    second.reap(grace_seconds=0.0)
    assert inner.wait() == -signal.SIGKILL
    assert outside.poll() is None
    outside.kill()
    outside.wait()


def test_a_program_that_is_stopped_does_not_hold_up_the_end(reaper: Reaper) -> None:
    os.kill(program(reaper), signal.SIGSTOP)
    reaper.reap()


def test_a_program_that_was_killed_is_started_again(reaper: Reaper) -> None:
    before = program(reaper)
    reaper.keep()
    assert program(reaper) == before
    os.kill(before, signal.SIGKILL)
    assert wait_until(lambda: not alive(before))
    reaper.keep()
    assert program(reaper) != before


def test_a_terminals_interrupt_does_not_reach_it(reaper: Reaper) -> None:
    assert os.getpgid(program(reaper)) != os.getpgrp()
