"""This user's home folder, which a container's user may not have."""

from __future__ import annotations

from pathlib import Path


def home_folder() -> Path | None:
    """The folder; None for a user without a name and without HOME."""
    try:
        return Path.home()
    except RuntimeError:
        return None
