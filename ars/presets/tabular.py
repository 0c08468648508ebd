"""Presets of the tabular methods: the worlds of textbooks, with the settings used there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Presets = Mapping[str, Mapping[str, Any]]

# Of each world: the discount, how it is learned, and how a step goes towards its target.
_WORLDS: Mapping[str, tuple[float, Mapping[str, Any], Mapping[str, Any]]] = {
    "GridWorld": (
        1.0,
        {"total_timesteps": 200_000, "epsilon_end": 0.5, "eval_freq": 50},
        {"learning_rate": 0.2, "learning_rate_schedule": "linear"},
    ),
    "RacingCar": (
        0.9,
        {"total_timesteps": 100_000, "epsilon_end": 0.5, "n_episodes": 20},
        {"learning_rate": 0.1, "learning_rate_schedule": "linear"},
    ),
    # Every room and door again and again: with a step size of 1 the table becomes exact.
    "Rooms": (
        0.8,
        {"total_timesteps": 150_000, "epsilon_end": 1.0, "n_episodes": 1000},
        {"learning_rate": 1.0},
    ),
    "SmallTree": (
        1.0,
        {"total_timesteps": 5_000, "epsilon_end": 0.5, "eval_freq": 5},
        {"learning_rate": 0.5},
    ),
    "SmallTreeCycle": (
        0.9,
        {"total_timesteps": 50_000, "epsilon_end": 0.5, "n_episodes": 20},
        {"learning_rate": 0.5},
    ),
    "Blackjack": (
        1.0,
        {
            "total_timesteps": 1_000_000,
            "epsilon_end": 0.1,
            "exploration_steps": 500_000,
            "n_episodes": 10_000,
            "eval_episodes": 1000,
        },
        {"learning_rate": 0.02, "learning_rate_schedule": "linear"},
    ),
    # Sutton and Barto (2018), example 6.6.
    "CliffWalking-v1": (
        1.0,
        {
            "total_timesteps": 20_000,
            "epsilon_start": 0.1,
            "epsilon_end": 0.1,
            "n_episodes": 10,
            "eval_freq": 5,
        },
        {"learning_rate": 0.5},
    ),
    "FrozenLake-v1": (
        0.99,
        {"total_timesteps": 300_000, "exploration_steps": 150_000, "eval_episodes": 100},
        {"learning_rate": 0.1, "learning_rate_schedule": "linear"},
    ),
    "Taxi-v4": (
        0.99,
        {"total_timesteps": 400_000, "exploration_steps": 100_000, "epsilon_end": 0.05},
        {"learning_rate": 0.3},
    ),
}

PLANNING: Presets = {
    name: {"gamma": gamma, "n_iterations": 2_000} for name, (gamma, _, _) in _WORLDS.items()
}
MONTE_CARLO: Presets = {
    name: {"gamma": gamma, **learns} for name, (gamma, learns, _) in _WORLDS.items()
}
TEMPORAL_DIFFERENCE: Presets = {
    name: {"gamma": gamma, **learns, **steps} for name, (gamma, learns, steps) in _WORLDS.items()
}
