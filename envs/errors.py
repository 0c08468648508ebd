"""What can be wrong with what `envs.make` is asked for."""

from __future__ import annotations


class UnknownEnvironment(ValueError):
    """No environment has this name; the one-line message suggests similar names."""


class WrongOptions(ValueError):
    """Options do not fit an environment; the message is one line."""
