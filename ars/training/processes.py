"""Processes that train one run each: started, heard, told to go on, interrupted and waited for."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, TypeVar

from ars.common.interrupts import Interrupts
from ars.training.run_folder import CONFIG

PROGRAM = "ars.cli.one_seed"  # trains one run; see there for what it reads and writes
# Several trainings share the processors, so that none needs more than one thread.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

KILLED = "its process was ended by"  # a signal: how such a reason begins

K = TypeVar("K", bound=Hashable)


def job(
    env_id: str,
    place: Path,
    new: Mapping[str, Any],
    changed: Mapping[str, Any],
    command: str,
    trust: bool,
) -> dict[str, Any]:
    """What the process of a run is told: to begin it, or to go on with it.

    Args:
        env_id: as for `resolve_new`.
        place: the run's folder.
        new: the settings of a run that has not begun.
        changed: those to change in one that has.
        command: what begins it or goes on with it, to be recorded.
        trust: as for `resolve_resumed`.
    """
    begun = (place / CONFIG).is_file()
    return {
        "env_id": env_id,
        "folder": str(place) if begun else None,
        "given": dict(changed) if begun else {**new, "run_dir": str(place)},
        "command": command,
        "trust": trust,
        "parent": os.getpid(),
        "path": sys.path,
    }


class Event(NamedTuple, Generic[K]):
    """Something that a process has to say.

    Attributes:
        key: the process's.
        kind: a method of `Display`; `said` for a line on its stderr; `cluster_failed` if what
            ends it is no fault of its settings; `ended` at last.
        value: the argument; of `ended` why the process failed, or None.
    """

    key: K
    kind: str
    value: Any


class Processes(Generic[K]):
    """Processes that train, each known by a key.

    Attributes:
        running: those that have not ended, as far as events were taken.
    """

    def __init__(self) -> None:
        self._events: queue.Queue[Event[K]] = queue.Queue()
        self.running: dict[K, subprocess.Popen[str]] = {}

    def start(self, key: K, job: Mapping[str, Any]) -> None:
        """Start a process; with `gated` in its job it waits after each evaluation for `go_on`."""
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
        self.running[key] = process
        self._write(process, json.dumps(job), close=not job.get("gated"))
        threading.Thread(target=self._listen, args=(key, process), daemon=True).start()

    def go_on(self, key: K) -> None:
        """Let a process that waits after an evaluation train on."""
        if key in self.running:
            self._write(self.running[key], "")

    def _write(self, process: subprocess.Popen[str], line: str, close: bool = False) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            if close:
                process.stdin.close()
        except BrokenPipeError:  # it has ended already, and says why
            pass

    def _listen(self, key: K, process: subprocess.Popen[str]) -> None:
        """Put what a process says, and at last how it ended, among the events."""
        errors: list[str] = []

        def hear_errors(stream: IO[str]) -> None:
            for line in stream:
                if line.startswith("error: "):
                    errors.append(line.removeprefix("error: ").rstrip())
                else:
                    self._events.put(Event(key, "said", line.rstrip()))

        assert process.stdout is not None and process.stderr is not None
        other = threading.Thread(target=hear_errors, args=(process.stderr,), daemon=True)
        with process.stdout, process.stderr:
            other.start()
            for line in process.stdout:
                with suppress(ValueError, TypeError):  # a line that a kill or a full disk cut
                    kind, value = json.loads(line)
                    self._events.put(Event(key, kind, value))
            status = process.wait()
            other.join()
        reason = None if status == 0 else errors[-1] if errors else _how_it_ended(status)
        self._events.put(Event(key, "ended", reason))

    def next(self, timeout: float | None = None) -> Event[K] | None:
        """Wait for an event; None if there is none within `timeout` seconds."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event.kind == "ended":
            process = self.running.pop(event.key)
            with suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.close()
        return event

    def interrupt(self, keys: Iterable[K]) -> None:
        """Have processes save and end, as by Ctrl-C."""
        for key in keys:
            self.running[key].send_signal(signal.SIGINT)

    def stop(self, ended: Callable[[Event[K]], None]) -> None:
        """Interrupt every process and wait until it has saved; a second Ctrl-C is passed on too.

        Args:
            ended: called with the events of those that have ended.
        """
        self.interrupt(self.running)
        while self._alive():
            again = Interrupts()
            try:
                with again.handled(), again.allowed():
                    while self._alive():
                        self._hear(ended, 0.1)
            except KeyboardInterrupt:
                self.interrupt(self.running)

    def _alive(self) -> bool:
        return any(process.poll() is None for process in self.running.values())

    def _hear(self, ended: Callable[[Event[K]], None], timeout: float) -> None:
        event = self.next(timeout)
        if event is not None and event.kind == "ended":
            ended(event)

    def kill(self) -> None:
        """End every process at once."""
        for process in self.running.values():
            process.kill()


def _how_it_ended(status: int) -> str:
    if status > 0:
        return f"its process ended with status {status}"
    names = {int(number): number.name for number in signal.Signals}
    return f"{KILLED} {names.get(-status, f'signal {-status}')}"
