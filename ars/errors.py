"""The two ways a command fails, each told in one line."""

from __future__ import annotations


class UsageError(ValueError):
    """Arguments that cannot be used: exit status 2, before Ray or PyBullet starts."""


class RunError(RuntimeError):
    """Anything else that failed: exit status 1."""
