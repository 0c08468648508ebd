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


def _task(name: str) -> dict[str, Any]:
    return {key: value for key, value in ARS[name].items() if key in _TASK}


def _pgpe(name: str, n_directions: int, delta_std: float, step_size: float) -> dict[str, Any]:
    search = {"n_directions": n_directions, "delta_std": delta_std, "step_size": step_size}
    return {**_task(name), **search, "eval_freq": 160 // n_directions}


def _sep_cma_es(name: str, n_directions: int, delta_std: float) -> dict[str, Any]:
    search = {"n_directions": n_directions, "delta_std": delta_std}
    return {**_task(name), **search, "eval_freq": 320 // n_directions}


# Measured (docs/presets.md).
PGPE: Mapping[str, Mapping[str, Any]] = {
    "HalfCheetah": _pgpe("HalfCheetah", 16, 0.1, 0.05),
}

SEP_CMA_ES: Mapping[str, Mapping[str, Any]] = {
    "HalfCheetah": _sep_cma_es("HalfCheetah", 64, 0.1),
}
