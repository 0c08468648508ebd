"""Ends what a Ray of ours leaves behind when the process that started it is gone. Linux only.

`sweeper.py MARK PARENT` waits until its stdin or its parent ends, gives Ray a few seconds to go by
itself, then kills every process with the mark in its environment. All that Ray starts inherits
it, and so does what these start. Without it, two of Ray's agents live on for a minute after a
driver that was killed: they have something to report to a head that is gone as well.

Standard library only: it is there, 8 MB, as long as the training.
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
KILL_SECONDS = 3.0  # within which what was killed is gone, and what it had just started too


def start(mark: str) -> Callable[[], None]:
    """Start this file as a program; returns what has it sweep now, and waits until that is done."""
    if not hasattr(os, "pidfd_open"):
        return lambda: None
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-IS", __file__, mark, str(os.getpid())],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,  # a terminal's Ctrl-C is not for it
    )

    def sweep() -> None:
        process.communicate()  # closes its stdin

    return sweep


def wait_and_sweep() -> None:
    """What the program does."""
    _wait(int(sys.argv[2]))
    _signal_until_none(0, GRACE_SECONDS)
    _signal_until_none(signal.SIGKILL, KILL_SECONDS)


def _wait(parent: int) -> None:
    """Until the parent is gone or closes the pipe.

    Not for the pipe alone: children that the parent forked have its end too, and may outlive it.
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
    """Send a signal, 0 for none, to the living processes that have the mark; how many there are."""
    mark, n_found = f"{VARIABLE}={sys.argv[1]}".encode(), 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            # It stands for this one process, should another get its number meanwhile.
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
    wait_and_sweep()
