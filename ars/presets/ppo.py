"""Presets of PPO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PPO_WALKER = {
    "n_envs": 4,
    "n_steps": 512,
    "batch_size": 128,
    "n_epochs": 10,
    "gae_lambda": 0.9,
    "learning_rate_schedule": "linear",
    "normalize_observations": True,
    "normalize_rewards": True,
    "total_timesteps": 2_000_000,
    "eval_freq": 20,
    "eval_episodes": 5,
}

_PPO_RUNNER = _PPO_WALKER | {
    "reward_weights": ("alive=0", "electricity=0", "stall=0"),
    "anneal_weights": 1_000_000,
}

# Where standing is worth as much as walking from the start, Walker2D stays with standing.
_PPO_UPRIGHT = _PPO_WALKER | {
    "reward_weights": ("alive=0.4", "electricity=0", "stall=0"),
    "anneal_weights": 1_000_000,
}

# Large batches, since most of what a step costs is physics. Motors cost less until it walks: noise
# in seventeen of them costs more than being up pays.
_PPO_HUMANOID = _PPO_WALKER | {
    "n_envs": 32,
    "batch_size": 2048,
    "gae_lambda": 0.95,
    "log_std_init": -0.7,
    "hidden_sizes": (256, 128),
    "activation": "relu",
    "reward_weights": ("electricity=0.3", "stall=0.3"),
    "anneal_from": 6_000_000,
    "anneal_weights": 4_000_000,
    "total_timesteps": 12_000_000,
    "eval_freq": 24,
}

# It begins as the person that walks, with noise to learn turning with. A flag's own moves are not
# paid for, or to reach one would cost what the next is farther away.
_PPO_FLAGRUN = {name: value for name, value in _PPO_HUMANOID.items() if "anneal" not in name} | {
    "init_from": "shipped:Humanoid",
    "log_std_restart": -1.0,
    "reward_weights": ("flag=0", "electricity=0.3", "stall=0.3"),
    "eval_episodes": 20,
}

# Short episodes whose starts differ much: less noise at first, and small minibatches.
_PPO_ARM = _PPO_WALKER | {
    "n_envs": 8,
    "batch_size": 64,
    "log_std_init": -1.0,
    "hidden_sizes": (128, 128),
    "activation": "relu",
    "total_timesteps": 600_000,
    "eval_freq": 10,
    "eval_episodes": 50,
}

# Schulman et al. (2017), table 5. ale-py ends a game after 108,000 frames, which are 27,000 steps.
_PPO_ATARI = {
    "env_kwargs": {"pixels": "atari", "fire": True},
    "n_envs": 8,
    "n_steps": 128,
    "batch_size": 256,
    "n_epochs": 3,
    "learning_rate": 2.5e-4,
    "learning_rate_schedule": "linear",
    "clip_range": 0.1,
    "clip_range_schedule": "linear",
    "entropy_coef": 0.01,
    "value_coef": 1.0,
    "reward_clip": 1.0,
    "rollout_length": 27_000,
    "total_timesteps": 10_000_000,
    "eval_freq": 200,
    "eval_episodes": 5,
}


# The settings of Raffin's RL Baselines3 Zoo, hyperparams/ppo.yml, for the same environment, except
# for the robots and for images.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "CartPole-v1": {
        "n_envs": 8,
        "n_steps": 32,
        "batch_size": 256,
        "n_epochs": 20,
        "gae_lambda": 0.8,
        "gamma": 0.98,
        "learning_rate": 0.001,
        "learning_rate_schedule": "linear",
        "clip_range_schedule": "linear",
        "total_timesteps": 100_000,
        "eval_freq": 40,
        "eval_episodes": 20,
    },
    "Acrobot-v1": {
        "n_envs": 16,
        "n_steps": 256,
        "batch_size": 64,
        "n_epochs": 4,
        "gae_lambda": 0.94,
        "normalize_observations": True,
        "normalize_rewards": True,
        "total_timesteps": 500_000,
        "eval_freq": 10,
        "eval_episodes": 50,  # returns differ more between episodes than between policies
    },
    "LunarLander-v3": {
        "n_envs": 16,
        "n_steps": 1024,
        "batch_size": 64,
        "n_epochs": 4,
        "gae_lambda": 0.98,
        "gamma": 0.999,
        "entropy_coef": 0.01,
        "total_timesteps": 1_000_000,
        "eval_freq": 4,
        "eval_episodes": 20,
    },
    "HalfCheetah": _PPO_RUNNER,
    "Ant": _PPO_WALKER,
    "Hopper": _PPO_UPRIGHT,
    "Walker2D": _PPO_UPRIGHT,
    "Humanoid": _PPO_HUMANOID,
    "HumanoidFlagrun": _PPO_FLAGRUN,
    "Reacher": _PPO_ARM,
    "Squash": {
        "n_envs": 8,
        "n_steps": 64,
        "batch_size": 128,
        "n_epochs": 4,
        "entropy_coef": 0.01,
        "learning_rate": 0.001,
        "learning_rate_schedule": "linear",
        "conv_layers": (16, 4, 2, 32, 3, 2),
        "hidden_sizes": (128,),
        "total_timesteps": 150_000,
        "eval_freq": 20,
        "eval_episodes": 20,
    },
    "ALE/Pong-v5": _PPO_ATARI,
    "ALE/Breakout-v5": _PPO_ATARI,
    "atari": _PPO_ATARI,
}
