"""Rows about signals at any moment, and about outputs that cannot be written."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from faults.runs import LEFT_SECONDS, ROOT, SMALL, Lab, is_clean, require

FOREVER = ["--total-timesteps", "1000000000", "--run-dir"]
LONGEST = 8.0  # seconds until a signal: from Python's start into the training
SIGNALS = (
    (signal.SIGINT,),
    (signal.SIGTERM,),
    (signal.SIGHUP,),
    (signal.SIGINT, signal.SIGTERM),
    (signal.SIGHUP, signal.SIGHUP),  # as a shell and the system send it when a terminal closes
)


class Program:
    """A command as the user starts it, in a session of its own."""

    def __init__(self, place: Path, command: Sequence[str]) -> None:
        self._err = place / "err.txt"
        with self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=place,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
                # A shell makes processes in the background ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    @property
    def err(self) -> str:
        """What it wrote to stderr."""
        return self._err.read_text()

    def left(self) -> list[int]:
        """The living processes of its session."""
        from processes import session_processes

        return session_processes(self.process.pid)

    def end(self, seconds: float, what: str) -> int:
        """Wait for the end of it and of all it started; return its status. Raises: Fails."""
        from processes import wait_until

        try:
            self.process.wait(seconds)
            gone = wait_until(lambda: not self.left(), LEFT_SECONDS)
            require(gone, f"{what}: processes {self.left()} are left")
        except subprocess.TimeoutExpired:
            require(False, f"{what}: does not end within {seconds:.0f} s")
        finally:
            for pid in self.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        return self.process.returncode


def any_moment(lab: Lab) -> str:
    """Send signals to commands, or to their groups, at random moments of their first seconds."""
    draws, shares = random.Random(0), ("--n-envs", "4", "--env-processes", "2")
    run = str(lab.place / "run")
    commands = [
        ["ars.train", "Hopper", "--n-workers", "2", *SMALL, *FOREVER, run],
        ["ars.train", "Hopper", "--n-workers", "0", *SMALL, *FOREVER, run],
        ["ars.train", "CartPole-v1", "--algo", "ppo", "--n-steps", "64", *shares, *FOREVER, run],
        ["ars.train", "CartPole-v1", "--algo", "ppo", "--n-steps", "100000000", *FOREVER, run],
        ["ars.evaluate", "Hopper", "--episodes", "1000000"],
        ["ars.render", "Hopper", "--episodes", "1000", "--output", "x.mp4"],
    ]
    moments = max(1, lab.kills // 2)
    for number in range(moments):
        command, sent = commands[number % len(commands)], draws.choice(SIGNALS)
        seconds, group = draws.uniform(0.15, LONGEST), draws.random() < 0.5
        subprocess.run(["rm", "-rf", run], check=True)
        program = Program(lab.place, command)
        time.sleep(seconds)
        for one in sent:
            (os.killpg if group else os.kill)(program.process.pid, one)
        names = "+".join(one.name for one in sent)
        what = f"{names} to {'a group' if group else 'a process'} at {seconds:.2f} s of {command}"
        status = program.end(10.0, what)
        require(status == 130, f"{what}: status {status}: {program.err[-300:]}")
        is_clean(program.err, "interrupted")
        require(not list(lab.place.glob(".x.mp4*")), f"{what}: part of a film is left")
    return f"{moments} moments"


def streams(lab: Lab) -> str:
    """Train with outputs that are closed, full, or cannot hold a sign."""
    train = ["CartPole-v1", "--n-workers", "0", "--n-iterations", "2", *SMALL, "--run-dir"]
    full = "error: stdout cannot be written: No space left on device"
    cases = {
        ">&-": (0, ""),
        "2>&-": (0, ""),
        "<&- >&- 2>&-": (0, ""),
        ">/dev/full": (1, full),
        "2>/dev/full": (0, ""),  # nothing was to be said there
        ">/dev/full 2>/dev/full": (1, ""),
    }
    for number, (redirection, (status, said)) in enumerate(cases.items()):
        folder = lab.place / f"run{number}"
        shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "ars.train"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
        done = subprocess.run(
            [*shell, *train, str(folder)], env=environment, capture_output=True, text=True
        )
        found = done.returncode, done.stderr.partition(";")[0].strip()
        require(found == (status, said), f"{redirection}: {found} instead of {(status, said)}")
        require((folder / "result.json").exists(), f"{redirection}: no result")
    return f"{len(cases)} redirections"
