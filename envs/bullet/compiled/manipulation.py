"""A step of an arm; repeats `envs.bullet.manipulation` operation by operation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from envs.bullet import manipulation
from envs.bullet.client import pybullet
from envs.bullet.compiled.capi import SimulatedBody, simulated_body
from envs.bullet.compiled.jit import Array, Array32, Indices, compiled
from envs.bullet.compiled.loop import Outcome, step_of
from envs.bullet.compiled.physics import advance, clip, cos, dot, dot_is_fused, read_state, sin
from envs.bullet.manipulation import ManipulationEnv, ObjectManipulationEnv, Reacher, Thrower

_STRENGTH = manipulation.STRENGTH
_FINGERTIP, _OBJECT, _TARGET = range(3)  # indices into `ManipulationTask.places` and `points`
_POTENTIAL, _LANDED, _LANDED_X, _LANDED_Y = range(4)  # indices into `ManipulationTask.now`


class ManipulationTask(NamedTuple):
    """The data that the steps of an arm need. It has n joints in all, the arm's first.

    Attributes:
        robot: the arm.
        reaches: whether the environment is Reacher.
        throws: whether the environment is Thrower. If neither, it is Pusher.
        bodies: int64, PyBullet's ids of the bodies, the arm's first.
        owners: int64 [n], index into `bodies` for each joint.
        angle_index: int64 [n], index of each joint in its body's positions.
        rate_index: int64 [n], index of each joint in its body's velocities.
        lowest: [n], lower limits of the joints.
        extent: [n], ranges of the joints.
        place_owners: int64 [3], index into `bodies` of the fingertip, the object and the target.
        places: int64 [3], their links (-1: base).
        stuck: [n + 1], limit cost by number of joints.
        gap: vector from object to target as observed; empty for Reacher.
        fused: `physics.dot_is_fused` for two, three and seven numbers.
        weights: a factor for each term of the reward.
        sums: what each term has added up to.
        now: [4], indexed by `_POTENTIAL` and the following constants.
        turns: [n], joint positions.
        rates: [n], joint velocities.
        shares: [n], joint positions scaled to -1 .. 1 between the limits.
        points: [3, 3], positions of the fingertip, the object and the target.
        first: [7], scratch space.
        second: [7], scratch space.
    """

    robot: SimulatedBody
    reaches: bool
    throws: bool
    bodies: Indices
    owners: Indices
    angle_index: Indices
    rate_index: Indices
    lowest: Array
    extent: Array
    place_owners: Indices
    places: Indices
    stuck: Array
    gap: Array
    fused: tuple[bool, bool, bool]
    weights: Array
    sums: Array
    now: Array
    turns: Array
    rates: Array
    shares: Array
    points: Array
    first: Array
    second: Array


def manipulation_task(env: ManipulationEnv) -> ManipulationTask:
    """Return the task for an environment."""
    client = env._client
    arm, reaches = env._groups[0], isinstance(env, Reacher)
    fingertip = env._parts["fingertip"]
    spots = [env._parts.get(name, fingertip) for name in ("fingertip", "object", "target")]
    bodies = list(dict.fromkeys([*(group.body for group in env._groups), *(b for b, _ in spots)]))
    joints = [(group.body, joint) for group in env._groups for joint in group.joints]
    infos = [pybullet.getJointInfo(body, joint, client) for body, joint in joints]
    lowest, extent = np.array(env._limits).T.copy()
    count = len(joints)
    motors = [infos[motor][4] for motor in range(env.motors)]
    turns, rates, shares = np.zeros((3, count))
    return ManipulationTask(
        robot=simulated_body(client, arm.body, motors, with_velocities=False),
        reaches=reaches,
        throws=isinstance(env, Thrower),
        bodies=np.array(bodies, np.int64),
        owners=np.array([bodies.index(body) for body, _ in joints], np.int64),
        angle_index=np.array([info[3] for info in infos], np.int64),
        rate_index=np.array([info[4] for info in infos], np.int64),
        lowest=lowest,
        extent=extent,
        place_owners=np.array([bodies.index(body) for body, _ in spots], np.int64),
        places=np.array([link for _, link in spots], np.int64),
        stuck=np.array(manipulation.LIMIT_COSTS[: count + 1]),
        gap=np.zeros(0 if reaches else len(env._gap))
        if isinstance(env, ObjectManipulationEnv)
        else np.zeros(0),
        fused=(dot_is_fused(2), dot_is_fused(3), dot_is_fused(7)),
        weights=np.ones(len(env.reward_terms)),
        sums=np.zeros(len(env.reward_terms)),
        now=np.zeros(4),
        turns=turns,
        rates=rates,
        shares=shares,
        points=np.zeros((3, 3)),
        first=np.zeros(7),
        second=np.zeros(7),
    )


def begin(env: ManipulationEnv, task: ManipulationTask, max_steps: int) -> ManipulationTask:
    """Copy the state after a reset to the task."""
    task.now[:] = 0.0
    if isinstance(env, ObjectManipulationEnv):
        task.gap[:] = env._gap
    elif isinstance(env, Reacher):
        task.now[_POTENTIAL] = env._potential
    return task


@compiled
def _collect(task: ManipulationTask, owner: int) -> None:
    """Copy the values of one body from the state that was read last."""
    state = task.robot
    for joint in range(task.owners.size):
        if task.owners[joint] == owner:
            turn, rate = state.angles[task.angle_index[joint]], state.rates[task.rate_index[joint]]
            task.turns[joint], task.rates[joint] = turn, rate
            task.shares[joint] = 2.0 * (turn - task.lowest[joint]) / task.extent[joint] - 1.0
    for spot in range(task.places.size):
        if task.place_owners[spot] == owner:
            link = task.places[spot]
            for axis in range(3):
                place = state.angles[axis] if link < 0 else state.links[link, axis]
                task.points[spot, axis] = place


@compiled
def _drive(task: ManipulationTask, action: Array32) -> bool:
    """Apply the torques of `action` for one step, and read the state of all bodies."""
    for motor in range(action.size):
        task.robot.torques[motor] = _STRENGTH * clip(float(action[motor]), -1.0, 1.0)
    if not advance(task.robot):
        return False
    _collect(task, 0)
    for owner in range(1, task.bodies.size):
        if not read_state(task.robot, task.bodies[owner]):
            return False
        _collect(task, owner)
    return True


@compiled
def _write(obs: Array32, at: int, values: Array) -> int:
    for i in range(values.size):
        obs[at + i] = np.float32(values[i])
    return at + values.size


@compiled
def _reach(task: ManipulationTask, action: Array32, obs: Array32) -> float:
    """Write Reacher's observation; return its reward."""
    turns, shares, points, gap = task.turns, task.shares, task.points, task.first[:3]
    for axis in range(3):
        gap[axis] = points[_FINGERTIP, axis] - points[_TARGET, axis]
    rate, bend_rate = 0.1 * task.rates[0], 0.1 * task.rates[1]
    obs[0], obs[1] = np.float32(turns[2]), np.float32(turns[3])
    obs[2], obs[3] = np.float32(gap[0]), np.float32(gap[1])
    obs[4], obs[5] = np.float32(cos(shares[0])), np.float32(sin(shares[0]))
    obs[6], obs[7], obs[8] = np.float32(rate), np.float32(shares[1]), np.float32(bend_rate)
    potential = -100.0 * math.sqrt(dot(gap, gap, task.fused[1]))
    progress = potential - task.now[_POTENTIAL]
    task.now[_POTENTIAL] = potential
    # In float32, the precision of the action.
    work = abs(action[0] * np.float32(rate)) + abs(action[1] * np.float32(bend_rate))
    effort = abs(action[0]) + abs(action[1])
    power, stall = np.float32(-0.1) * work, np.float32(0.01) * effort
    limits = -0.1 if abs(abs(shares[1]) - 1.0) < 0.01 else 0.0
    weights, sums = task.weights, task.sums
    sums[0] += progress
    sums[1] += float(power)
    sums[2] -= float(stall)
    sums[3] += limits
    if weights[1] == weights[2]:
        electricity = weights[1] * float(power - stall)
    else:
        electricity = weights[1] * float(power) - weights[2] * float(stall)
    return float(weights[0] * progress + electricity + weights[3] * limits)


