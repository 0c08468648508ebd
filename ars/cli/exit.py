"""Failures reported in one line, each with its exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ars.cli.parser import fail

# By name, to import nothing: a class whose module was never imported cannot have been raised.
_STATUSES = (
    ("ars.common.errors", "UsageError", 2),
    ("envs", "UnknownEnvironment", 2),
    ("envs", "WrongOptions", 2),
    ("policies", "UnsupportedSpace", 2),
    ("ars.common.errors", "RunError", 1),
    ("gymnasium.error", "Error", 1),
    ("ars.common.errors", "RolloutError", 1),
    ("policies", "FileError", 1),
)


@contextmanager
def reporting() -> Iterator[None]:
    """Turn the failures a user can cause or meet into one line on stderr and an exit status.

    The status is 2 for arguments that cannot be used, 130 for an interrupt, and 1 for any other
    failure, which includes system errors such as a full disk; a closed stdout exits with 1 and
    prints nothing. An unexpected exception keeps its traceback. `KeyboardInterrupt("text")` prints
    its text.
    """
    try:
        yield
        sys.stdout.flush()  # here, where a closed pipe can still be handled
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it exits; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        status = _status(error)
        if status is None:
            raise
        fail(_told(error), status)


def _status(error: Exception) -> int | None:
    for module, name, status in _STATUSES:
        if isinstance(error, getattr(sys.modules.get(module), name, ())):
            return status
    if isinstance(error, OSError):
        return 2 if error.errno == errno.ENAMETOOLONG else 1
    return 1 if isinstance(error, MemoryError) else None


def _told(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory: {error}"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
