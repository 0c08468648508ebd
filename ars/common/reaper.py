"""Ends the processes that a run leaves behind, however it ends, and those that they started.

A `Reaper` gives processes a mark in their environment, which whatever they start inherits. `reap`
ends all that carry it. Where the run itself is killed and cannot call that, a program does it:
`reaper.py MARK PARENT [FOLDER]` waits until its parent ends, gives the marked processes a few
seconds to end by themselves, kills them, and removes the folder. Without it two of Ray's agents,
which try to report to a head that is gone, live on for a minute, and for ever whatever an
environment started.

Linux only; elsewhere nothing is marked. It needs the standard library only, because the program
stays, with 8 MB, as long as the training.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

VARIABLE = "ARS_SESSION"  # its value is the mark
GRACE_SECONDS = 3.0  # a worker that loses its raylet takes up to 2 s
KILL_SECONDS = 3.0  # until killed processes, and those they had just started, are gone
REMOVE_SECONDS = 1.0  # for a folder in which a file may appear meanwhile


class Reaper:
    """Ends marked processes: when asked to, or once this process is gone.

    Args:
        folder: a folder of theirs, removed after them.

    """

    def __init__(self, folder: Path | None = None) -> None:
        self._mark, self._folder = secrets.token_hex(16), folder
        self._program: subprocess.Popen[bytes] | None = None
        self.keep()

    @contextmanager
    def marking(self) -> Iterator[None]:
        """Mark what this process starts in the block."""
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = self._mark
        try:
            yield
        finally:
            os.environ.pop(VARIABLE, None)  # an environment may have cleared all
            if before is not None:
                os.environ[VARIABLE] = before

    def keep(self) -> None:
        """Start the program, again if somebody has ended it."""
        if not hasattr(os, "pidfd_open") or (self._program and self._program.poll() is None):
            return
        import subprocess  # not needed by the program itself

        folder = [] if self._folder is None else [str(self._folder)]
        self._program = subprocess.Popen(
            [sys.executable, "-IS", __file__, self._mark, str(os.getpid()), *folder],
            cwd="/",
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # so that a terminal's Ctrl-C does not reach it
        )

    def end(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End all marked processes; the program goes on watching."""
        if self._program is not None:
            _end(self._mark, grace_seconds)

    def reap(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End all marked processes and the program, remove the folder; safe to call twice."""
        self.end(grace_seconds)
        if self._folder is not None:
            _remove(str(self._folder))
        if self._program is not None:  # until now, should this process end in the middle
            self._program.kill()  # also where it is stopped
            self._program.wait()
            self._program = None


def wait_and_reap(mark: str, parent: int, *folders: str) -> None:
    """The program: wait for the parent to end, then end what carries the mark."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(parent)
        if os.getppid() == parent:
            select.select([handle], [], [])
    _end(mark, GRACE_SECONDS)
    for folder in folders:
        _remove(folder)


def _end(mark: str, grace_seconds: float) -> None:
    """Kill what carries the mark, after some seconds in which it may end by itself."""
    _signal_until_none(mark, 0, grace_seconds)
    _signal_until_none(mark, signal.SIGKILL, KILL_SECONDS)


def _signal_until_none(mark: str, number: int, seconds: float) -> None:
    deadline, quiet = time.monotonic() + seconds, 0
    # A process that is just being started shows no environment for a moment, so it is seen next.
    while quiet < 2 and time.monotonic() < deadline:
        quiet = 0 if _signal(mark, number) else quiet + 1
        time.sleep(0.02 if quiet else 0.1)


def _signal(mark: str, number: int) -> int:
    """Signal all processes with the mark (0 sends nothing); returns how many there are."""
    entry, n_found = f"{VARIABLE}={mark}".encode(), 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            # A handle stays with this process even if another one gets its number meanwhile.
            handle = os.pidfd_open(int(name))
        except OSError:
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as environment:
                found = entry in environment.read().split(b"\0")
            if found:
                signal.pidfd_send_signal(handle, number)
            n_found += found
        except OSError:  # gone meanwhile, or somebody else's
            pass
        finally:
            os.close(handle)
    return n_found


def _remove(folder: str) -> None:
    import shutil

    deadline = time.monotonic() + REMOVE_SECONDS
    while os.path.lexists(folder) and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    wait_and_reap(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
