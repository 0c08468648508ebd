"""What a search for DQN tries."""

from __future__ import annotations

import sys
from typing import Any

from ars.search_spaces.base import Search
from ars.search_spaces.deep import learning, network


def _fitting(most: int, *choices: int) -> list[int]:
    """Those that a replay buffer has room for."""
    return [choice for choice in choices if choice <= most]


def space(search: Search) -> dict[str, Any]:
    """Step size, replay, exploration, how often to learn, the target network, and extensions."""
    total, most = search.task.total_timesteps, search.fixed.get("buffer_size", sys.maxsize)
    envs = search.fixed.get("n_envs", 1)
    settings: dict[str, Any] = {
        **learning(search, 3e-5, 5e-3),
        **network(search),
        "batch_size": search.choice("batch_size", *(_fitting(most, 64, 32, 128) or (most,))),
        "epsilon_end": search.real("epsilon_end", 0.01, 0.2, log=True),
        "exploration_steps": search.whole(
            "exploration_steps", max(1, total // 50), max(1, total // 2), log=True
        ),
        "target_update": search.whole("target_update", 10, 10_000, log=True),
        "double": search.choice("double", True, False),
        "dueling": search.choice("dueling", False, True),
        "return_steps": search.choice("return_steps", *(_fitting(most // envs, 1, 3, 5) or (1,))),
        # Seldom and much at a time, or often and little.
        "train_freq": search.choice("train_freq", 4, 1, 16, 64, 256),
    }
    if "gradient_steps" not in search.fixed:
        share = search.choice("gradient_steps_share", 0.5, 0.25, 1.0)
        settings["gradient_steps"] = max(1, round(share * settings["train_freq"]))
    return settings
