"""The tape: what it takes to compute every policy of a training again, without its rollouts.

    magic     8 bytes
    length    of the body, an unsigned 64-bit integer
    body      one line of JSON, then the start's arrays
    digest    SHA-256 of all before it
    records   one an iteration: its fields, then the SHA-256 of the digest before it and of them

Numbers are little-endian. The JSON holds the run's identity, the state in which the tape begins,
the names and shapes of a record's fields, and the machine that began it. Noise is generated from
counters, so the scores of an iteration's rollouts determine its step.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Algorithm, Record
from ars.common.settings import counted
from ars.distributed.versions import cpu, libc, versions
from policies import FileError
from policies.file import read_plain
from policies.state import State

MAGIC = b"ARS-tape"
FORMAT_VERSION = 1
DIGEST_SIZE = 32
TYPES = ("<f8", "<i8")
LARGEST_ARRAY = 2**27  # numbers


@dataclass(frozen=True)
class Header:
    """What a tape begins with.

    Attributes:
        run: the run's identity (`TrainingConfig.identity`).
        training: what its policy files say about their training.
        policy: `PolicySpec.to_json`.
        machine: `machine_now` of the machine that began the tape.
        start: the algorithm's state before the first record.
        fields: the type of a record without its digest.
        encoded: the bytes of all this in the file, the digest included.
    """

    run: dict[str, Any]
    training: dict[str, Any]
    policy: dict[str, Any]
    machine: dict[str, Any]
    start: State
    fields: np.dtype[np.void]
    encoded: bytes

    @property
    def first(self) -> int:
        """The iteration after which the tape begins."""
        return self.start.count("iteration")


@dataclass(frozen=True)
class Tape:
    """A tape whose digests match; `records`: one per iteration, in order."""

    path: Path
    header: Header
    records: NDArray[np.void]
    digest: bytes

    @property
    def last(self) -> int:
        """The iteration of the last record."""
        return self.header.first + len(self.records)

    @property
    def timesteps(self) -> list[int]:
        """Before the first record, and after each."""
        return [self.header.start.count("timesteps"), *self.records["timesteps"].tolist()]

    def record(self, index: int) -> Record:
        """A record by its position, as `Algorithm.tape_record` gave it."""
        names = self.header.fields.names or ()
        return {name: np.asarray(self.records[name][index]) for name in names}


def machine_now() -> dict[str, Any]:
    """What a replay may depend on in this machine, as JSON."""
    return {"versions": versions(), "cpu": cpu(), "libc": libc()}


class TapeLog:
    """A tape that grows by one record per iteration; opened at an offset, the rest is cut off.

    Args:
        path: of the file.
        algorithm: whose iterations are recorded, in the state in which the tape begins or goes on.
        run: the run's identity.
        training: what its policy files say about their training.
        offset: the length of the tape to continue; 0 begins a new one.

    Raises:
        FileError: the tape to continue is damaged, or has other records.
    """

    def __init__(
        self,
        path: Path,
        algorithm: Algorithm,
        run: dict[str, Any],
        training: dict[str, Any],
        offset: int = 0,
    ) -> None:
        record = algorithm.tape_record()
        assert record is not None
        if offset:
            tape = read_tape(path, offset)
            self._fields, self._digest = tape.header.fields, tape.digest
            ours = _fields(record)
            if any(ours.get(name) != kind for name, kind in _items(self._fields)):
                raise FileError(f"{path}: its records hold other things than this run's")
            if tape.last != algorithm.iteration:
                raise FileError(
                    f"{path}: ends after {counted(tape.last, 'iteration')}, the checkpoint is "
                    f"of {algorithm.iteration:,}"
                )
        else:
            header = _encode_header(algorithm, record, run, training)
            self._fields, self._digest = np.dtype(list(_fields(record).items())), header[-32:]
        # The file lives as long as the log; `close` ends both.
        self._file: IO[bytes] = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(offset)
        self._file.seek(offset)
        if not offset:
            self._file.write(header)
            self._file.flush()

    def append(self, record: Record | None) -> None:
        """Append the record of the last iteration."""
        assert record is not None
        row = np.zeros((), self._fields)
        for name in self._fields.names or ():
            row[name] = record[name]
        content = row.tobytes()
        self._digest = _chained(self._digest, content)
        self._file.write(content + self._digest)
        self._file.flush()

    def sync(self) -> int:
        """Write all records to disk; returns the file's length in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()


