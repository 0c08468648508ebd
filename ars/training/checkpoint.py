"""Checkpoints: everything a run needs to go on exactly, in one file with a digest.

The previous checkpoint is kept. A new one is written to a temporary file, synced and renamed, so
that at every moment one of the two can be read.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from policies.file import FileError, read_arrays, write_arrays
from policies.state import State

FOLDER = "checkpoint"
CURRENT = "state.safetensors"
PREVIOUS = "previous.safetensors"


def path(run: Path) -> Path:
    """The file of a run folder's checkpoint."""
    return run / FOLDER / CURRENT


def save(run: Path, state: State) -> None:
    """Write the checkpoint of a run folder, keeping the last one as the previous."""
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    current, previous = folder / CURRENT, folder / PREVIOUS
    if current.exists():
        # A hard link, so that the current file is never missing while the new one replaces it.
        spare = folder / f".{PREVIOUS}"
        spare.unlink(missing_ok=True)
        try:
            os.link(current, spare)
        except OSError:  # not on every file system
            shutil.copyfile(current, spare)
        os.replace(spare, previous)
    write_arrays(current, "checkpoint", state.arrays, state.values)


def exists(run: Path) -> bool:
    """Whether a run folder has any checkpoint."""
    return any((run / FOLDER / name).exists() for name in (CURRENT, PREVIOUS))


def load(run: Path) -> State:
    """Read a run's checkpoint. Raises: FileError that names the previous one, if there is one."""
    current, previous = path(run), run / FOLDER / PREVIOUS
    try:
        return State(*read_arrays(current, "checkpoint"))
    except FileError as error:
        if not previous.exists():
            raise
        raise FileError(
            f"{error}; to go on from the checkpoint before it, rename {previous} to {CURRENT}"
        ) from None
