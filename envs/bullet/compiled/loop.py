"""A whole episode as machine code: policy, torques, physics, observation, reward, statistics.

The arithmetic is that of the plain environments, of `policies` and of `ars.rollout`, operation by
operation: nothing is contracted or reassociated (Numba's default), float32 stays float32.

What a step does depends on the kind of task, for each of which Numba compiles the loop once.
Whatever tells one robot of a kind from another comes in as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload

from envs.bullet.compiled.build import Function, compiled, part, sources
from envs.bullet.compiled.physics import clip, exp, finite, tanh
from envs.bullet.compiled.records import Array, Array32, Brain, Memory, Rules

TANH, RELU, SIGMOID = range(3)  # activations
PLAYED, BAD_OBSERVATION, BAD_REWARD, BAD_ACTION, NO_ANSWER = range(5)  # how an episode ended

Outcome = tuple[float, bool, bool]  # reward, whether the episode is over, whether PyBullet answered


def step(task: Any, action: Array32, obs: Array32) -> Outcome:
    """Apply `action` and put what is then seen into `obs`; see `step_of`."""
    raise NotImplementedError


def step_of(kind: type[Any]) -> Callable[[Function], Function]:
    """Have tasks of this kind, a NamedTuple, do the decorated function as their `step`."""

    def register(function: Function) -> Function:
        @overload(step)  # type: ignore[untyped-decorator]
        def choose(task: Any, action: Array32, obs: Array32) -> Any:
            return function if getattr(task, "instance_class", None) is kind else None

        return function

    return register


@part
def _activate(x: Array, size: int, activation: int) -> None:
    """Apply an activation in place, as `policies.activations` has them."""
    for i in range(size):
        value = x[i]
        if activation == TANH:
            x[i] = tanh(value)
        elif activation == RELU:
            x[i] = value if value > 0.0 else 0.0
        else:
            x[i] = 1.0 / (1.0 + exp(-value)) if value > -700.0 else 0.0


@part
def _think(brain: Brain, obs: Array32, action: Array32) -> None:
    """Find the action for an observation, as `policies.base.Policy.act_flat` does."""
    at, weights, front, back = 0, brain.weights, brain.front, brain.back
    for i in range(obs.size):
        front[i] = clip((obs[i] - brain.mean[i]) / brain.std[i], -brain.clip, brain.clip)
    for layer in range(1, brain.sizes.size):
        n_in, n_out = brain.sizes[layer - 1], brain.sizes[layer]
        if layer > 1:
            _activate(front, n_in, brain.activation)
        for j in range(n_out):
            back[j] = 0.0
        # Inputs outside, outputs inside: each output's sum runs in index order, and none of them
        # waits for itself.
        for i in range(n_in):
            for j in range(n_out):
                back[j] += weights[at + j] * front[i]
            at += n_out
        if brain.bias:
            for j in range(n_out):
                back[j] += weights[at + j]
            at += n_out
        front, back = back, front
    for j in range(action.size):
        action[j] = clip(np.float32(front[j]), brain.low[j], brain.high[j])


@part
def _update(count: int, mean: Array, m2: Array, obs: Array32) -> None:
    """Welford's step, as `policies.RunningMeanStd.update` does it."""
    for i in range(mean.size):
        before = obs[i] - mean[i]
        mean[i] += before / count
        m2[i] += before * (obs[i] - mean[i])


def _make_play(digest: str) -> Callable[..., tuple[float, float, int, int, float]]:
    def play(
        task: Any, brain: Brain, rules: Rules, memory: Memory
    ) -> tuple[float, float, int, int, float]:
        digest  # noqa: B018  see `build.sources`
        obs, action = memory.obs, memory.action
        total = score = 0.0
        for count in range(rules.max_steps):
            if not finite(obs):
                return total, score, count, BAD_OBSERVATION, 0.0
            _update(count + 1, memory.mean, memory.m2, obs)
            _think(brain, obs, action)
            if not finite(action):
                return total, score, count, BAD_ACTION, 0.0
            reward, over, answered = step(task, action, obs)
            if not answered:
                return total, score, count, NO_ANSWER, 0.0
            if not math.isfinite(reward):
                return total, score, count, BAD_REWARD, reward
            total += reward
            score += clip(reward, -rules.reward_clip, rules.reward_clip) - rules.shift
            if over:
                return total, score, count + 1, PLAYED, 0.0
        return total, score, rules.max_steps, PLAYED, 0.0

    return compiled(play)


# Play on from where a reset left the robot, whose task has taken over: see `records` for what goes
# in. Returns total reward, score, length, how it ended, and the reward where that was not finite.
play = _make_play(sources())
