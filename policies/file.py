"""The policy file, and the checksummed array file that policy files and checkpoints are based on.

An array file is a safetensors file (no pickle: reading it runs no code and allocates no more than
the file's size) whose metadata holds one JSON document with a checksum of everything else. It is
written to a temporary file, synced and renamed, so a reader sees either the old file or the new.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.base import Policy
from policies.normalizer import Normalizer
from policies.registry import build_policy
from policies.spec import PolicySpec
from policies.state import State

FORMAT_VERSION = 1
# What reading raises; an AttributeError of a type of numbers that NumPy has not, such as float8.
_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class FileError(ValueError):
    """A file is missing, damaged, malicious or of another kind; the message is one line."""


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, which takes its place once the block ends without an error.

    A reader sees either the old file or the whole new one, also after a loss of power.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # The system takes the user's umask off these permissions, which `tempfile` would not let it.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    with replacement(path) as temporary:
        temporary.write_bytes(data)


def json_bytes(data: Any) -> bytes:
    """Indented JSON with a newline at its end."""
    return (json.dumps(data, indent=2) + "\n").encode()


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON atomically."""
    write_atomically(path, json_bytes(data))


def read_plain(path: Path, at_most: int | None = None) -> bytes:
    """The bytes of a regular file: reading a FIFO or a device may never end.

    Raises: FileError, also if it has more bytes than `at_most`.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path}: not a regular file")
        if at_most is not None and status.st_size > at_most:
            raise FileError(f"{path}: of {status.st_size:,} bytes; at most {at_most:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from None


def _digest(arrays: Mapping[str, NDArray[Any]], document: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_arrays(
    path: Path, kind: str, arrays: Mapping[str, NDArray[Any]], document: dict[str, Any]
) -> None:
    """Atomically write named arrays and a JSON document; `kind`: "policy" or "checkpoint"."""
    from safetensors.numpy import save

    document = {**document, "kind": kind, "format_version": FORMAT_VERSION}
    document["sha256"] = _digest(arrays, document)
    # A single metadata key: safetensors writes several keys in an order that varies between runs.
    text = json.dumps(document, sort_keys=True, allow_nan=False)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomically(path, save(contiguous, metadata={"ars": text}))


def read_arrays(path: Path, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read a file written by `write_arrays`. Raises: FileError if it is incomplete or changed."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileError(f"{path}: no such {kind} file")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("ars")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        document = json.loads(text) if text is not None else None
        # The text must be as written: 1E-07 for 1e-07 is damage too, which the digest cannot see.
        as_written = json.dumps(document, sort_keys=True) == text
    except (SafetensorError, *_DAMAGED) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: not a {kind} file, or a damaged one ({reason})") from None
    if not isinstance(document, dict) or "sha256" not in document:
        raise FileError(f"{path}: a safetensors file, but not a {kind} file of this toolkit")
    expected = document.pop("sha256")
    if not as_written or expected != _digest(arrays, document):
        raise FileError(f"{path}: damaged: its contents do not match its checksum")
    if document.pop("kind", None) != kind:
        raise FileError(f"{path}: not a {kind} file")
    version = document.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise FileError(
            f"{path}: format version {version}; this toolkit reads version {FORMAT_VERSION}"
        )
    return arrays, document


@dataclass
class PolicyFile:
    """A policy and its origin.

    Attributes:
        policy: the policy.
        env_id: the environment it acts in.
        env_kwargs: the environment's arguments.
        training: algorithm, seed, iteration and timesteps of its training, for information.
    """

    policy: Policy
    env_id: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


def save_policy(path: str | Path, file: PolicyFile) -> None:
    """Write the policy file of `file.policy`, atomically."""
    policy = file.policy
    arrays: dict[str, NDArray[Any]] = {"weights": policy.weights}
    document: dict[str, Any] = {
        "spec": policy.spec.to_json(),
        "env": {"id": file.env_id, "kwargs": file.env_kwargs},
        "training": file.training,
        "parameter_order": "row-major weights, then bias, layer by layer; then log deviations",
        "normalizer": None,
    }
    if policy.normalizer is not None:
        state = policy.normalizer.state()
        state.arrays["count"] = np.array([state.values["count"]], np.int64)
        document["normalizer"] = state.values["rule"]
        arrays |= {f"normalizer.{name}": array for name, array in state.arrays.items()}
    write_arrays(Path(path), "policy", arrays, document)


def read_policy(path: str | Path) -> PolicyFile:
    """Read and check a policy file. Raises: FileError, with a one-line message."""
    path = Path(path)
    stored = State(*read_arrays(path, "policy"))
    try:
        spec = PolicySpec.from_state(stored.nested("spec"))
        weights = stored.array("weights", (spec.n_weights,))
        policy = build_policy(spec)
        policy.weights = weights
        if stored.value("normalizer", object) is not None:
            policy.normalizer = _normalizer(stored.nested("normalizer"), spec.observation.size)
        env, training = stored.nested("env"), stored.nested("training")
        for name in ("iteration", "timesteps", "rollout_length", "eval_length"):
            if training.values.get(name) is not None:
                training.count(name)
        return PolicyFile(policy, env.text("id"), env.value("kwargs", dict), training.values)
    except ValueError as error:
        raise FileError(f"{path}: not a usable policy file ({error})") from None


def load_policy(path: str | Path) -> Policy:
    """Return the policy in a policy file; needs only NumPy and safetensors. Raises: FileError."""
    return read_policy(path).policy


def _normalizer(state: State, size: int) -> Normalizer:
    """Rebuild a policy file's normaliser; the count is an array there, and its values the rule."""
    count = int(state.counts("count", 1)[0])
    values = {"count": count, "rule": state.values}
    return Normalizer.from_state(State(state.arrays, values, state.path), size)
