"""A step of a humanoid that runs to a flag; repeats `envs.bullet.flagrun` operation by operation.

The visible flag is not moved, since nothing is rendered. Random numbers are drawn in advance, so
afterwards the environment's generator is in a different state than after the same episode in
Python.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba.types import float64, int32, intp

from envs.bullet import flagrun
from envs.bullet.compiled import locomotion
from envs.bullet.compiled.capi import bullet_function
from envs.bullet.compiled.jit import Array, Array32, Indices, compiled
from envs.bullet.compiled.locomotion import (
    DISTANCE,
    POTENTIAL,
    PROGRESS,
    REST_HEIGHT,
    TARGET_X,
    TARGET_Y,
    LocomotionTask,
    X,
    Y,
    Z,
    drive,
    find_alive,
    finish,
    observe,
    travel,
)
from envs.bullet.compiled.loop import Outcome, step_of
from envs.bullet.compiled.physics import cos, dot, dot_is_fused, read_state, sin, submit_pose
from envs.bullet.flagrun import HumanoidFlagrun, HumanoidFlagrunHarder
from envs.bullet.locomotion import DOWN

_pose = bullet_function("b3CreatePoseCommandInit", intp, intp, int32)
_place = bullet_function(
    "b3CreatePoseCommandSetBasePosition", int32, intp, float64, float64, float64
)
_turn = bullet_function("b3CreatePoseCommandSetBaseOrientation", int32, intp, *[float64] * 4)
_move = bullet_function("b3CreatePoseCommandSetBaseLinearVelocity", int32, intp, intp)
_spin = bullet_function("b3CreatePoseCommandSetBaseAngularVelocity", int32, intp, intp)

_PATIENCE, _DRAWN, _FRAME, _DOWN, _CRAWLS = range(5)  # indices into `FlagrunTask.counts`
# Indices into `FlagrunTask.parts`; `_RAN` and `_STOOD` add up to the harder task's potential, of
# which the flag's move in this step has added `_SHIFT`.
_CRAWL_START, _CRAWLED, _RAN, _STOOD, _SHIFT = range(5)
_FLAG, _POSTURE = 5, 6  # indices of these tasks' own terms, behind those of `locomotion`
_FLAGS = -2  # index into `sums`, before the metres
_FIELD_X, _FIELD_Y = flagrun.FIELD_X, flagrun.FIELD_Y
_NEAR, _FULL_PATIENCE = flagrun.NEAR, flagrun.PATIENCE
_TALL, _LEAK = flagrun.TALL, flagrun.LEAK


class FlagrunTask(NamedTuple):
    """The data that the steps of HumanoidFlagrun and HumanoidFlagrunHarder need.

    Attributes:
        locomotion: the humanoid.
        harder: whether the task is HumanoidFlagrunHarder.
        cube: PyBullet's id of the cube, or -1.
        get_up: steps that the harder task's robot may be down for.
        draws: uniform random numbers from 0 to 1, enough for the episode.
        counts: int64 [5], indexed by `_PATIENCE` and the following constants.
        parts: [5], indexed by `_CRAWL_START` and the following constants.
        throw: [6], scratch space.
        fused: `physics.dot_is_fused(3)`.
    """

    locomotion: LocomotionTask
    harder: bool
    cube: int
    get_up: int
    draws: Array
    counts: Indices
    parts: Array
    throw: Array
    fused: bool

    @property
    def weights(self) -> Array:
        """Those of `locomotion`."""
        return self.locomotion.weights

    @property
    def sums(self) -> Array:
        """Those of `locomotion`."""
        return self.locomotion.sums


def flagrun_task(env: HumanoidFlagrun) -> FlagrunTask:
    """Return the task for an environment."""
    task = locomotion.locomotion_task(env)
    harder = isinstance(env, HumanoidFlagrunHarder)
    return FlagrunTask(
        locomotion=task,
        harder=harder,
        cube=env._scene.bodies[2] if harder else -1,
        get_up=0,
        draws=np.zeros(0),
        counts=np.zeros(5, np.int64),
        parts=np.zeros(5),
        throw=np.zeros(6),
        fused=harder and dot_is_fused(3),
    )


def begin(env: HumanoidFlagrun, task: FlagrunTask, max_steps: int) -> FlagrunTask:
    """Copy the state after a reset to the task, and draw the episode's random numbers."""
    robot = locomotion.begin(env, task.locomotion, max_steps)
    task.counts[:] = 0
    task.counts[_PATIENCE] = env._patience
    task.parts[:] = 0.0
    if isinstance(env, HumanoidFlagrunHarder):
        task.counts[_FRAME], task.counts[_DOWN] = env._frame, env._frames_down
        task.counts[_CRAWLS] = env._crawl_start is not None
        task.parts[:_SHIFT] = env._crawl_start or 0.0, env._crawled, *env._parts
        task = task._replace(get_up=env.get_up)
    # Two numbers for the flag after each step, and five for the cube after every thirtieth step.
    draws = env._rng.random(2 * max_steps + 5 * (max_steps // 30 + 1))
    return task._replace(locomotion=robot, draws=draws)


@compiled
def _uniform(task: FlagrunTask, low: float, high: float) -> float:
    """Return the same number as `numpy.random.Generator.uniform`."""
    draw = task.draws[task.counts[_DRAWN]]
    task.counts[_DRAWN] += 1
    return float(low + (high - low) * draw)


@compiled
def _observe(task: FlagrunTask, obs: Array32) -> tuple[float, float, int]:
    """Write the observation; if it causes the flag to move, observe again."""
    counts, now = task.counts, task.locomotion.now
    counts[_PATIENCE] -= 1
    task.parts[_SHIFT] = 0.0
    distance, pitch, at_limit = observe(task.locomotion, obs)
    travel(task.locomotion, distance)
    if distance < _NEAR or counts[_PATIENCE] <= 0:
        now[TARGET_X] = _uniform(task, -_FIELD_X, _FIELD_X)
        now[TARGET_Y] = _uniform(task, -_FIELD_Y, _FIELD_Y)
        counts[_PATIENCE] = _FULL_PATIENCE
        before = distance
        distance, pitch, at_limit = observe(task.locomotion, obs)
        now[DISTANCE] = distance
        task.locomotion.sums[_FLAGS] += before < _NEAR
        task.parts[_SHIFT] = (before - distance) / task.locomotion.time_step
    return distance, pitch, at_limit


@compiled
def _throw_cube(task: FlagrunTask) -> bool:
    now, robot, throw = task.locomotion.now, task.locomotion.robot, task.throw
    rates = robot.rates
    angle, speed = _uniform(task, -3.14, 3.14), _uniform(task, 20.0, 30.0)
    away, lead = 4.0, 4.0 / speed
    x, y, z = now[X] + rates[0] * lead, now[Y] + rates[1] * lead, now[Z] + rates[2] * lead
    start_x, start_y, start_z = x + away * cos(angle), y + away * sin(angle), z + 1.0
    path = throw[:3]
    path[0], path[1], path[2] = x - start_x, y - start_y, z - start_z
    gain = speed / math.sqrt(dot(path, path, task.fused))
    for i in range(3):
        throw[i] = gain * throw[i] + _uniform(task, -1.0, 1.0)
    # This overwrites the robot's state, which is not needed any more in this step.
    if not read_state(robot, task.cube):
        return False
    turn = robot.angles
    command = _pose(robot.simulation, task.cube)
    _place(command, start_x, start_y, start_z)
    _turn(command, turn[3], turn[4], turn[5], turn[6])
    if not submit_pose(robot.simulation, command):
        return False
    command = _pose(robot.simulation, task.cube)
    _move(command, throw.ctypes.data)
    _spin(command, throw.ctypes.data + 24)  # the last three elements of `throw`, which are zero
    return bool(submit_pose(robot.simulation, command))


@compiled
def _leak(height: float) -> float:
    return min(max(height, 0.0), _TALL) / _TALL + 1.0


@compiled
def _alive_reward(task: FlagrunTask, height: float) -> float:
    """Return the reward for being up, or for trying to get up; `height` is a float32."""
    counts = task.counts
    counts[_FRAME] += 1
    if height + np.float32(task.locomotion.now[REST_HEIGHT]) < np.float32(_TALL):
        counts[_DOWN] += 1
    elif counts[_DOWN] > 0:
        counts[_DOWN] -= 1
    return float(_leak(task.locomotion.now[Z])) if counts[_DOWN] < task.get_up else DOWN


@compiled
def _potential(task: FlagrunTask, progress: float) -> float:
    """Return the potential: progress without crawling, plus a term for being up."""
    counts, parts, height = task.counts, task.parts, task.locomotion.now[Z]
    if height < _TALL:
        if not counts[_CRAWLS]:
            counts[_CRAWLS] = 1
            parts[_CRAWL_START] = progress - parts[_CRAWLED]
        else:
            parts[_SHIFT] = 0.0
        parts[_CRAWLED] = progress - parts[_CRAWL_START]
        progress = parts[_CRAWL_START]
    else:
        counts[_CRAWLS] = 0
        progress -= parts[_CRAWLED]
    parts[_RAN], parts[_STOOD] = progress, _leak(height) * _LEAK
    return float(progress + parts[_STOOD])


@compiled
def _find_progress(task: FlagrunTask, potential: float) -> float:
    """What the step's increase of the potential is worth."""
    now, weights, sums = task.locomotion.now, task.locomotion.weights, task.locomotion.sums
    gain, flag = potential - now[POTENTIAL], task.parts[_SHIFT]
    now[POTENTIAL] = potential
    progress = gain - flag
    sums[PROGRESS] += progress
    sums[_FLAG] += flag
    if weights[PROGRESS] == weights[_FLAG]:
        return float(weights[PROGRESS] * gain)
    return float(weights[PROGRESS] * progress + weights[_FLAG] * flag)


@compiled
def _find_harder_progress(task: FlagrunTask, distance_potential: float) -> float:
    """What the step's increase of the harder task's potential is worth."""
    parts, now, weights = task.parts, task.locomotion.now, task.locomotion.weights
    sums = task.locomotion.sums
    ran, stood, before = parts[_RAN], parts[_STOOD], now[POTENTIAL]
    now[POTENTIAL] = _potential(task, distance_potential)
    flag = parts[_SHIFT]
    progress, posture = parts[_RAN] - ran - flag, parts[_STOOD] - stood
    sums[PROGRESS] += progress
    sums[_FLAG] += flag
    sums[_POSTURE] += posture
    if weights[PROGRESS] == weights[_FLAG] == weights[_POSTURE]:
        return float(weights[PROGRESS] * (now[POTENTIAL] - before))
    return float(weights[PROGRESS] * progress + weights[_FLAG] * flag + weights[_POSTURE] * posture)


@step_of(FlagrunTask)
def _step(task: Any, action: Array32, obs: Array32) -> Outcome:
    if not drive(task.locomotion, action):
        return 0.0, False, False
    distance, pitch, at_limit = _observe(task, obs)
    potential = -distance / task.locomotion.time_step
    if task.harder:
        frame = task.counts[_FRAME]
        due = frame > 100 and frame % 30 == 0 and task.counts[_DOWN] == 0
        if due and not _throw_cube(task):
            return 0.0, False, False
        alive = _alive_reward(task, obs[0])
        progress = _find_harder_progress(task, potential)
    else:
        alive = find_alive(task.locomotion, obs[0], pitch)
        progress = _find_progress(task, potential)
    return finish(task.locomotion, action, obs, alive, progress, at_limit)
