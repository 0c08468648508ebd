"""The exceptions that a user may see, each with a message of one line.

A message names settings in backticks, as in "`n_top` 9: must be at most `n_directions` 8"; the
command line shows them as its flags.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator


class UsageError(ValueError):
    """Arguments that cannot be used: exit status 2, before Ray or PyBullet starts."""


class RunError(RuntimeError):
    """Anything else that failed: exit status 1."""


class ClusterError(RunError):
    """Ray or its cluster cannot be used, whatever was to be computed there."""


class RolloutError(RuntimeError):
    """A rollout failed; the message says, on one line, which one and why.

    Args:
        message: the line.
        details: the traceback, where the failure was in another process.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


LONGEST_MESSAGE = 1000  # characters shown of an exception's own message


def failures() -> tuple[type[BaseException], ...]:
    """What an environment may raise, for an `except` clause: everything but an interrupt.

    It must not end the program, so `sys.exit` in it is a failure too. asyncio's cancellations and
    the panics of libraries written in Rust are not derived from `Exception` either.
    """
    return tuple(kind for kind in BaseException.__subclasses__() if kind is not KeyboardInterrupt)


def one_line(error: BaseException) -> str:
    """An exception as `Type: message`, on one line, with its place in the user's code if it has."""
    if isinstance(error, RolloutError):
        return _message(error)
    text = short_message(error)
    if isinstance(error, SystemExit):
        told = f"it tried to end the program (SystemExit{text and f': {text}'})"
        return with_place(told, error)
    return with_place(type(error).__name__ + (text and f": {text}"), error)


def short_message(error: BaseException) -> str:
    """The message of an exception on one line, cut where it is long: it may quote a file."""
    text = _message(error)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}..."


def _message(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception as another:  # of the user's own class
        return f"its message cannot be shown ({type(another).__name__})"


def carried(error: BaseException) -> RolloutError:
    """An exception as it can be sent to another process: its line, and its traceback as text."""
    details = "".join(traceback.format_exception(error)).rstrip()
    return RolloutError(one_line(error), details)


# What is no user's code: Python's own library, the toolkit, and packages that it needs.
_PYTHON = os.path.dirname(os.__file__)
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_TOOLKIT = tuple(os.path.join(_ROOT, name) + os.sep for name in ("ars", "envs", "policies"))
_PACKAGES = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_NEEDED = re.compile(
    _PACKAGES.pattern + "(gymnasium|imageio_ffmpeg|llvmlite|matplotlib|numba|numpy|PIL|pybullet|"
    "ray|rich|safetensors|tensorboard|threadpoolctl|torch)"
)


def with_place(text: str, error: BaseException) -> str:
    """A message with the file and line in the user's code where an exception comes from.

    It stays as it is if there is no such place, or if it names one.
    """
    found = _place(error)
    return text if not found or found in text else f"{text} (at {found})"


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it goes back to; `raise error from error` is its own cause."""
    seen = set[int]()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__


def _place(error: BaseException) -> str:
    """`file.py:12`: the innermost place in the user's own code, or else in a package of theirs."""
    places: dict[bool, str] = {}
    for cause in causes(error):
        for frame, line in traceback.walk_tb(cause.__traceback__):
            path = frame.f_code.co_filename
            installed = _PACKAGES.search(path) is not None
            if not os.path.isfile(path) or path.startswith(_TOOLKIT) or _NEEDED.search(path):
                continue
            if installed or not path.startswith(_PYTHON):
                places[installed] = f"{_short(path)}:{line}"
    return places.get(False) or places.get(True, "")


def _short(path: str) -> str:
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):  # the current folder is gone, or on another drive
        return path
    return path if relative.startswith("..") else relative
