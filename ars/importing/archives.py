"""Reads entries of zip archives from elsewhere into memory, within limits; unpacks nothing."""

from __future__ import annotations

import io
import lzma
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import UsageError, short_message
from ars.importing.arrays import LARGEST_ARRAY
from ars.importing.pickles import read_pickle
from policies import FileError
from policies.file import read_plain

LARGEST_FILE = 2**29  # bytes of an archive
LARGEST = 2**28  # bytes of all entries that are read, unpacked
_MOST_ENTRIES = 10_000
_FAILURES = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, NotImplementedError, RuntimeError, ValueError, IndexError, KeyError),
)
# What NumPy raises of a header, which it reads as a literal of Python.
_UNREADABLE = ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError


class Archive:
    """A zip archive in memory. Raises: ValueError, in one line, for one that is not good."""

    def __init__(self, data: bytes) -> None:
        self._left = LARGEST
        with _damaged():
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        self.names = self._zip.namelist()
        if len(self.names) > _MOST_ENTRIES or len(set(self.names)) < len(self.names):
            raise ValueError("an archive with too many entries, or with two of one name")
        for name in self.names:
            if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
                raise ValueError(f"an archive with an entry outside it, {name!r}")

    def read(self, name: str) -> bytes:
        """An entry, unpacked. Raises: ValueError."""
        if name not in self.names:
            raise ValueError(f"an archive without {name}")
        with _damaged(), self._zip.open(name) as entry:
            data = entry.read(self._left + 1)  # what the archive says of its size may be wrong
            if len(data) > self._left:
                raise ValueError(f"an archive that unpacks to more than {LARGEST:,} bytes")
            self._left -= len(data)
        return data


def open_archive(path: Path) -> Archive:
    """Raises: FileError where there is no such file; ValueError where it is not good."""
    return Archive(read_plain(path, LARGEST_FILE))


@contextmanager
def _damaged() -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise ValueError(
            f"a damaged archive ({short_message(error) or type(error).__name__})"
        ) from None


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn a ValueError into a FileError that names the file and what it should have been."""
    try:
        yield
    except (FileError, UsageError):
        raise
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: not a usable {what}: {short_message(error)}") from None


def read_npy(data: bytes) -> Any:
    """What an entry of an npz file holds: an array, or a pickle as `read_pickle` reads it.

    Raises: ValueError.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        with warnings.catch_warnings(action="ignore"):  # of files that Python 2 wrote
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            elif version == (2, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
            else:
                raise ValueError(f"version {version}")
    except _UNREADABLE as error:
        raise ValueError(f"an array with a damaged header ({short_message(error)})") from None
    contents = data[file.tell() :]
    if dtype.hasobject:
        return read_pickle(contents)
    size = 1
    for length in shape:
        size *= length
    if dtype.kind not in "biuf" or not 0 <= size <= LARGEST_ARRAY:
        raise ValueError(f"an array of type {dtype} and shape {shape}, which is not read")
    if len(contents) != size * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} with {len(contents):,} bytes")
    found: NDArray[Any] = np.frombuffer(contents, dtype)
    return found.reshape(shape, order="F" if fortran else "C")
