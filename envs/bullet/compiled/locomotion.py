"""A step of a running robot; repeats `LocomotionEnv` operation by operation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from envs.bullet.client import pybullet
from envs.bullet.compiled.capi import SimulatedBody, simulated_body
from envs.bullet.compiled.jit import Array, Array32, Indices, compiled
from envs.bullet.compiled.loop import Outcome, step_of
from envs.bullet.compiled.physics import (
    advance,
    atan2,
    clip,
    cos,
    dot,
    dot_is_fused,
    euler,
    finite,
    sin,
    total,
    touch,
)
from envs.bullet.locomotion import AT_LIMIT, DOWN, JOINT_AT_LIMIT, LocomotionEnv

# Indices into `LocomotionTask.now`. X and Y are means over all parts, Z is the torso's height.
POTENTIAL, REST_HEIGHT, TARGET_X, TARGET_Y, X, Y, Z, DISTANCE = range(8)
# Indices into `LocomotionTask.weights` and `sums`.
ALIVE, PROGRESS, ELECTRICITY, STALL, LIMITS = range(5)


class LocomotionTask(NamedTuple):
    """The data that the steps of a robot with n joints and f feet need.

    Fields that are not listed here have the meaning they have in `robots.Robot`.

    Attributes:
        robot: the robot's state.
        floor: PyBullet's id of the floor.
        pose: position and quaternion of the torso; a view of the state.
        velocity: velocity of the torso; a view of the state.
        torso: the torso's link, or -1 for the base.
        parts: links (or -1) in the order in which their positions are added for the mean.
        part_count: divisor of that mean.
        angle_index: int64 [n], indices of the joints in `robot.angles`.
        lowest: [n], lower limits of the joints.
        extent: [n], ranges of the joints.
        at_limit: scaled angle beyond which a joint is at a limit.
        limit_cost: cost of each joint at a limit.
        gains: [n], largest torques; used unless `float32_torque`.
        gains32: float32 [n], largest torques; used if `float32_torque`.
        feet: int64 [f], links.
        knees: int64, indices into `feet` of the links that must not touch the floor.
        float32_height: whether the torso's height is compared in float32.
        power_cost: factor of the mean of |action * joint velocity|.
        stall_cost: factor of the mean of action^2.
        time_step: in seconds.
        fused: `physics.dot_is_fused(2)`, for the distance to the target.
        weights: a factor for each term of the reward.
        sums: what each term has added up to, and behind them the measures; metres are the last.
        now: [8], indexed by `POTENTIAL` and the following constants.
        contacts: [f], 1 for each foot that touches the floor, else 0.
        speeds: float32 [n], joint velocities as observed.
        scratch: scratch space, as long as the observation and the parts.
        efforts: float32 [n], scratch space.
        found: int64 [3], scratch space.
    """

    robot: SimulatedBody
    floor: int
    pose: Array
    velocity: Array
    torso: int
    parts: Indices
    part_count: int
    angle_index: Indices
    lowest: Array
    extent: Array
    at_limit: float
    limit_cost: float
    gains: Array
    gains32: Array32
    float32_torque: bool
    feet: Indices
    knees: Indices
    float32_height: bool
    min_height: float
    max_pitch: float
    alive_bonus: float
    falls: bool
    power_cost: float
    stall_cost: float
    time_step: float
    fused: bool
    weights: Array
    sums: Array
    now: Array
    contacts: Array
    speeds: Array32
    scratch: Array
    efforts: Array32
    found: Indices


def locomotion_task(env: LocomotionEnv) -> LocomotionTask:
    """Return the task for an environment."""
    robot, joints = env.robot, env._joint_count
    assert env.measures[-1:] == ("metres",)  # `travel` counts there
    infos = [pybullet.getJointInfo(env._body, joint, env._client) for joint in env._joints]
    dofs = [info[4] for info in infos]
    body = simulated_body(env._client, env._body, dofs, with_velocities=env._torso >= 0)
    # If the base is the torso, it comes second in the mean of the positions.
    parts = [*env._links[:1], -1, *env._links[1:]] if env._torso < 0 else env._links
    lowest, extent = np.array(env._limits).T.copy()
    return LocomotionTask(
        robot=body,
        floor=env._floor,
        pose=body.angles if env._torso < 0 else body.links[env._torso],
        velocity=body.rates if env._torso < 0 else body.velocities[env._torso],
        torso=env._torso,
        parts=np.array(parts, np.int64),
        part_count=env._part_count,
        angle_index=np.array([info[3] for info in infos], np.int64),
        lowest=lowest,
        extent=extent,
        at_limit=AT_LIMIT,
        limit_cost=JOINT_AT_LIMIT,
        gains=np.array(env._gains),
        gains32=env._gains32,
        float32_torque=robot.float32_torque,
        feet=np.array(env._feet, np.int64),
        knees=np.array(robot.knees, np.int64),
        float32_height=robot.rest_height is not None,
        min_height=robot.min_height,
        max_pitch=robot.max_pitch,
        alive_bonus=robot.alive_bonus,
        falls=robot.falls,
        power_cost=env._costs[0],
        stall_cost=env._costs[1],
        time_step=env.time_step,
        fused=env._torso < 0 and dot_is_fused(2),
        weights=np.ones(len(env.reward_terms)),
        sums=np.zeros(len(env.reward_terms) + len(env.measures)),
        now=np.zeros(8),
        contacts=np.zeros(len(env._feet)),
        speeds=np.zeros(joints, np.float32),
        scratch=np.zeros(max(8 + 2 * joints + len(env._feet), len(parts))),
        efforts=np.zeros(joints, np.float32),
        found=np.zeros(3, np.int64),
    )


def begin(env: LocomotionEnv, task: LocomotionTask, max_steps: int) -> LocomotionTask:
    """Copy the state after a reset to the task."""
    now = env._potential, env._rest_height, env._target_x, env._target_y, *env._position
    task.now[:] = *now, env._distance
    task.contacts[:] = 0.0
    return task._replace(falls=env.robot.falls or env.end_when_down)


@compiled
def drive(task: LocomotionTask, action: Array32) -> bool:
    """Apply the torques of `action` for one step."""
    for joint in range(action.size):
        share = clip(action[joint], np.float32(-1.0), np.float32(1.0))
        if task.float32_torque:
            torque = float(task.gains32[joint] * share)
        else:
            torque = task.gains[joint] * float(share)
        task.robot.torques[joint] = torque
    return bool(advance(task.robot))


@compiled
def _mean_coordinate(task: LocomotionTask, axis: int) -> float:
    """Return the mean x (axis 0) or y (axis 1) of all parts."""
    state, scratch = task.robot, task.scratch
    for i in range(task.parts.size):
        link = task.parts[i]
        scratch[i] = state.angles[axis] if link < 0 else state.links[link, axis]
    return float(total(scratch, task.parts.size) / task.part_count)


@compiled
def _distance(task: LocomotionTask, dx: float, dy: float) -> float:
    if dy == 0.0:
        return abs(dx)
    gap = task.scratch[:2]
    gap[0], gap[1] = dy, dx
    return math.sqrt(dot(gap, gap, task.fused))


@compiled
def observe(task: LocomotionTask, obs: Array32) -> tuple[float, float, int]:
    """Write `obs`; return the target's distance, the pitch and the number of joints at limits."""
    state, speeds, contacts, now = task.robot, task.speeds, task.contacts, task.now
    pose, velocity = task.pose, task.velocity
    now[X] = _mean_coordinate(task, 0)
    if task.torso < 0:
        now[Y] = _mean_coordinate(task, 1)
    now[Z] = pose[2]
    dx, dy = now[TARGET_X] - now[X], now[TARGET_Y] - now[Y]
    roll, pitch, yaw = euler(pose[3], pose[4], pose[5], pose[6])
    angle = atan2(dy, dx) - yaw
    cosine, sine = cos(yaw), sin(yaw)
    values = task.scratch
    values[0] = pose[2] - now[REST_HEIGHT]
    values[1] = sin(angle)
    values[2] = cos(angle)
    values[3] = 0.3 * (cosine * velocity[0] + sine * velocity[1])
    values[4] = 0.3 * (cosine * velocity[1] - sine * velocity[0])
    values[5] = 0.3 * velocity[2]
    values[6] = roll
    values[7] = pitch
    at_limit, end = 0, 8
    for joint in range(speeds.size):
        turn, rate = state.angles[task.angle_index[joint]], state.rates[state.dofs[joint]]
        scaled = 2.0 * (turn - task.lowest[joint]) / task.extent[joint] - 1.0
        if abs(scaled) > task.at_limit:
            at_limit += 1
        values[end] = scaled
        values[end + 1] = 0.1 * rate
        speeds[joint] = np.float32(values[end + 1])
        end += 2
    for foot in range(contacts.size):
        values[end + foot] = contacts[foot]
    for i in range(obs.size):
        obs[i] = clip(np.float32(values[i]), np.float32(-5.0), np.float32(5.0))
    return _distance(task, dx, dy), pitch, at_limit


