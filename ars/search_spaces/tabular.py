"""What a search for tabular methods tries."""

from __future__ import annotations

from typing import Any

from ars.search_spaces.base import Search


def planning(search: Search) -> dict[str, Any]:
    """The discount: all else leads to the same values."""
    return {"gamma": search.real("gamma", 0.9, 1.0)}


def episodes(search: Search) -> dict[str, Any]:
    """Discount and exploration."""
    steps = search.task.total_timesteps
    return {
        **planning(search),
        "epsilon_end": search.real("epsilon_end", 0.01, 0.5, log=True),
        "exploration_steps": search.whole(
            "exploration_steps", max(1, steps // 100), max(1, steps), log=True
        ),
    }


def temporal_difference(search: Search) -> dict[str, Any]:
    """The same, and the step size with its schedule."""
    return {
        **episodes(search),
        "learning_rate": search.real("learning_rate", 0.01, 1.0, log=True),
        "learning_rate_schedule": search.choice("learning_rate_schedule", "constant", "linear"),
    }