@compiled
def _handle(task: ManipulationTask, action: Array32, obs: Array32) -> float:
    """Write the observation of Pusher or Thrower; return the reward without the throw's terms."""
    at, stuck = 0, 0
    count = task.turns.size
    for joint in range(count):
        obs[2 * joint] = np.float32(task.turns[joint])
        obs[2 * joint + 1] = np.float32(task.rates[joint])
        obs[2 * count + 2 * joint] = np.float32(task.shares[joint])
        obs[2 * count + 2 * joint + 1] = np.float32(0.1 * task.rates[joint])
        if abs(task.shares[joint]) - 1.0 < 0.01:
            stuck += 1
    at = _write(obs, 4 * count, task.gap)
    for spot in range(3):
        at = _write(obs, at, task.points[spot])
    total = np.float32(0.0)
    for motor in range(action.size):
        task.first[motor] = abs(float(action[motor]))
        task.second[motor] = abs(task.rates[motor])
        total += action[motor]
    task.second[4] = task.second[2]  # an oddity of the reference, see `envs.bullet.manipulation`
    power = dot(task.first, task.second, task.fused[2])
    electricity, stall = -0.1 * power, float(np.float32(0.01) * total)
    limits, weights, sums = task.stuck[stuck], task.weights, task.sums
    sums[0] += electricity
    sums[1] -= stall
    sums[2] += limits
    return float(weights[0] * electricity - weights[1] * stall + weights[2] * limits)


@compiled
def _throw(task: ManipulationTask, action: Array32) -> tuple[float, float]:
    """Return the distance and effort of the throw, which are subtracted from the reward."""
    now, points, gap = task.now, task.points, task.first[:2]
    if now[_LANDED] == 0.0:
        now[_LANDED_X], now[_LANDED_Y] = points[_OBJECT, 0], points[_OBJECT, 1]
        if points[_OBJECT, 2] < -0.25:
            now[_LANDED] = 1.0
    gap[0] = now[_LANDED_X] - points[_TARGET, 0]
    gap[1] = now[_LANDED_Y] - points[_TARGET, 1]
    effort = np.float32(0.0)
    for motor in range(action.size):
        effort += action[motor] * action[motor]
    return math.sqrt(dot(gap, gap, task.fused[0])), float(np.float32(0.002) * effort)


@step_of(ManipulationTask)
def _step(task: Any, action: Array32, obs: Array32) -> Outcome:
    if not _drive(task, action):
        return 0.0, False, False
    if task.reaches:
        return _reach(task, action, obs), False, True
    reward = _handle(task, action, obs)
    if task.throws:
        distance, effort = _throw(task, action)
        task.sums[3] -= distance
        task.sums[4] -= effort
        reward = reward - task.weights[3] * distance - task.weights[4] * effort
    return reward, False, True
