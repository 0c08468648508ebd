"""Processes that train one seed each: started, heard, interrupted and waited for."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import IO, Any, Protocol

from ars.common.interrupts import Interrupts

PROGRAM = "ars.cli.one_seed"  # trains one seed; see there for what it reads and writes
# Several trainings share the processors, so that none needs more than one thread.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Show(Protocol):
    """Shows an experiment to the user."""

    def event(self, seed: int, kind: str, value: Any) -> None:
        """A seed has something to show: kind is a method of `Display`, value its argument."""

    def started(self, seed: int) -> None:
        """A seed begins to train."""

    def ended(self, seed: int, error: str | None) -> None:
        """A seed has ended, or failed."""


class SilentShow:
    """Shows nothing."""

    def event(self, seed: int, kind: str, value: Any) -> None: ...

    def started(self, seed: int) -> None: ...

    def ended(self, seed: int, error: str | None) -> None: ...


class Team:
    """The processes that train seeds, so many at a time.

    Args:
        job: what the process of a seed is told.
        done: called when a seed has ended well.
        show: hears of everything.

    Attributes:
        errors: why seeds failed.
    """

    def __init__(
        self, job: Callable[[int], dict[str, Any]], done: Callable[[int], None], show: Show
    ) -> None:
        self._job, self._done, self._show = job, done, show
        self._events: queue.Queue[tuple[int, str, Any]] = queue.Queue()
        self._running: dict[int, subprocess.Popen[str]] = {}
        self.errors: dict[int, str] = {}

    def train(self, seeds: Iterable[int], jobs: int) -> None:
        """Train seeds, so many at a time."""
        waiting = list(seeds)
        interrupts = Interrupts()
        with interrupts.handled():
            try:
                while waiting or self._running:
                    while waiting and len(self._running) < jobs:
                        self._start(waiting.pop(0))
                    with interrupts.allowed():
                        event = self._events.get()
                    self._take(event)
            except BaseException:  # also a full disk, or a reader of stdout that went away
                self._stop()
                raise
            finally:
                for process in self._running.values():
                    process.kill()

    def _start(self, seed: int) -> None:
        job = json.dumps(self._job(seed))
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**dict.fromkeys(_THREADS, "1"), **os.environ},
            text=True,
            errors="backslashreplace",
            start_new_session=True,  # a terminal's Ctrl-C reaches this process alone
        )
        self._running[seed] = process
        assert process.stdin is not None
        try:
            process.stdin.write(job)
            process.stdin.close()
        except BrokenPipeError:  # it has ended already, and says why
            pass
        threading.Thread(target=self._listen, args=(seed, process), daemon=True).start()
        self._show.started(seed)

    def _listen(self, seed: int, process: subprocess.Popen[str]) -> None:
        """Put what a process says, and at last how it ended, among the events."""
        errors: list[str] = []

        def hear_errors(stream: IO[str]) -> None:
            for line in stream:
                if line.startswith("error: "):
                    errors.append(line.removeprefix("error: ").rstrip())
                else:
                    self._events.put((seed, "said", line.rstrip()))

        assert process.stdout is not None and process.stderr is not None
        other = threading.Thread(target=hear_errors, args=(process.stderr,), daemon=True)
        with process.stdout, process.stderr:
            other.start()
            for line in process.stdout:
                kind, value = json.loads(line)
                self._events.put((seed, kind, value))
            status = process.wait()
            other.join()
        reason = None if status == 0 else errors[-1] if errors else _how_it_ended(status)
        self._events.put((seed, "ended", reason))

    def _take(self, event: tuple[int, str, Any]) -> None:
        seed, kind, value = event
        if kind != "ended":
            self._show.event(seed, kind, value)
            return
        del self._running[seed]
        if value is None:
            self._done(seed)
        else:
            self.errors[seed] = value
        self._show.ended(seed, value)

    def _stop(self) -> None:
        """Interrupt every process and wait until it has saved; a second Ctrl-C is passed on too."""
        self._interrupt()
        while self._alive():
            again = Interrupts()
            try:
                with again.handled(), again.allowed():
                    while self._alive():
                        self._hear_last()
            except KeyboardInterrupt:
                self._interrupt()

    def _alive(self) -> bool:
        return any(process.poll() is None for process in self._running.values())

    def _hear_last(self) -> None:
        try:
            event = self._events.get(timeout=0.1)
        except queue.Empty:
            return
        if event[1] == "ended":
            del self._running[event[0]]
            if event[2] is None:
                self._done(event[0])

    def _interrupt(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGINT)


def _how_it_ended(status: int) -> str:
    if status > 0:
        return f"its process ended with status {status}"
    names = {int(number): number.name for number in signal.Signals}
    return f"its process was ended by {names.get(-status, f'signal {-status}')}"
