"""A step of poles on a cart; repeats `envs.bullet.pendulum` operation by operation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envs.bullet.client import pybullet
from envs.bullet.compiled.capi import SimulatedBody, simulated_body
from envs.bullet.compiled.jit import Array, Array32, Indices, compiled
from envs.bullet.compiled.loop import Outcome, step_of
from envs.bullet.compiled.physics import advance, clip, cos, power, sin
from envs.bullet.pendulum import InvertedDoublePendulum, InvertedPendulumSwingup, PendulumEnv

_BALANCE, _SWINGUP, _DOUBLE = range(3)


class PendulumTask(NamedTuple):
    """The data that the steps of a cart with one or two poles need.

    Attributes:
        robot: the state of cart and poles.
        kind: `_BALANCE`, `_SWINGUP` or `_DOUBLE`.
        strength: largest force in N.
        angle_index: int64 [joints], indices in `robot.angles` of the cart, then the poles.
        rate_index: int64 [joints], the same in `robot.rates`.
        top: the link of the uppermost pole.
        weights: a factor for each term of the reward.
        sums: what each term has added up to.
    """

    robot: SimulatedBody
    kind: int
    strength: float
    angle_index: Indices
    rate_index: Indices
    top: int
    weights: Array
    sums: Array


def pendulum_task(env: PendulumEnv) -> PendulumTask:
    """Return the task for an environment."""
    infos = [pybullet.getJointInfo(env._body, joint, env._client) for joint in env._joints]
    kinds = {InvertedDoublePendulum: _DOUBLE, InvertedPendulumSwingup: _SWINGUP}
    return PendulumTask(
        robot=simulated_body(env._client, env._body, [infos[0][4]], with_velocities=False),
        kind=kinds.get(type(env), _BALANCE),
        strength=env.strength,
        angle_index=np.array([info[3] for info in infos], np.int64),
        rate_index=np.array([info[4] for info in infos], np.int64),
        top=env._top,
        weights=np.ones(len(env.reward_terms)),
        sums=np.zeros(len(env.reward_terms)),
    )


def begin(env: PendulumEnv, task: PendulumTask, max_steps: int) -> PendulumTask:
    """Return the task unchanged: a reset changes only the simulation."""
    return task


@compiled
def _observe(task: PendulumTask, obs: Array32) -> None:
    """Write the observation: the cart, x of the upper pole if there are two, and each pole."""
    angles, rates = task.robot.angles, task.robot.rates
    obs[0] = np.float32(angles[task.angle_index[0]])
    obs[1] = np.float32(rates[task.rate_index[0]])
    end = 2
    if task.kind == _DOUBLE:
        obs[end] = np.float32(task.robot.links[task.top, 0])
        end += 1
    for pole in range(1, task.angle_index.size):
        angle = angles[task.angle_index[pole]]
        obs[end] = np.float32(cos(angle))
        obs[end + 1] = np.float32(sin(angle))
        obs[end + 2] = np.float32(rates[task.rate_index[pole]])
        end += 3


@step_of(PendulumTask)
def _step(task: Any, action: Array32, obs: Array32) -> Outcome:
    task.robot.torques[0] = task.strength * clip(float(action[0]), -1.0, 1.0)
    if not advance(task.robot):
        return 0.0, False, False
    _observe(task, obs)
    weights, sums = task.weights, task.sums
    if task.kind == _DOUBLE:
        x, tip = task.robot.links[task.top, 0], task.robot.links[task.top, 2] + 0.3
        aside, below = 0.01 * power(x, 2.0), power(tip - 2.0, 2.0)
        sums[0] += 10.0
        sums[1] -= aside
        sums[2] -= below
        reward = weights[0] * 10.0 - (weights[1] * aside + weights[2] * below)
        return reward, tip <= 1.0, True
    angle = task.robot.angles[task.angle_index[1]]
    if task.kind == _SWINGUP:
        height = cos(angle)
        sums[0] += height
        return weights[0] * height, False, True
    sums[0] += 1.0
    return weights[0], abs(angle) > 0.2, True
