"""What a search for PPO tries."""

from __future__ import annotations

from typing import Any

from ars.search_spaces.base import Search
from ars.search_spaces.deep import learning, network, on_policy


def space(search: Search) -> dict[str, Any]:
    """Step size, length of an iteration and of its minibatches, clipping, advantages, network."""
    # A minibatch that is given has to fit into an iteration.
    batch_size, fixed = search.fixed.get("batch_size", 0), search.fixed.get("n_steps")
    enough = [n for n in (8, 4, 16) if fixed is None or n * fixed >= batch_size]
    n_envs = search.choice("n_envs", *(enough or (16,)))
    least = max(32, 2 ** (-(-batch_size // n_envs) - 1).bit_length())
    # Ten iterations or more.
    most = max(64, min(1024, search.task.total_timesteps // 160))
    n_steps = search.power_of_two("n_steps", least, max(least, most))
    return {
        "n_envs": n_envs,
        "n_steps": n_steps,
        "batch_size": min(n_envs * n_steps, search.power_of_two("batch_size", 32, 1024)),
        **learning(search, 1e-5, 3e-3),
        **on_policy(search),
        **network(search),
        "n_epochs": search.choice("n_epochs", 10, 4, 20),
        "gae_lambda": search.real("gae_lambda", 0.8, 1.0),
        "clip_range": search.choice("clip_range", 0.2, 0.1, 0.3),
        "normalize_rewards": search.choice("normalize_rewards", False, True),
    }
