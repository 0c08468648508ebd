"""What searches for PGPE and for separable CMA-ES try."""

from __future__ import annotations

from typing import Any

from ars.search_spaces.ars import directions, episodes
from ars.search_spaces.base import Search


def pgpe(search: Search) -> dict[str, Any]:
    """Speed and momentum, the noise and how fast it adapts, and what training rewards."""
    return {
        "step_size": search.real("step_size", 0.01, 1.0, log=True),
        "momentum": search.choice("momentum", 0.9, 0.8, 0.0),
        **directions(search, 4, 64),
        "delta_std_step_size": search.choice("delta_std_step_size", 0.1, 0.0),
        **_observations(search),
        **episodes(search),
    }


def sep_cma_es(search: Search) -> dict[str, Any]:
    """The noise at first and how often it is drawn, and what training rewards."""
    return {**directions(search, 8, 128), **_observations(search), **episodes(search)}


def _observations(search: Search) -> dict[str, Any]:
    normalized = search.choice("normalize_observations", True, False)
    floor = {"var_floor": search.choice("var_floor", 0.0, 0.01)} if normalized else {}
    return {"normalize_observations": normalized, **floor}
