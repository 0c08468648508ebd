"""The exceptions that a user may see, each with a message of one line.

A message names settings in backticks, as in "`n_top` 9: must be at most `n_directions` 8"; the
command line shows them as its flags.
"""

from __future__ import annotations


class UsageError(ValueError):
    """Arguments that cannot be used: exit status 2, before Ray or PyBullet starts."""


class RunError(RuntimeError):
    """Anything else that failed: exit status 1."""


class RolloutError(RuntimeError):
    """A rollout failed; the message says, on one line, which one and why."""


# What an environment may raise: it must not end the program, so `sys.exit` in it is a failure too.
FAILURES = (Exception, SystemExit)


def one_line(error: BaseException) -> str:
    """An exception as `Type: message`, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it tried to end the program (SystemExit{text and f': {text}'})"
    return text if isinstance(error, RolloutError) else f"{type(error).__name__}: {text}"
