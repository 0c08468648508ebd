"""Presets of DQN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Mnih et al. (2015), extended data table 1, with the optimiser and the buffer size of Raffin's RL
# Baselines3 Zoo, hyperparams/dqn.yml: the paper's million frames would take 7.6 GB.
_DQN_ATARI = {
    "env_kwargs": {"pixels": "atari", "fire": True},
    "rollout_length": 27_000,
    "learning_rate": 1e-4,
    "batch_size": 32,
    "buffer_size": 100_000,
    "learning_starts": 50_000,
    "train_freq": 4,
    "target_update": 1000,
    "exploration_steps": 1_000_000,
    "epsilon_end": 0.01,
    "reward_clip": 1.0,
    "total_timesteps": 10_000_000,
    "eval_freq": 250,
    "eval_episodes": 5,
    "save_freq": 100,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "CartPole-v1": {
        # Raffin's RL Baselines3 Zoo, hyperparams/dqn.yml.
        "learning_rate": 0.0023,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1000,
        "target_update": 10,
        "train_freq": 256,
        "gradient_steps": 128,
        "exploration_steps": 8000,
        "epsilon_end": 0.04,
        "hidden_sizes": (256, 256),
        "double": False,
        "total_timesteps": 50_000,
        "eval_freq": 1,
        "eval_episodes": 20,
    },
    "Acrobot-v1": {
        # From the same file, with smaller layers.
        "learning_rate": 6.3e-4,
        "learning_rate_schedule": "linear",
        "batch_size": 128,
        "buffer_size": 50_000,
        "learning_starts": 1000,
        "target_update": 250,
        "train_freq": 4,
        "gradient_steps": 4,
        "exploration_steps": 12_000,
        "epsilon_end": 0.1,
        "total_timesteps": 100_000,
        "eval_freq": 2,
        "eval_episodes": 20,
    },
    "LunarLander-v3": {
        # Three rewards in a target, and a target network that stays fixed for long (the default):
        # without these it learns to land and unlearns it.
        "learning_rate": 5e-4,
        "learning_rate_schedule": "linear",
        "return_steps": 3,
        "train_freq": 4,
        "gradient_steps": 2,
        "exploration_steps": 50_000,
        "epsilon_end": 0.02,
        "hidden_sizes": (128, 128),
        "gamma": 0.995,
        "total_timesteps": 500_000,
        "eval_freq": 10,
        "eval_episodes": 50,  # many, to tell a good policy from a lucky one
    },
    "Squash": {
        "n_envs": 4,
        "n_steps": 500,
        "conv_layers": (16, 4, 2, 32, 3, 2),
        "hidden_sizes": (128,),
        "learning_rate": 5e-4,
        "gamma": 0.97,
        "batch_size": 32,
        "buffer_size": 50_000,
        "learning_starts": 2000,
        "train_freq": 1,
        "target_update": 500,
        "total_timesteps": 60_000,
        "eval_freq": 2,
        "eval_episodes": 20,
    },
    # One hidden layer of 150 units, RMSprop and batches of 100. Under larger steps and one-step
    # returns, the defaults, what was learned does not last.
    "ObstacleCar": {
        "hidden_sizes": (150,),
        "activation": "relu",
        "optimizer": "rmsprop",
        "batch_size": 100,
        "learning_rate": 2e-4,
        "learning_rate_schedule": "linear",
        "return_steps": 3,
        "train_freq": 2,
        "epsilon_end": 0.02,
        "gamma": 0.95,
        "reward_scale": 0.1,
        "total_timesteps": 60_000,
        "eval_freq": 5,
        "eval_episodes": 20,
    },
    "ALE/Pong-v5": _DQN_ATARI,
    "ALE/Breakout-v5": _DQN_ATARI,
    "atari": _DQN_ATARI,
}
