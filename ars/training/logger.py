"""Logs written row by row: CSV files, cut back on resume, and TensorBoard events."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ars.common.settings import counted
from policies import FileError
from policies.file import read_plain

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


def tagged(row: Mapping[str, Any], tags: Mapping[str, str], group: str) -> dict[str, Any]:
    """A row by tags: those of `tags`, and the columns' names within a group."""
    return {tags.get(name, f"{group}/{name}"): value for name, value in row.items()}


@dataclass(frozen=True)
class LogEnd:
    """Where a log ended when a checkpoint was saved.

    Attributes:
        offset: in bytes; 0 where there was no row.
        sha256: of all bytes before it; None in checkpoints of earlier versions.
        last: some numbers of the last row.
    """

    offset: int = 0
    sha256: str | None = None
    last: Mapping[str, int] = field(default_factory=dict)


class CsvLog:
    """A CSV file, opened where a checkpoint left it and truncated there.

    Floats are written in the shortest form that reads back as the same number.

    Raises:
        FileError: the file is not what the checkpoint knows.
    """

    def __init__(self, path: Path, end: LogEnd = LogEnd()) -> None:
        self.path, offset = path, end.offset
        self._columns: list[str] | None = None
        before = b""
        if offset:
            before = _before(path, end)
            self._columns = _columns(path, before, end)
        self._hash, self._hashed = hashlib.sha256(before), offset
        # The file lives as long as the log; `close` ends both.
        self._file: IO[str] = path.open(
            "r+" if path.exists() else "w+", encoding="utf-8", newline=""
        )
        self._file.truncate(offset)
        self._file.seek(offset)
        self._resumed = bool(offset)

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
        handle = self._file.fileno()
        os.fsync(handle)
        length = os.fstat(handle).st_size
        self._hash.update(os.pread(handle, length - self._hashed, self._hashed))
        self._hashed = length
        return length

    @property
    def sha256(self) -> str:
        """Of all that had been written at the last `sync`."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()


def _before(path: Path, end: LogEnd) -> bytes:
    """The bytes of a log that a checkpoint knows. Raises: FileError if they are others."""
    data = read_plain(path) if path.exists() else b""
    if len(data) < end.offset:
        raise FileError(f"{path}: shorter than when the checkpoint was saved; cannot go on")
    data = data[: end.offset]
    if end.sha256 is not None and hashlib.sha256(data).hexdigest() != end.sha256:
        raise FileError(f"{path}: changed since the checkpoint was saved; cannot go on")
    if not data.endswith(b"\n"):
        raise FileError(f"{path}: no row ends at its byte {end.offset}; cannot go on")
    return data


def read_table(path: Path, data: bytes | None = None) -> dict[str, list[str]]:
    """The columns of a log, all of one length. Raises: FileError.

    Args:
        path: of the file.
        data: its bytes, if they have been read.
    """
    try:
        text = (read_plain(path) if data is None else data).decode()
        lines = list(csv.reader(io.StringIO(text, newline="")))
        names, rows = (lines[0], lines[1:]) if lines else ([], [])  # none: no row was written yet
        if len(set(names)) < len(names):
            raise ValueError("two columns of one name")
        for number, row in enumerate(rows, 1):
            if len(row) != len(names):
                cells = counted(len(row), "cell")
                raise ValueError(f"its row {number:,} has {cells}, its columns are {len(names)}")
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        return {name: list(values) for name, values in zip(names, columns, strict=True)}
    except FileError:
        raise
    except (ValueError, csv.Error) as error:  # not UTF-8, ragged, or no CSV at all
        raise FileError(f"{path}: not a log of a run ({error})") from None


def _columns(path: Path, data: bytes, end: LogEnd) -> list[str]:
    """The columns of a log that ends as a checkpoint says. Raises: FileError."""
    table = read_table(path, data)
    for name, number in end.last.items():
        found = table.get(name) or ["missing"]
        if found[-1] != str(number):
            raise FileError(
                f"{path}: the {name} of its last row is {found[-1]}, that of the checkpoint "
                f"{number}; cannot go on"
            )
    return list(table)


class TensorBoard:
    """An event file for TensorBoard, whose steps are timesteps.

    `purge_step` hides the events of earlier files in the folder from that timestep on.
    """

    def __init__(self, folder: Path, purge_step: int = 0) -> None:
        # Other writers load torch, or write in a thread that prints a traceback on a full disk.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        origin = f"{socket.gethostname()}.{os.getpid()}.{next(_numbers):03d}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{origin}"
        goes_on = any(folder.glob("events.out.tfevents.*"))
        self._writer = RecordWriter((folder / name).open("xb"))
        self._flush_at = 0.0
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if goes_on:
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
            self._summary.Value(tag=tag, simple_value=value)
            for tag, value in tagged(row, tags, group).items()
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