def read_tape(path: Path, length: int | None = None) -> Tape:
    """Read a tape, or its first `length` bytes, and check every digest.

    Raises: FileError that names the file and where it is damaged.
    """
    data = read_plain(path)
    if length is not None and len(data) < length:
        raise FileError(f"{path}: shorter than when the checkpoint was saved")
    data = data[:length]
    header = _decode_header(path, data)
    kind = np.dtype([*_items(header.fields), ("digest", f"V{DIGEST_SIZE}")])
    n_records, rest = divmod(len(data) - len(header.encoded), kind.itemsize)
    digest, size = header.encoded[-DIGEST_SIZE:], kind.itemsize - DIGEST_SIZE
    for index in range(n_records):
        begin = len(header.encoded) + index * kind.itemsize
        digest = _chained(digest, data[begin : begin + size])
        if digest != data[begin + size : begin + kind.itemsize]:
            where = f"iteration {header.first + index + 1:,}"
            raise FileError(f"{path}: damaged: the record of {where} does not match its digest")
    if rest:
        where = f"iteration {header.first + n_records + 1:,}"
        raise FileError(f"{path}: damaged: it ends within the record of {where}")
    records = np.frombuffer(data, kind, n_records, len(header.encoded))
    return Tape(path, header, records, digest)


def _chained(digest: bytes, content: bytes) -> bytes:
    return hashlib.sha256(digest + content).digest()


def _fields(record: Record) -> dict[str, Any]:
    """The fields of a record as NumPy describes them: types by name."""
    return {name: (array.dtype.newbyteorder("<"), array.shape) for name, array in record.items()}


def _items(fields: np.dtype[np.void]) -> list[tuple[str, Any]]:
    found = [(name, fields[name]) for name in fields.names or ()]
    return [(name, (kind.base, kind.shape)) for name, kind in found]


def _described(kinds: Mapping[str, Any]) -> list[list[Any]]:
    return [[name, kind.str, list(shape)] for name, (kind, shape) in kinds.items()]


def _encode_header(
    algorithm: Algorithm, record: Record, run: dict[str, Any], training: dict[str, Any]
) -> bytes:
    start = algorithm.state()
    document = {
        "format": FORMAT_VERSION,
        "run": run,
        "training": training,
        "policy": algorithm.policy.spec.to_json(),
        "machine": machine_now(),
        "start": start.values,
        "arrays": _described(_fields(start.arrays)),
        "record": _described(_fields(record)),
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    arrays = b"".join(np.ascontiguousarray(array).tobytes() for array in start.arrays.values())
    body = text.encode() + b"\n" + arrays
    head = MAGIC + len(body).to_bytes(8, "little") + body
    return head + hashlib.sha256(head).digest()


def _decode_header(path: Path, data: bytes) -> Header:
    if data[: len(MAGIC)] != MAGIC:
        raise FileError(f"{path}: not a tape, or a damaged one")
    begin = len(MAGIC) + 8
    end = begin + int.from_bytes(data[len(MAGIC) : begin], "little")
    if len(data) < end + DIGEST_SIZE:
        raise FileError(f"{path}: damaged: it ends within its header")
    if hashlib.sha256(data[:end]).digest() != data[end : end + DIGEST_SIZE]:
        raise FileError(f"{path}: damaged: its header does not match its digest")
    text, _, arrays = data[begin:end].partition(b"\n")
    try:
        document = json.loads(text)
        version = document["format"]
        if version != FORMAT_VERSION:
            raise ValueError(f"format {version}; this toolkit reads {FORMAT_VERSION}")
        start = State(_read_arrays(arrays, document["arrays"]), dict(document["start"]))
        header = Header(
            dict(document["run"]),
            dict(document["training"]),
            dict(document["policy"]),
            dict(document["machine"]),
            start,
            np.dtype([(name, (kind, shape)) for name, kind, shape in _kinds(document["record"])]),
            data[: end + DIGEST_SIZE],
        )
        if "timesteps" not in (header.fields.names or ()):
            raise ValueError("records without timesteps")
        start.count("iteration"), start.count("timesteps")
        return header
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileError(f"{path}: not a usable tape ({error})") from None


def _kinds(described: Any) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
    """Names, types and shapes as `_described` wrote them. Raises: ValueError, TypeError."""
    found = []
    for name, kind, shape in described:
        odd = kind not in TYPES or any(not isinstance(size, int) or size < 0 for size in shape)
        if odd or math.prod(shape) > LARGEST_ARRAY:
            raise ValueError(f"{name} of type {kind} and shape {shape}")
        found.append((str(name), np.dtype(kind), tuple(shape)))
    return found


def _read_arrays(data: bytes, described: Any) -> dict[str, NDArray[Any]]:
    arrays, begin = {}, 0
    for name, kind, shape in _kinds(described):
        size = math.prod(shape)
        arrays[name] = np.frombuffer(data, kind, size, begin).reshape(shape)
        begin += size * kind.itemsize
    if begin != len(data):
        raise ValueError("arrays of another length")
    return arrays
