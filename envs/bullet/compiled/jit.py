"""How functions become machine code, when they are compiled anew, and the arrays they take."""

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
    """Return a digest of all source files that compiled code is made from, constants included.

    Numba keeps what it has compiled until the file with the outermost function changes. That
    function closes over this digest, which Numba takes into account, so a change in any of the
    files counts.
    """
    files = sorted(Path(__file__).parent.parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def compiled_entry(function: Function) -> Function:
    """Compile what Python calls, on its first call, unless an earlier process has left it on disk.

    That takes 5 to 15 s of CPU time, depending on the family of robots, or 0.2 s from the disk.
    Compiled code keeps the GIL, as PyBullet's own calls do: Bullet does not promise that two
    simulations may run at once in a process.
    """
    try:
        fast = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # Numba finds no folder to write to
        return compiled(function)
    _replace_damaged_files(fast._cache)
    entry: Function = fast
    return entry


def _replace_damaged_files(cache: Any) -> None:
    """Have Numba compile anew where it cannot read its file, for instance because it is cut off."""
    load = cache.load_overload

    def load_or_flush(*details: Any) -> Any:
        try:
            return load(*details)
        except Exception:  # whatever reading a damaged pickle raises
            cache.flush()
            return None

    cache.load_overload = load_or_flush


def compiled(function: Function) -> Function:
    """Compile `function` into the compiled functions that call it."""
    fast: Function = numba.njit(error_model="numpy")(function)
    return fast