@compiled
def find_alive(task: LocomotionTask, height: float, pitch: float) -> float:
    """Return the reward for being up, or -1; `height` is a float32, contacts are one step old."""
    rest_height = task.now[REST_HEIGHT]
    for i in range(task.knees.size):
        if task.contacts[task.knees[i]]:
            return DOWN
    if not abs(pitch) < task.max_pitch:
        return DOWN
    if task.float32_height:
        high = height + np.float32(rest_height) > np.float32(task.min_height)
    else:
        high = height + rest_height > task.min_height
    return task.alive_bonus if high else DOWN


@compiled
def travel(task: LocomotionTask, distance: float) -> None:
    """Count the metres that the robot came nearer to where it goes."""
    task.sums[-1] += task.now[DISTANCE] - distance
    task.now[DISTANCE] = distance


@compiled
def electricity(task: LocomotionTask, action: Array32) -> float:
    """Return the electricity costs; the means are taken in float32, as by NumPy."""
    speeds, scratch, size = task.speeds, task.efforts, np.float32(action.size)
    for i in range(action.size):
        scratch[i] = abs(action[i] * speeds[i])
    power = float(total(scratch, action.size) / size)
    for i in range(action.size):
        scratch[i] = action[i] * action[i]
    stall = float(total(scratch, action.size) / size)
    power, stall = task.power_cost * power, task.stall_cost * stall
    task.sums[ELECTRICITY] += power
    task.sums[STALL] += stall
    return float(task.weights[ELECTRICITY] * power + task.weights[STALL] * stall)


