"""What other toolkits call our settings, for those who come from them."""

from __future__ import annotations

from collections.abc import Mapping

from ars.common.settings import did_you_mean, near

# Of Stable-Baselines3 and its zoo, sb3-contrib's ARS, the original ARS code, CleanRL, RLlib and
# OpenAI's Baselines and Spinning Up. Where a word stands twice, each may be meant.
_OTHER_NAMES: Mapping[str, str] = {
    "activation": "activation_fn",
    "algo": "algorithm agent",
    "batch_size": "batch minibatch_size train_batch_size",
    "buffer_size": "memory_size replay_size replay_buffer_size",
    "clip_range": "clip clip_coef clip_param clip_ratio cliprange",
    "delta_std": "nu sigma std noise noise_std noise_stdev exploration_noise",
    "device": "cuda gpu num_gpus",
    "entropy_coef": "ent_coef entropy_coeff",
    "env_id": "env env_name environment game",
    "env_processes": "num_processes vec_env",
    "epsilon_end": "eps epsilon end_e exploration_final_eps final_epsilon",
    "epsilon_start": "start_e exploration_initial_eps initial_epsilon",
    "eval_episodes": "n_eval_episodes num_eval_episodes",
    "eval_freq": "eval_every eval_interval evaluation_interval",
    "exploration_steps": "exploration_fraction",
    "gae_lambda": "lam lambda",
    "gamma": "discount discount_factor",
    "hidden_sizes": "hidden hidden_layers hidden_layer_sizes hid net_arch policy_kwargs",
    "init_from": "checkpoint load load_path load_model pretrained trained_agent",
    "initialization": "ortho_init",
    "learning_rate": "lr alpha stepsize",
    "learning_rate_schedule": "anneal_lr lr_schedule",
    "log_std_init": "log_std",
    "max_grad_norm": "grad_clip",
    "n_directions": "n_delta n_deltas num_deltas num_directions nb_directions population_size",
    "n_envs": "n_env num_env num_envs",
    "n_epochs": "epochs noptepochs update_epochs num_sgd_iter",
    "n_iterations": "iterations iters max_iterations n_iter num_iterations nb_steps epochs",
    "n_steps": "num_steps steps rollout_steps steps_per_epoch",
    "n_top": "deltas_used num_best_deltas nb_best_directions",
    "n_workers": "workers num_workers cpus n_cpu num_cpus n_jobs jobs",
    "normalize_advantages": "norm_adv normalize_advantage",
    "normalize_observations": "norm_obs normalize",
    "normalize_rewards": "norm_reward normalize",
    "policy": "policy_type model",
    "resume": "checkpoint continue load restore trained_agent",
    "rollout_length": "episode_length horizon max_episode_length max_episode_steps max_ep_len",
    "run_dir": "dir_path exp_name folder log_dir log_folder logdir out output output_dir save_dir "
    "save_path tensorboard_log",
    "save_freq": "checkpoint_freq save_interval",
    "seed": "random_seed",
    "shift": "alive_bonus alive_bonus_offset",
    "step_size": "lr alpha learning_rate stepsize",
    "step_size_schedule": "learning_rate_schedule anneal_lr lr_schedule",
    "target_return": "target_reward reward_threshold",
    "target_tau": "tau polyak",
    "target_update": "target_network_frequency target_network_update_freq target_update_interval",
    "time_budget": "timeout max_time time time_limit wall_time",
    "total_timesteps": "n_timesteps max_steps max_timesteps num_env_steps num_timesteps steps "
    "timesteps total_steps training_steps",
    "train_freq": "train_frequency update_every",
    "value_clip": "clip_range_vf",
    "value_coef": "vf_coef vf_loss_coeff",
    "variant": "filter",
}

# Words for what no setting is needed for, and what the user should know instead.
_NO_SETTING: Mapping[str, str] = {
    "a run always says how far it is, on stdout": "log_interval log_level loglevel progress "
    "progress_bar q quiet silent v verbose verbosity vv",
    "`traceback` shows all of a failure": "debug",
    "training draws nothing; the command render shows what was learned": "display gui human render "
    "render_mode video visualize",
    "TensorBoard's events are always written, to the run folder": "tb tensorboard",
}


def other_name(word: str, known: Mapping[str, str]) -> str:
    """` (did you mean X?)` for another toolkit's name of a setting, or an empty text.

    Also what to know where no setting is needed.

    Args:
        word: the name, or its flag.
        known: the settings there are, each with what the user writes for it.
    """
    plain = word.lstrip("-").replace("-", "_").lower()
    for instead, words in _NO_SETTING.items():
        if plain in words.split() and plain not in known:
            return f" ({instead})"
    ours = {name for name, others in _OTHER_NAMES.items() if plain in others.split()}
    return did_you_mean([shown for name, shown in known.items() if name in ours])


def meant(word: str, known: Mapping[str, str]) -> str:
    """The same for any unknown word: by `other_name`, else by similarity."""
    return other_name(word, known) or near(word, known.values())
