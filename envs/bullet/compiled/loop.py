"""A whole episode as machine code: policy, torques, physics, observation, reward, statistics.

The arithmetic is exactly that of the Python environments, of `policies` and of `ars.rollout`:
nothing is contracted or reassociated (Numba's default), and float32 stays float32.

Each family of robots has its own task type and step function, and Numba compiles the loop once for
each type. Robots of one family differ only in the values of their task.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba.extending import overload

from envs.bullet.compiled.jit import (
    Array,
    Array32,
    Function,
    compiled,
    compiled_entry,
    source_digest,
)
from envs.bullet.compiled.physics import clip, finite
from envs.bullet.compiled.policy import CompiledPolicy, compute_action

# How an episode can end.
FINISHED, BAD_OBSERVATION, BAD_REWARD, BAD_ACTION, NO_ANSWER = range(5)

Outcome = tuple[float, bool, bool]  # reward, whether the episode ended, whether PyBullet answered


def step(task: Any, action: Array32, obs: Array32) -> Outcome:
    """Apply `action` and write the next observation to `obs`; overloaded through `step_of`."""
    raise NotImplementedError


def step_of(kind: type[Any]) -> Callable[[Function], Function]:
    """Register the decorated function as the `step` of tasks of type `kind`, a NamedTuple."""

    def register(function: Function) -> Function:
        @overload(step)  # type: ignore[untyped-decorator]
        def choose(task: Any, action: Array32, obs: Array32) -> Any:
            return function if getattr(task, "instance_class", None) is kind else None

        return function

    return register


@compiled
def _update(count: int, mean: Array, m2: Array, obs: Array32) -> None:
    """Add an observation to the statistics by Welford's update, as `policies.RunningMeanStd`."""
    for i in range(mean.size):
        before = obs[i] - mean[i]
        mean[i] += before / count
        m2[i] += before * (obs[i] - mean[i])


def _make_play(digest: str) -> Callable[..., tuple[float, float, int, int, float]]:
    def play(
        task: Any,
        policy: CompiledPolicy,
        max_steps: int,
        shift: float,
        reward_clip: float,
        obs: Array32,
        action: Array32,
        clock: Array32,
        mean: Array,
        m2: Array,
    ) -> tuple[float, float, int, int, float]:
        digest  # noqa: B018  becomes part of Numba's cache key, see `jit.source_digest`
        total = score = 0.0
        n_seen = obs.size - clock.shape[1]
        seen = obs[:n_seen]  # by the robot; the rest is the clock's
        for count in range(max_steps):
            if not finite(obs):
                return total, score, count, BAD_OBSERVATION, 0.0
            _update(count + 1, mean, m2, obs)
            compute_action(policy, obs, action)
            if not finite(action):
                return total, score, count, BAD_ACTION, 0.0
            reward, over, answered = step(task, action, seen)
            obs[n_seen:] = clock[count + 1]
            if not answered:
                return total, score, count, NO_ANSWER, 0.0
            if not math.isfinite(reward):
                return total, score, count, BAD_REWARD, reward
            total += reward
            score += clip(reward, -reward_clip, reward_clip) - shift
            if over:
                return total, score, count + 1, FINISHED, 0.0
        return total, score, max_steps, FINISHED, 0.0

    return compiled_entry(play)


# Plays an episode after a reset and the family's `begin`.
#
# Args:
#     task: the family's task.
#     policy: the policy.
#     max_steps: maximum length of the episode.
#     shift: subtracted from each reward in the score.
#     reward_clip: bound on each reward in the score; infinity for none.
#     obs: float32 [obs], the first observation; overwritten.
#     action: float32 [n], overwritten.
#     clock: float32 [max_steps + 1, m], the last numbers of the observation after so many steps.
#     mean, m2: zeros [obs], to which the statistics of the observations acted on are written; [0]
#         for no statistics.
#
# Returns: total reward, score, length, how the episode ended, and the reward if it was not finite.
play = _make_play(source_digest())
