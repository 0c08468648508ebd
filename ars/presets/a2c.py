"""Presets of A2C, advantage actor-critic on n steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Raffin's RL Baselines3 Zoo, hyperparams/a2c.yml.
    "CartPole-v1": {"total_timesteps": 200_000, "eval_freq": 5},
    # Without these it unlearns landing and hovers: time costs something, the critic learns faster
    # than the actor, and the large gradients of surprising steps are not clipped.
    "LunarLander-v3": {
        "n_envs": 32,
        "n_steps": 5,
        "iteration_steps": 200,
        "optimizer": "adam",
        "learning_rate": 0.0015,
        "learning_rate_schedule": "linear",
        "critic_learning_rate": 0.0045,
        "gae_lambda": 0.95,
        "entropy_coef": 0.001,
        "max_grad_norm": 0.0,
        "normalize_observations": True,
        "reward_scale": 0.1,
        "time_penalty": 0.3,
        "total_timesteps": 499_200,
        "eval_freq": 1,
        "eval_episodes": 20,
    },
}
