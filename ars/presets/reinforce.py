"""Presets of REINFORCE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "CartPole-v1": {"total_timesteps": 200_000},
    # Karpathy (2016), "Deep Reinforcement Learning: Pong from Pixels". A game is 21 points or more,
    # and a point ends the returns as an episode does: 200 of them make about ten games.
    "ALE/Pong-v5": {
        "env_kwargs": {"pixels": "pong"},
        "n_envs": 8,
        "n_episodes": 200,
        "hidden_sizes": (200,),
        "activation": "relu",
        "optimizer": "rmsprop",
        "learning_rate": 1e-4,
        "max_grad_norm": 0.0,
        "rollout_length": 27_000,
        "total_timesteps": 10_000_000,
        "eval_freq": 20,
        "eval_episodes": 5,
    },
    "ObstacleCar": {
        "n_envs": 4,
        "baseline": True,
        "gamma": 0.95,
        "total_timesteps": 200_000,
        "eval_freq": 5,
        "eval_episodes": 20,
    },
    "Squash": {
        "n_envs": 8,
        "n_steps": 500,
        "n_episodes": 16,
        "baseline": True,
        "entropy_coef": 0.01,
        "gamma": 0.97,
        "learning_rate": 0.001,
        "conv_layers": (16, 4, 2, 32, 3, 2),
        "hidden_sizes": (128,),
        "total_timesteps": 600_000,
        "eval_freq": 5,
        "eval_episodes": 20,
    },
}
