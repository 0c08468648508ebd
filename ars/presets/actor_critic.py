"""Presets of actor-critic on one step or an episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Nothing is tuned: this shows what online updates of one step each can reach.
    "LunarLander-v3": {"total_timesteps": 500_000, "eval_freq": 40, "eval_episodes": 20},
    # A step of four cars at a time; the critic learns faster than the actor.
    "ObstacleCar": {
        "n_envs": 4,
        "learning_rate": 5e-4,
        "learning_rate_schedule": "linear",
        "critic_learning_rate": 1e-3,
        "entropy_coef": 0.01,
        "gamma": 0.95,
        "reward_scale": 0.05,
        "total_timesteps": 100_000,
        "eval_freq": 5,
        "eval_episodes": 20,
    },
}
