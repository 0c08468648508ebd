"""Keeps stdout for a command's result alone, whatever environments print."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def to_stderr() -> Iterator[None]:
    """Send what is written to stdout in the block, from Python or C or a child, to stderr."""
    with contextlib.ExitStack() as restored:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # one of them is closed
            sys.stdout.flush()
            original = os.dup(1)
            restored.callback(os.close, original)
            restored.callback(os.dup2, original, 1)
            os.dup2(2, 1)
        restored.callback(_flush_c)  # C buffers its output, except on a terminal
        with contextlib.redirect_stdout(sys.stderr):
            yield
        # What is called at the program's end may print too. The last registered is called first.
        _to_stderr_at_exit()


@functools.cache
def _to_stderr_at_exit() -> None:
    atexit.register(_give_up_stdout)


def _give_up_stdout() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
        sys.stdout.flush()
        os.dup2(2, 1)
        sys.stdout = sys.stderr


def _flush_c() -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library by that name
        ctypes.CDLL(None).fflush(None)
