"""Settings known to work, by environment, and the settings of a well-known course.

A preset is taken when its name is the environment's, or by `--preset NAME`. It may also hold
settings of the run, such as `total_timesteps` or `seed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _evaluations(n_directions: int, training_episodes: int) -> dict[str, int]:
    """Evaluations of 20 episodes, one for about so many episodes in training."""
    return {"eval_freq": max(1, training_episodes // (2 * n_directions)), "eval_episodes": 20}


def _paper(
    step_size: float, delta_std: float, n_directions: int, n_top: int, shift: float
) -> dict[str, Any]:
    """Mania et al. (2018), appendix A, settings of ARS V2-t; their runs do not clip actions."""
    return {
        "variant": "v2-t",
        "step_size": step_size,
        "delta_std": delta_std,
        "n_directions": n_directions,
        "n_top": n_top,
        "shift": shift,
        "action_clip": False,
        "total_timesteps": 5_000_000,
        **_evaluations(n_directions, 64),  # often: these policies are unsteady
    }


_PAPER = {
    "Swimmer": _paper(0.02, 0.01, 1, 1, 0.0),
    "Hopper": _paper(0.01, 0.025, 8, 4, 1.0),
    "HalfCheetah": _paper(0.02, 0.03, 32, 4, 0.0),
    "Walker2d": _paper(0.03, 0.025, 40, 30, 1.0),
    "Ant": _paper(0.015, 0.025, 60, 20, 1.0),
    "Humanoid": _paper(0.02, 0.0075, 230, 230, 5.0),
}


def _robot(
    step_size: float, delta_std: float, n_directions: int, n_top: int, shift: float, millions: int
) -> dict[str, Any]:
    return {
        "variant": "v2-t",
        "step_size": step_size,
        "delta_std": delta_std,
        "n_directions": n_directions,
        "n_top": n_top,
        "shift": shift,
        "total_timesteps": millions * 1_000_000,
        **_evaluations(n_directions, 160),
    }


ARS_PRESETS: Mapping[str, Mapping[str, Any]] = {
    # PyBullet robots; HalfCheetah and Hopper measured (README, Results), the rest start from
    # the paper's settings for the same body.
    "HalfCheetah": _robot(0.04, 0.05, 8, 8, 0.0, 3)
    | {
        "variant": "v2",
        # A short rollout tells as much of a gait as a long one: standing is learnt after 0.1
        # million steps instead of 0.4, which leaves more of them to learn to run.
        "rollout_length": 300,
        "eval_length": 1000,
        "eval_freq": 5,
        "eval_episodes": 5,
    },
    "Hopper": _robot(0.04, 0.03, 16, 16, 1.0, 3) | {"variant": "v2"},
    "Walker2D": _robot(0.03, 0.025, 40, 30, 1.0, 20),
    "Ant": _robot(0.015, 0.025, 60, 20, 1.0, 20),
    "Humanoid": _robot(0.02, 0.0075, 230, 230, 2.0, 100),
    # MuJoCo tasks of the paper, both versions that Gymnasium keeps.
    **{f"{name}-{version}": values for name, values in _PAPER.items() for version in ("v4", "v5")},
    # 16 directions, all used; rewards clipped to +-1; variance (population) at least 0.01.
    "course": {
        "variant": "v2",
        "step_size": 0.02,
        "delta_std": 0.03,
        "n_directions": 16,
        "n_top": 16,
        "rollout_length": 1000,
        "reward_clip": 1.0,
        "action_clip": False,
        "var_floor": 1e-2,
        "ddof": 0,
        "seed": 1,
        "n_iterations": 1000,
    },
}

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

# The settings of Raffin's RL Baselines3 Zoo, hyperparams/ppo.yml, for the same environment, but for
# the robots' and the images'.
PPO_PRESETS: Mapping[str, Mapping[str, Any]] = {
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
        "eval_episodes": 50,  # their returns differ by more than two policies' means do
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
    "HalfCheetah": _PPO_WALKER,
    "Walker2D": _PPO_WALKER,
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

A2C_PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Raffin's RL Baselines3 Zoo, hyperparams/a2c.yml.
    "CartPole-v1": {"total_timesteps": 200_000, "eval_freq": 5},
    # Or it loses what it learned of landing to hovering: time costs something, the critic is
    # quicker than the actor, and the gradients of steps that surprise are not bounded.
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

# Nothing is tuned: this is how far online updates of one step each come.
ACTOR_CRITIC_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "LunarLander-v3": {"total_timesteps": 500_000, "eval_freq": 40, "eval_episodes": 20},
}

REINFORCE_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "CartPole-v1": {"total_timesteps": 200_000},
    # Karpathy (2016), "Deep Reinforcement Learning: Pong from Pixels". A game is 21 points or more,
    # and returns end with a point: 200 make about ten games.
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

# Mnih et al. (2015), extended data table 1, with the optimiser and the buffer of Raffin's RL
# Baselines3 Zoo, hyperparams/dqn.yml: a million frames would take 7.6 GB.
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

DQN_PRESETS: Mapping[str, Mapping[str, Any]] = {
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
        # From there too, with smaller layers.
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
        # Three rewards to a target, and a target that stands still for longer: without, it lands
        # for a while and unlearns it.
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
    "ALE/Pong-v5": _DQN_ATARI,
    "ALE/Breakout-v5": _DQN_ATARI,
    "atari": _DQN_ATARI,
}
