"""What may come of a forgery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# The strategy for a file's forgeries, and what tries one: returns whether it was good.
Target = tuple[Any, Callable[[Any], bool]]


class Unhandled(Exception):
    """A forgery that was neither refused in one line nor good."""


def checked(message: str) -> None:
    """A refusal. Raises: Unhandled unless it is one line of sensible length."""
    if "\n" in message or len(message) > 2000:
        raise Unhandled(f"not one line: {message[:300]}")
