"""How functions become machine code, and when they are compiled anew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def sources() -> str:
    """Return a digest of all that the compiled code is made from, its constants included.

    Numba keeps what it compiled until the file with the outermost function changes. That function
    closes over this digest, which Numba takes into account, so no change in any file is missed.
    """
    files = sorted(Path(__file__).parent.parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def compiled(function: Function) -> Function:
    """Compile `function` when first called, unless an earlier process left it on the disk.

    That takes 5 to 15 s of CPU time, by the kind of robot, or 0.2 s from the disk. It keeps the
    GIL, as PyBullet's own calls do: Bullet does not promise that two simulations may run at once
    in a process.
    """
    try:
        fast = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # Numba finds no folder to write to
        return part(function)
    _forget_what_is_damaged(fast._cache)
    found: Function = fast
    return found


def _forget_what_is_damaged(cache: Any) -> None:
    """Have Numba compile anew where it cannot read what is on the disk: cut short, say."""
    load = cache.load_overload

    def load_or_forget(*details: Any) -> Any:
        try:
            return load(*details)
        except Exception:  # whatever reading a damaged pickle raises
            cache.flush()
            return None

    cache.load_overload = load_or_forget


def part(function: Function) -> Function:
    """Compile `function` into whatever calls it."""
    fast: Function = numba.njit(error_model="numpy")(function)
    return fast
