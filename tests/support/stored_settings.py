"""Runs whose stored settings are those of another version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ars.training import checkpoint


def edit_settings(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the settings of a run wherever they are stored."""
    path = folder / "config.json"
    data = json.loads(path.read_text())
    edit(data["config"])
    path.write_text(json.dumps(data))
    state = checkpoint.load(folder)
    edit(state.values["run"])
    checkpoint.save(folder, state)
