"""How long an environment lets its episodes be."""

from __future__ import annotations

import math
from typing import Any

import gymnasium

from envs.atari import Atari

_ATTRIBUTE = "_max_episode_steps"  # of Gymnasium's TimeLimit; some environments have their own


def time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """The most steps of an episode by the environment's own limit; None if it names none.

    That is the smallest limit of its wrappers, those inside the environment included, and of an
    Atari game's emulator. An environment may still end its episodes by a rule that it does not
    tell.
    """
    found: list[Any] = []
    frames_per_step = 1
    layer: Any = env
    while isinstance(layer, gymnasium.Env):
        own = vars(layer)
        found.append(own.get(_ATTRIBUTE))
        if isinstance(layer, Atari):
            frames_per_step = layer.frame_skip
        layer = own.get("env")
    found.append(_limit_of_game(env.unwrapped.spec, frames_per_step))
    limits = [limit for limit in found if isinstance(limit, int) and limit > 0]
    return min(limits, default=None)


def _limit_of_game(spec: Any, frames_per_step: int) -> int | None:
    """The limit of an Atari game, which its emulator counts in frames: 108,000 by default."""
    options = {} if spec is None else spec.kwargs
    frames, skipped = options.get("max_num_frames_per_episode"), options.get("frameskip")
    if isinstance(skipped, tuple):  # a range to draw from
        skipped = skipped[0]
    if not isinstance(frames, int) or not isinstance(skipped, int) or skipped < 1:
        return None
    return math.ceil(frames / (skipped * frames_per_step))
