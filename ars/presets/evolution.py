"""Presets of PGPE and separable CMA-ES: the objective and episodes of ARS's, another search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ars.presets.ars import PRESETS as ARS

# What decides the task and not the search.
_TASK = (
    *("env_kwargs", "total_timesteps", "rollout_length", "eval_length", "eval_episodes"),
    *("shift", "var_floor", "bias", "reward_weights", "anneal_weights", "anneal_from"),
)
_EPISODES = 320  # of training between two evaluations, as in ARS's


def _preset(name: str, n_signs: int, n_directions: int, **search: float) -> dict[str, Any]:
    """A preset of a search that plays every direction with so many signs."""
    task = {key: value for key, value in ARS[name].items() if key in _TASK}
    eval_freq = max(1, _EPISODES // (n_signs * n_directions))
    return {**task, "n_directions": n_directions, **search, "eval_freq": eval_freq}


# Measured (docs/presets.md). Ranks do not show how much longer a hop lasts than a dive: a part of
# what being up pays has to stay.
PGPE: Mapping[str, Mapping[str, Any]] = {
    "HalfCheetah": _preset("HalfCheetah", 2, 16, delta_std=0.1, step_size=0.05),
    "Hopper": _preset("Hopper", 2, 32, delta_std=0.1, step_size=0.1, shift=0.9),
    "Ant": _preset("Ant", 2, 16, delta_std=0.05, step_size=0.05),
}

SEP_CMA_ES: Mapping[str, Mapping[str, Any]] = {
    "HalfCheetah": _preset("HalfCheetah", 1, 64, delta_std=0.1),
    "Hopper": _preset("Hopper", 1, 64, delta_std=0.06, shift=0.75),
    "Ant": _preset("Ant", 1, 64, delta_std=0.05),
}
