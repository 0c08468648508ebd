"""Compilation by Numba, its cache, and the array types of compiled functions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Indices = NDArray[np.int64]

Function = TypeVar("Function", bound=Callable[..., Any])


def source_digest() -> str:
    """Return a digest of all source files that the compiled code and its constants come from.

    Numba's cache is invalidated only when the file with the outermost function changes. That
    function closes over this digest, which is part of Numba's cache key, so that a change in any of
    the files causes a recompilation.
    """
    files = sorted(Path(__file__).parent.parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def compiled_entry(function: Function) -> Function:
    """Compile a function to be called from Python, on its first call, with a cache on disk.

    Compiling takes 5 to 15 s of CPU time, depending on the family of robots; loading from the cache
    takes 0.2 s. Compiled code keeps the GIL, as PyBullet's own calls do: Bullet does not guarantee
    that two simulations can run at the same time in one process.
    """
    try:
        fast = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # Numba finds no folder to write to
        return compiled(function)
    _replace_damaged_files(fast._cache)
    entry: Function = fast
    return entry


def has_cache() -> bool:
    """Whether compiled code can be kept on disk for the next start."""
    try:
        numba.njit(cache=True)(source_digest)  # compiles nothing
    except RuntimeError:
        return False
    return True


def _replace_damaged_files(cache: Any) -> None:
    """Make Numba recompile if it cannot read its cache file, for example a truncated one."""
    load = cache.load_overload

    def load_or_flush(*details: Any) -> Any:
        try:
            return load(*details)
        except Exception:  # reading a damaged pickle may raise anything
            cache.flush()
            return None

    cache.load_overload = load_or_flush


def compiled(function: Function) -> Function:
    """Compile a function that other compiled functions call."""
    fast: Function = numba.njit(error_model="numpy")(function)
    return fast
