"""Warnings of the Python API."""

from __future__ import annotations

import warnings


def warn(message: str) -> None:
    """Warn the user of the API."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)
