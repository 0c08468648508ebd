"""Trains one seed: `python -m ars.cli.one_seed`, started by `ars train --n-seeds` and `ars tune`.

It reads its job from stdin as a JSON object on a line (see `ars.training.experiment`) and writes
events to stdout, one JSON list [kind, value] a line: a kind is a method of `Display`, value its
argument. With `gated` in its job it waits after each evaluation for another line on stdin.
Everything else that is printed goes to stderr, failures in one line as for any command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ars.cli.exit import command
from ars.cli.program import resuming
from ars.cli.result_stream import to_stderr
from ars.common.errors import ClusterError
from ars.common.host import hosting
from ars.common.interrupts import waiting
from ars.common.parent import end_with_parent


class Events:
    """A `Display` that writes events.

    Args:
        stream: where to.
        gate: gives a line when it is time to go on after an evaluation; None: at once.
    """

    def __init__(self, stream: IO[str], gate: IO[str] | None = None) -> None:
        self._stream, self._gate = stream, gate

    def _write(self, kind: str, value: Any) -> None:
        self._stream.write(json.dumps([kind, value], default=float) + "\n")
        self._stream.flush()

    def progress(self, row: dict[str, Any]) -> None:
        """Write an iteration."""
        self._write("progress", row)

    def evaluation(self, row: dict[str, Any]) -> None:
        """Write an evaluation, and wait at the gate."""
        self._write("evaluation", row)
        if self._gate is not None:
            with waiting():
                self._gate.readline()

    def best_so_far(self, return_mean: float) -> None:
        """Write the best evaluation from before a resume."""
        self._write("best_so_far", return_mean)

    def notify(self, message: str) -> None:
        """Write a message."""
        self._write("notify", message)

    def working(self, on: Callable[[], str]) -> None:
        """The experiment's display has no room for it."""

    def cluster_failed(self) -> None:
        """Write that what ends the run is no fault of its settings."""
        self._write("cluster_failed", None)


@command
def main(arguments: Sequence[str]) -> None:
    """Train as stdin says; there are no arguments."""
    gate = os.fdopen(os.dup(0))
    job = json.loads(gate.readline())
    with open(os.devnull) as nothing:  # an environment that asks something gets no answer
        os.dup2(nothing.fileno(), 0)
    end_with_parent(job["parent"])
    sys.path[:] = job["path"]
    stream = os.fdopen(os.dup(1), "w")
    with to_stderr(), hosting():
        from ars.training.resolve import resolve_new, resolve_resumed
        from ars.training.run import run_training

        given, folder = job["given"], job["folder"]
        if folder is None:
            config = resolve_new(job["env_id"], given, job["command"], strict=False)
        else:
            config = resolve_resumed(Path(folder), given, job["command"], job["trust"])
        display = Events(stream, gate if job.get("gated") else None)
        try:
            run_training(config, display, resuming, given.get("run_dir"))
        except ClusterError:
            display.cluster_failed()
            raise


if __name__ == "__main__":
    main()
