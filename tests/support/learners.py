"""Algorithms outside of a run: made, trained and tried in a line each."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import envs
from ars.algorithms.base import Algorithm, TrainingContext
from ars.common.settings import make_config, setting_names
from ars.rollout.episode import rollout
from ars.rollout.pool import LocalPool


def make(
    kind: type[Any], env_id: str, env_kwargs: Mapping[str, Any] | None = None, **settings: Any
) -> Any:
    """An algorithm with small networks that learns in an environment."""
    env = envs.make(env_id, **(env_kwargs or {}))
    task = TrainingContext(
        env_id, env.observation_space, env.action_space, env_kwargs or {}, seed=3
    )
    env.close()
    if "hidden_sizes" in setting_names(kind.Config):
        settings = {"hidden_sizes": (8,), **settings}
    return kind(make_config(kind.Config, settings), task)


def learn(algorithm: Algorithm, iterations: int) -> list[dict[str, Any]]:
    """The rows of so many iterations."""
    pool = LocalPool(algorithm.rollout_spec)
    rows = [algorithm.iterate(pool) for _ in range(iterations)]
    pool.close()
    algorithm.close()
    return rows


def mean_return(algorithm: Any) -> float:
    """Of the policy as it is, over ten episodes."""
    env = envs.make(algorithm.context.env_id, **algorithm.context.env_kwargs)
    snapshot = algorithm.snapshot()
    algorithm.policy.weights = snapshot.weights
    algorithm.policy.normalizer = snapshot.normalizer
    returns = [rollout(env, algorithm.policy, seed, 1000).total_reward for seed in range(10)]
    env.close()
    return float(np.mean(returns))


def set_parameters(algorithm: Any, **named: Any) -> None:
    """All of a network's parameters zero but those named (dots as in torch, written as __)."""
    algorithm.parameters.load(np.zeros_like(algorithm.parameters.numpy()))
    for name, values in named.items():
        parameter = algorithm.network.get_parameter(name.replace("__", "."))
        parameter.detach().copy_(parameter.new_tensor(values))


def gradient(algorithm: Any, name: str) -> list[float]:
    """The gradient that the last update found for a parameter."""
    found: list[float] = algorithm.network.get_parameter(name).grad.ravel().tolist()
    return found


def without_times(path: Path) -> list[list[str]]:
    """The rows of a log, but for their time columns."""
    rows = list(csv.reader(path.read_text().splitlines()))
    return [row[: rows[0].index("time_seconds")] for row in rows]


def outcome(folder: Path) -> dict[str, object]:
    """Everything that must not differ."""
    return {
        "policy": (folder / "policy.safetensors").read_bytes(),
        "best": (folder / "best_policy.safetensors").read_bytes(),
        "progress": without_times(folder / "progress.csv"),
        "evaluations": without_times(folder / "evaluations.csv"),
        "final": json.loads((folder / "result.json").read_text())["final_evaluation"],
    }
