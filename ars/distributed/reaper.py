"""Ends the processes that our Ray leaves behind once the process that started it is gone.

`reaper.py MARK PARENT` waits until its stdin or its parent ends, gives Ray a few seconds to end by
itself, then kills every process with the mark in its environment. Everything that Ray starts
inherits the mark, and so do the processes started by those. Without the reaper, two of Ray's
agents live on for a minute after the driver was killed: they try to report to a head that is gone.

Linux only. It needs the standard library only, because it stays, with 8 MB, as long as the
training.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable

VARIABLE = "ARS_SESSION"  # its value is the mark
GRACE_SECONDS = 3.0  # a worker that loses its raylet takes up to 2 s
KILL_SECONDS = 3.0  # until killed processes, and those they had just started, are gone


def start(mark: str) -> Callable[[], None]:
    """Start this file as a program; returns a function that makes it reap now, and waits."""
    if not hasattr(os, "pidfd_open"):
        return lambda: None
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-IS", __file__, mark, str(os.getpid())],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,  # so that a terminal's Ctrl-C does not reach it
    )

    def reap() -> None:
        process.communicate()  # closes its stdin

    return reap


def wait_and_reap() -> None:
    """The program's main function: wait for the parent to end, then end what carries the mark."""
    _wait(int(sys.argv[2]))
    _signal_until_none(0, GRACE_SECONDS)
    _signal_until_none(signal.SIGKILL, KILL_SECONDS)


def _wait(parent: int) -> None:
    """Wait until the parent is gone or closes the pipe.

    The pipe alone does not tell: children forked by the parent hold its end as well, and may
    outlive the parent.
    """
    try:
        handle = os.pidfd_open(parent)
    except ProcessLookupError:
        return
    if os.getppid() == parent:
        select.select([sys.stdin, handle], [], [])


def _signal_until_none(number: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _signal(number) and time.monotonic() < deadline:
        time.sleep(0.1)


def _signal(number: int) -> int:
    """Signal all processes with the mark (0 sends nothing); returns how many there are."""
    mark, n_found = f"{VARIABLE}={sys.argv[1]}".encode(), 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            # A handle stays with this process even if another one gets its number meanwhile.
            handle = os.pidfd_open(int(name))
        except OSError:
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as environment:
                found = mark in environment.read().split(b"\0")
            if found:
                signal.pidfd_send_signal(handle, number)
            n_found += found
        except OSError:  # gone meanwhile, or somebody else's
            pass
        finally:
            os.close(handle)
    return n_found


if __name__ == "__main__":
    wait_and_reap()
