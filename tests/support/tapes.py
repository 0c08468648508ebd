"""Tapes as a forger would leave them: changed, with digests that hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ars.training.tape import MAGIC, read_tape


def forge(path: Path, edit: Callable[[Any], Any]) -> None:
    """Change a tape's records, a structured array, and chain them anew."""
    tape = read_tape(path)
    records = np.array(tape.records)
    changed = edit(records)
    records = records if changed is None else changed
    data = digest = tape.header.encoded
    digest = digest[-32:]
    for record in records:
        content = record.tobytes()[:-32]
        digest = hashlib.sha256(digest + content).digest()
        data += content + digest
    path.write_bytes(data)


def forge_header(path: Path, edit: Callable[[dict[str, Any]], None], weight: float = 0.0) -> None:
    """Change a tape's JSON, or add to its first start weight, and chain the records anew."""
    tape = read_tape(path)
    body = tape.header.encoded[len(MAGIC) + 8 : -32]
    text, _, arrays = body.partition(b"\n")
    document = json.loads(text)
    edit(document)
    if weight:
        numbers = np.frombuffer(arrays, np.float64).copy()
        numbers[0] += weight
        arrays = numbers.tobytes()
    body = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n" + arrays
    head = MAGIC + len(body).to_bytes(8, "little") + body
    data = head + hashlib.sha256(head).digest()
    records = path.read_bytes()[len(tape.header.encoded) :]
    path.write_bytes(data + records)
    size = tape.records.dtype.itemsize
    digest, rest = data[-32:], b""
    for begin in range(0, len(records), size):
        content = records[begin : begin + size - 32]
        digest = hashlib.sha256(digest + content).digest()
        rest += content + digest
    path.write_bytes(data + rest)
