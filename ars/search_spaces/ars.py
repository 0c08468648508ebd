"""What a search for ARS tries."""

from __future__ import annotations

from typing import Any

from ars.search_spaces.base import Search

# Terms of a reward that keep a robot standing where they count from the start, and those that make
# it dear to move.
STANDING, COSTS = ("alive", "survive"), ("electricity", "stall", "ctrl")
# A rollout may be shorter than an episode where that is long: it says as much about a gait.
LONG = 500  # steps


def space(search: Search) -> dict[str, Any]:
    """Variant, size of a step and of its noise, directions, and what training rewards.

    A share of 1 of the directions makes variants v1 and v2 of v1-t and v2-t.
    """
    settings: dict[str, Any] = {
        "variant": search.choice("variant", "v2-t", "v1-t"),
        "step_size": search.real("step_size", 0.003, 0.3, log=True),
        "step_size_schedule": search.choice("step_size_schedule", "constant", "linear"),
        **directions(search, 4, 64),
    }
    if settings["variant"].endswith("-t") and "n_top" not in search.fixed:
        share = search.real("top_share", 0.1, 1.0)
        settings["n_top"] = max(1, round(share * settings["n_directions"]))
    if settings["variant"].startswith("v2"):
        settings["var_floor"] = search.choice("var_floor", 0.0, 0.01)
    return {**settings, **episodes(search)}


def directions(search: Search, fewest: int, most: int) -> dict[str, Any]:
    """The noise, how often it is drawn, and what a step must earn."""
    limit, total = search.task.time_limit or 1000, search.task.total_timesteps
    fewest = max(fewest, search.fixed.get("n_top") or 0)
    # At least ten iterations of whole episodes.
    fitting = max(fewest, min(most, max(4 * fewest, total // (20 * limit))))
    settings = {
        "delta_std": search.real("delta_std", 0.003, 0.3, log=True),
        "n_directions": search.whole("n_directions", fewest, fitting, log=True),
    }
    # Where each step pays 1 and nothing else does, a shift would leave nothing to learn from.
    if any(term in search.task.terms for term in STANDING):
        settings["shift"] = search.choice("shift", 0.0, 1.0)
    return settings


def episodes(search: Search) -> dict[str, Any]:
    """How long an episode of training is, and what it rewards."""
    limit = search.task.time_limit or 1000
    settings: dict[str, Any] = {}
    if limit >= LONG:
        settings["rollout_length"] = search.choice(
            "rollout_length", limit, 6 * limit // 10, 3 * limit // 10
        )
        # Without a limit, evaluations would be as long as the rollouts of their trial.
        if search.task.time_limit is None and "rollout_length" not in search.fixed:
            settings["eval_length"] = search.fixed.get("eval_length", limit)
    return {**settings, **_reward(search)}


def _reward(search: Search) -> dict[str, Any]:
    """Which terms count for nothing at first, and until when."""
    if search.fixed.keys() & {"reward_weights", "anneal_weights"}:
        return {}
    off = []
    for name, terms in (("standing_weight", STANDING), ("cost_weight", COSTS)):
        known = [term for term in terms if term in search.task.terms]
        if known and search.choice(name, 1.0, 0.0) == 0.0:
            off += [f"{term}=0" for term in known]
    if not off:
        return {}
    total = search.task.total_timesteps
    return {
        "reward_weights": off,
        "anneal_weights": search.whole("anneal_weights", max(1, total // 10), total),
    }
