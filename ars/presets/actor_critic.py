"""Presets of actor-critic on one step or an episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Nothing is tuned: this shows what online updates of one step each can reach.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "LunarLander-v3": {"total_timesteps": 500_000, "eval_freq": 40, "eval_episodes": 20},
}
