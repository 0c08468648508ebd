"""Forged contents for files with the right digest: documents and arrays with things changed."""

from __future__ import annotations

import json
import struct
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from policies.file import FORMAT_VERSION, _digest

Arrays = dict[str, NDArray[Any]]

NUMBERS = (0, 1, -1, 2, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 10**400)
FLOATS = (0.5, -0.0, 1e-320, 1e300, 1e308, float("inf"), float("-inf"), float("nan"))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(FLOATS),
    st.integers(-20, 200),
    st.sampled_from(
        ["", "x", "box", "discrete", "linear", "mlp", "cnn", "uint8", "float32", "f8,f8"]
    ),
)
documents = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["", "x", "shape"]), inner, max_size=2)
    ),
    max_leaves=4,
)
TYPES = ("<f8", "<f4", "<i8", "<i4", "|u1", "|b1")


def places(document: Any, *path: Any) -> list[tuple[Any, ...]]:
    """The paths of all values in a document, but for the document itself."""
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    found = []
    for name, value in inner:
        found += [(*path, name), *places(value, *path, name)]
    return found


@st.composite
def edited(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one value changed, removed or taken from elsewhere in it."""
    document = deepcopy(document)
    *outer, name = draw(st.sampled_from(places(document)))
    holder: Any = document
    for step in outer:
        holder = holder[step]
    how = draw(st.sampled_from(["change", "change", "change", "remove", "move"]))
    if how == "change":
        holder[name] = draw(documents)
    elif how == "remove":
        del holder[name]
    else:
        value: Any = document
        for step in draw(st.sampled_from(places(document))):
            value = value[step]
        holder[name] = deepcopy(value)
    return document


@st.composite
def changed(draw: st.DrawFn, arrays: Arrays) -> Arrays:
    """The arrays with one of them changed or removed."""
    arrays = dict(arrays)
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    how = draw(
        st.sampled_from(["numbers", "numbers", "shape", "type", "length", "remove", "other"])
    )
    if how == "remove":
        del arrays[name]
    elif how == "numbers" and array.size:
        array = array.copy()
        at = draw(st.integers(0, array.size - 1))
        number = draw(st.sampled_from([*NUMBERS, *FLOATS]) | st.integers(-20, 200))
        with np.errstate(all="ignore"):
            try:
                array.flat[at] = number
            except (OverflowError, ValueError):  # an integer array cannot hold it
                array.flat[at] = -1 if array.dtype.kind != "u" else 255
        arrays[name] = array
    elif how == "shape":
        arrays[name] = array.reshape(draw(st.sampled_from([(-1,), (1, -1), (-1, 1), array.shape])))
    elif how == "type":
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(draw(st.sampled_from(TYPES)))
    elif how == "length":
        n = draw(st.integers(0, 3))
        arrays[name] = np.resize(array, (len(array) + n - 1, *array.shape[1:])) if n else array[:0]
    else:
        arrays[name] = arrays[draw(st.sampled_from(sorted(arrays)))]
    return arrays


@st.composite
def forgeries(draw: st.DrawFn, arrays: Arrays, document: dict[str, Any]) -> tuple[Arrays, Any]:
    """Arrays and a document with one to three changes."""
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            document = draw(edited(document))
        elif arrays:
            arrays = draw(changed(arrays))
    return arrays, document


def write(path: Path, kind: str, arrays: Arrays, document: dict[str, Any]) -> None:
    """Write a file with the right digest, whatever is in it; also what `write_arrays` refuses."""
    document = {**document, "kind": kind, "format_version": FORMAT_VERSION}
    document["sha256"] = _digest(arrays, document)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    path.write_bytes(save(contiguous, metadata={"ars": json.dumps(document, sort_keys=True)}))


@st.composite
def altered(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with one to three stretches of them overwritten, removed, repeated or put in."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 1, 2, 4, 8, 40, 10**9])))
        new = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"", data[at:end] * 2, *(str(n).encode() for n in NUMBERS)])
            | st.sampled_from([struct.pack("<q", n) for n in (-1, 2**31, 2**40, 2**62)])
        )
        data = data[:at] + new + data[end:]
    return data


@st.composite
def altered_entries(draw: st.DrawFn, entries: dict[str, bytes]) -> dict[str, bytes]:
    """The entries of an archive with one altered, removed, renamed or taken from another."""
    entries = dict(entries)
    name, other = (draw(st.sampled_from(sorted(entries))) for _ in range(2))
    how = draw(st.sampled_from(["alter", "alter", "alter", "alter", "remove", "rename", "copy"]))
    if how == "alter":
        entries[name] = draw(altered(entries[name]))
    elif how == "remove":
        del entries[name]
    elif how == "rename":
        entries[draw(st.sampled_from(["x", " ", "../x", "/x", "x\n"]))] = entries.pop(name)
    else:
        entries[name] = entries[other]
    return entries
