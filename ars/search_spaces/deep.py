"""What searches for the deep algorithms have in common, after Raffin's RL Baselines3 Zoo."""

from __future__ import annotations

from typing import Any

from ars.search_spaces.base import Search


def network(search: Search) -> dict[str, Any]:
    """Layers and activation; images keep those of their own kind of network."""
    if search.task.images:
        return {}
    return {
        "hidden_sizes": search.sizes("hidden_sizes", "64 64", "128 128", "256 256"),
        "activation": search.choice("activation", "tanh", "relu"),
    }


def learning(search: Search, lowest: float, highest: float) -> dict[str, Any]:
    """Step size and discount: 1 less a number that may be small."""
    settings = {
        "learning_rate": search.real("learning_rate", lowest, highest, log=True),
        "learning_rate_schedule": search.choice("learning_rate_schedule", "constant", "linear"),
    }
    if "gamma" not in search.fixed:
        settings["gamma"] = round(1 - search.real("one_minus_gamma", 1e-3, 0.1, log=True), 6)
    return settings


def on_policy(search: Search) -> dict[str, Any]:
    """What every on-policy algorithm has."""
    settings: dict[str, Any] = {
        "entropy_coef": search.real("entropy_coef", 1e-6, 0.1, log=True),
        "max_grad_norm": search.real("max_grad_norm", 0.3, 5.0, log=True),
    }
    if not search.task.images:
        settings["normalize_observations"] = search.choice("normalize_observations", True, False)
    if not search.task.discrete:
        settings["log_std_init"] = search.real("log_std_init", -2.0, 0.5)
    return settings
