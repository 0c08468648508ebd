"""A whole episode as machine code: policy, torques, physics, observation, reward, statistics.

The arithmetic is that of the plain environments, of `policies` and of `ars.rollout`, operation by
operation: nothing is contracted or reassociated (Numba's default), float32 stays float32.

What a step does depends on the type of the task, and Numba compiles the loop once for each type.
What tells apart the robots of one family is in the task's values.
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

# How an episode ended.
FINISHED, BAD_OBSERVATION, BAD_REWARD, BAD_ACTION, NO_ANSWER = range(5)

Outcome = tuple[float, bool, bool]  # reward, whether the episode is over, whether PyBullet answered


def step(task: Any, action: Array32, obs: Array32) -> Outcome:
    """Apply `action` and write the next observation to `obs`; see `step_of`."""
    raise NotImplementedError


def step_of(kind: type[Any]) -> Callable[[Function], Function]:
    """Make the decorated function the `step` of tasks of type `kind`, a NamedTuple."""

    def register(function: Function) -> Function:
        @overload(step)  # type: ignore[untyped-decorator]
        def choose(task: Any, action: Array32, obs: Array32) -> Any:
            return function if getattr(task, "instance_class", None) is kind else None

        return function

    return register


@compiled
def _update(count: int, mean: Array, m2: Array, obs: Array32) -> None:
    """Take an observation into the statistics: Welford's step, as `policies.RunningMeanStd`."""
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
        mean: Array,
        m2: Array,
    ) -> tuple[float, float, int, int, float]:
        digest  # noqa: B018  see `jit.source_digest`
        total = score = 0.0
        for count in range(max_steps):
            if not finite(obs):
                return total, score, count, BAD_OBSERVATION, 0.0
            _update(count + 1, mean, m2, obs)
            compute_action(policy, obs, action)
            if not finite(action):
                return total, score, count, BAD_ACTION, 0.0
            reward, over, answered = step(task, action, obs)
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


# Plays an episode from where a reset left the robot; the family's `begin` has told the task.
#
# reward_clip: infinite for none.
# obs: float32 [obs], the first observation, and written to. action: float32 [n], written to.
# mean, m2: zeros [obs], written to: the statistics of the observations acted on; [0] for none.
# Returns total reward, score, length, how it ended, and the reward if that was not finite.
play = _make_play(source_digest())