@compiled
def find_progress(task: LocomotionTask, potential: float) -> float:
    """What the step's increase of the potential is worth."""
    progress = potential - task.now[POTENTIAL]
    task.now[POTENTIAL] = potential
    task.sums[PROGRESS] += progress
    return float(task.weights[PROGRESS] * progress)


@compiled
def finish(
    task: LocomotionTask,
    action: Array32,
    obs: Array32,
    alive: float,
    progress: float,
    at_limit: int,
) -> Outcome:
    """Update the contacts for the next observation, and return the outcome of the step."""
    if not touch(task.robot, task.floor, task.feet, task.contacts, task.found):
        return 0.0, False, False
    weights, sums, limits = task.weights, task.sums, task.limit_cost * at_limit
    sums[ALIVE] += alive
    sums[LIMITS] += limits
    reward = (
        weights[ALIVE] * alive + progress + electricity(task, action) + weights[LIMITS] * limits
    )
    return reward, (task.falls and alive < 0.0) or not finite(obs), True


@step_of(LocomotionTask)
def _step(task: Any, action: Array32, obs: Array32) -> Outcome:
    if not drive(task, action):
        return 0.0, False, False
    distance, pitch, at_limit = observe(task, obs)
    travel(task, distance)
    alive = find_alive(task, obs[0], pitch)
    progress = find_progress(task, -distance / task.time_step)
    return finish(task, action, obs, alive, progress, at_limit)
