"""Logs written row by row: CSV files, cut back on resume, and TensorBoard events."""

from __future__ import annotations

import csv
import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from policies import FileError

# Where a column means what Stable-Baselines3 logs, its tag is used.
TAGS = {
    "return_mean": "rollout/ep_rew_mean",
    "length_mean": "rollout/ep_len_mean",
    "steps_per_second": "time/fps",
    "iteration": "time/iterations",
    "time_seconds": "time/time_elapsed",
    "timesteps": "time/total_timesteps",
}
FLUSH_SECONDS = 10.0  # between flushes, after which TensorBoard sees new rows
_numbers = itertools.count()  # of the event files of this process
EVALUATION_TAGS = {"return_mean": "eval/mean_reward", "length_mean": "eval/mean_ep_length"}


class CsvLog:
    """A CSV file, opened at a byte offset and truncated there.

    Floats are written in the shortest form that reads back as the same number.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        if offset:
            _check_row_ends(path, offset)
        # The file lives as long as the log; `close` ends both.
        self._file: IO[str] = path.open("r+" if path.exists() else "w+", newline="")
        self._file.truncate(offset)
        self._file.seek(offset)
        self._columns: list[str] | None = None
        self._resumed = bool(offset)
        if offset:
            with path.open(newline="") as file:
                self._columns = next(csv.reader(file))

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; the first one decides the columns."""
        writer = csv.writer(self._file, lineterminator="\n")
        if self._columns is None:
            self._columns = list(row)
            writer.writerow(self._columns)
        if self._resumed:  # of a run that may have begun when there were fewer columns
            row = {name: value for name, value in row.items() if name in self._columns}
        if list(row) != self._columns:
            raise FileError(f"{self.path}: has columns {self._columns}, not {list(row)}")
        writer.writerow(row.values())
        self._file.flush()

    def sync(self) -> int:
        """Flush all rows to the disk; returns the file's length in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()


def _check_row_ends(path: Path, offset: int) -> None:
    """Raises: FileError if no row of the log ends at this byte offset."""
    if not path.exists() or path.stat().st_size < offset:
        raise FileError(f"{path}: shorter than when the checkpoint was saved; cannot go on")
    with path.open("rb") as file:
        file.seek(offset - 1)
        if file.read(1) != b"\n":
            raise FileError(f"{path}: no row ends at its byte {offset}; cannot go on")


class TensorBoard:
    """An event file for TensorBoard, whose steps are timesteps.

    On resume `purge_step` hides the events of earlier files from that timestep on.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        # Other writers load torch, or write in a thread that prints a traceback on a full disk.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        origin = f"{socket.gethostname()}.{os.getpid()}.{next(_numbers):03d}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{origin}"
        self._writer = RecordWriter((folder / name).open("wb"))
        self._flush_at = 0.0
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(step=purge_step, wall_time=time.time(), session_log=start))

    def progress(self, row: Mapping[str, Any]) -> None:
        """Write a row of progress.csv."""
        self._add(row, TAGS, "train")

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """Write a row of evaluations.csv."""
        self._add(row, EVALUATION_TAGS, "eval")

    def _add(self, row: Mapping[str, Any], tags: Mapping[str, str], group: str) -> None:
        values = [
            self._summary.Value(tag=tags.get(name, f"{group}/{name}"), simple_value=value)
            for name, value in row.items()
        ]
        summary = self._summary(value=values)
        self._write(self._event(step=row["timesteps"], wall_time=time.time(), summary=summary))

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())
        if time.monotonic() >= self._flush_at:
            self._writer.flush()
            self._flush_at = time.monotonic() + FLUSH_SECONDS

    def close(self) -> None:
        """Write out what is buffered; safe to call twice."""
        self._writer.close()
