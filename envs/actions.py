"""The number of an action among named ones, whatever holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def number_of(action: Any, names: Sequence[str], world: str) -> int:
    """The number of an action from 0 on. Raises: ValueError if it is none of the world's."""
    if type(action) in (int, np.int64) and 0 <= action < len(names):
        return int(action)
    for number in range(len(names)):
        if np.array_equal(action, number):
            return number
    known = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
    raise ValueError(f"action {action!r}: {world} takes {known}")
