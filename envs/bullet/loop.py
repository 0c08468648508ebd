"""A whole episode as machine code: policy, torques, physics, observation, reward, statistics.

The arithmetic is that of `locomotion.Runner`, `policies` and `ars.rollout`, operation by operation,
so every float is the same bit for bit: sums run in the same order, nothing is contracted or
reassociated (Numba's default), float32 stays float32, and sines are the C library's, as Python's.

Whatever tells one robot from another comes in as an argument: one compilation serves them all, and
its copy on the disk, which Numba renews when this file changes, depends on no other file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba.types import float64, int32, intp, void

from envs.bullet.capi import bullet, libc
from envs.bullet.records import Array, Array32, Body, Brain, Indices, Memory, Rules

Function = TypeVar("Function", bound=Callable[..., Any])

TANH, RELU, SIGMOID = range(3)  # activations
PLAYED, BAD_OBSERVATION, BAD_REWARD, BAD_ACTION, NO_ANSWER = range(5)  # how an episode ended

# PyBullet 3.2.7: a control mode, its answers, and the layout of a contact point.
_TORQUE_CONTROL = 1
_STATE_SENT, _TORQUES_TAKEN, _STEPPED, _CONTACTS_SENT = 21, 25, 26, 39
_POINT_SIZE, _LINK_OFFSET, _LINK_SIZE = 176, 12, 4

_submit = bullet("b3SubmitClientCommandAndWaitStatus", intp, intp, intp)
_answer = bullet("b3GetStatusType", int32, intp)
_init_torques = bullet("b3JointControlCommandInit2", intp, intp, int32, int32)
_set_torque = bullet("b3JointControlSetDesiredForceTorque", int32, intp, int32, float64)
_init_step = bullet("b3InitStepSimulationCommand", intp, intp)
_init_state = bullet("b3RequestActualStateCommandInit", intp, intp, int32)
_with_velocities = bullet("b3RequestActualStateCommandComputeLinkVelocity", int32, intp, int32)
_init_contacts = bullet("b3InitRequestContactPointInformation", intp, intp)
_of_body = bullet("b3SetContactFilterBodyA", void, intp, int32)
_with_body = bullet("b3SetContactFilterBodyB", void, intp, int32)
_get_contacts = bullet("b3GetContactPointInformation", void, intp, intp)
_copy = libc("memcpy", intp, intp, intp, intp)
_asin = libc("asin", float64, float64)
_atan2 = libc("atan2", float64, float64, float64)
_cos = libc("cos", float64, float64)
_exp = libc("exp", float64, float64)
_fma = libc("fma", float64, float64, float64, float64)
_sin = libc("sin", float64, float64)
_tanh = libc("tanh", float64, float64)


def compiled(function: Function) -> Function:
    """Compile `function` when first called, unless an earlier process left it on the disk.

    That takes 5 s of CPU time, or 0.2 s from the disk. It keeps the GIL, as PyBullet's own calls
    do: Bullet does not promise that two simulations may run at once in a process.
    """
    try:
        fast: Function = numba.njit(cache=True)(function)
    except RuntimeError:  # Numba finds no folder to write to
        fast = numba.njit(function)
    return fast


def part(function: Function) -> Function:
    """Compile `function` into whatever calls it."""
    fast: Function = numba.njit(function)
    return fast


@part
def _sum(values: Any, size: int) -> Any:
    """Add up to 128 numbers in the order of `locomotion.pairwise_sum`, in their own precision."""
    blocks = size - size % 8
    total = values.dtype.type(0)
    if blocks:
        a, b, c, d = values[0], values[1], values[2], values[3]
        e, f, g, h = values[4], values[5], values[6], values[7]
        for i in range(8, blocks, 8):
            a += values[i]
            b += values[i + 1]
            c += values[i + 2]
            d += values[i + 3]
            e += values[i + 4]
            f += values[i + 5]
            g += values[i + 6]
            h += values[i + 7]
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(blocks, size):
        total += values[i]
    return total


@part
def _clip(value: Any, low: Any, high: Any) -> Any:
    """Like NumPy, and unlike `min` and `max`, this lets NaN through."""
    if value < low:
        return low
    return high if value > high else value


@part
def _activate(x: Array, size: int, activation: int) -> None:
    """Apply an activation in place, as `policies.base.ACTIVATIONS` has them."""
    for i in range(size):
        value = x[i]
        if activation == TANH:
            x[i] = _tanh(value)
        elif activation == RELU:
            x[i] = value if value > 0.0 else 0.0
        else:
            x[i] = 1.0 / (1.0 + _exp(-value)) if value > -700.0 else 0.0


@part
def _think(brain: Brain, obs: Array32, front: Array, back: Array, action: Array32) -> None:
    """Find the action for an observation, as `policies.base.Policy.act_flat` does."""
    at, weights = 0, brain.weights
    for i in range(obs.size):
        front[i] = _clip((obs[i] - brain.mean[i]) / brain.std[i], -brain.clip, brain.clip)
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
        action[j] = _clip(np.float32(front[j]), brain.low[j], brain.high[j])


@part
def _advance(body: Body, action: Array32) -> bool:
    """Set the torques, let the physics do a step, and ask for the new state."""
    command = _init_torques(body.simulation, body.body, _TORQUE_CONTROL)
    for joint in range(action.size):
        share = _clip(action[joint], np.float32(-1.0), np.float32(1.0))
        if body.float32_torque:
            torque = float(body.gains32[joint] * share)
        else:
            torque = body.gains[joint] * float(share)
        _set_torque(command, body.rate_index[joint], torque)
    if _answer(_submit(body.simulation, command)) != _TORQUES_TAKEN:
        return False
    if _answer(_submit(body.simulation, _init_step(body.simulation))) != _STEPPED:
        return False
    command = _init_state(body.simulation, body.body)
    if body.torso >= 0:
        _with_velocities(command, 1)
    return bool(_answer(_submit(body.simulation, command)) == _STATE_SENT)


@part
def _touch(body: Body, contacts: Array, found: Indices) -> bool:
    """Set 1 for each foot that touches the floor, 0 for the others. `found`: scratch, [3]."""
    for foot in range(contacts.size):
        contacts[foot] = 0.0
    command = _init_contacts(body.simulation)
    _of_body(command, body.body)
    _with_body(command, body.floor)
    if _answer(_submit(body.simulation, command)) != _CONTACTS_SENT:
        return False
    # A structure of a number (its upper half, padding, stays 0) and an address; then a link.
    address = found.ctypes.data
    _get_contacts(body.simulation, address)
    for point in range(found[0]):
        _copy(address + 16, found[1] + point * _POINT_SIZE + _LINK_OFFSET, _LINK_SIZE)
        for foot in range(contacts.size):
            if body.feet[foot] == found[2]:
                contacts[foot] = 1.0
    return True


@part
def _euler(x: float, y: float, z: float, w: float) -> tuple[float, float, float]:
    """Roll, pitch and yaw of a quaternion, as PyBullet's `getEulerFromQuaternion` has them."""
    sine = -2.0 * (x * z - w * y)
    if sine <= -0.99999:
        return 0.0, -0.5 * math.pi, 2.0 * _atan2(x, -y)
    if sine >= 0.99999:
        return 0.0, 0.5 * math.pi, 2.0 * _atan2(-x, y)
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    roll = _atan2(2.0 * (y * z + w * x), ww - xx - yy + zz)
    yaw = _atan2(2.0 * (x * y + w * z), ww + xx - yy - zz)
    return roll, _asin(sine), yaw


@part
def _mean_coordinate(body: Body, axis: int, scratch: Array) -> float:
    """The mean of all parts' x (axis 0) or y (1)."""
    for i in range(body.parts.size):
        link = body.parts[i]
        scratch[i] = body.angles[axis] if link < 0 else body.links[link, axis]
    return float(_sum(scratch, body.parts.size) / body.part_count)


@part
def _distance(dx: float, dy: float, fused: bool) -> float:
    if dy == 0.0:
        return abs(dx)
    return math.sqrt(_fma(dx, dx, dy * dy) if fused else dy * dy + dx * dx)


@part
def _look(
    body: Body, contacts: Array, rest_height: float, scratch: Array, obs: Array32, speeds: Array32
) -> tuple[float, float, int]:
    """Observe; return the distance to the target, the pitch and how many joints are at a limit."""
    dx, dy = body.target - _mean_coordinate(body, 0, scratch), 0.0
    if body.torso < 0:
        dy -= _mean_coordinate(body, 1, scratch)
    pose, velocity = body.pose, body.velocity
    roll, pitch, yaw = _euler(pose[3], pose[4], pose[5], pose[6])
    angle = _atan2(dy, dx) - yaw
    cosine, sine = _cos(yaw), _sin(yaw)
    values = scratch
    values[0] = pose[2] - rest_height
    values[1] = _sin(angle)
    values[2] = _cos(angle)
    values[3] = 0.3 * (cosine * velocity[0] + sine * velocity[1])
    values[4] = 0.3 * (cosine * velocity[1] - sine * velocity[0])
    values[5] = 0.3 * velocity[2]
    values[6] = roll
    values[7] = pitch
    at_limit, end = 0, 8
    for joint in range(speeds.size):
        turn, rate = body.angles[body.angle_index[joint]], body.rates[body.rate_index[joint]]
        scaled = 2.0 * (turn - body.lowest[joint]) / body.extent[joint] - 1.0
        if abs(scaled) > body.at_limit:
            at_limit += 1
        values[end] = scaled
        values[end + 1] = 0.1 * rate
        speeds[joint] = np.float32(values[end + 1])
        end += 2
    for foot in range(contacts.size):
        values[end + foot] = contacts[foot]
    for i in range(obs.size):
        obs[i] = _clip(np.float32(values[i]), np.float32(-5.0), np.float32(5.0))
    return _distance(dx, dy, body.fused), pitch, at_limit


@part
def _is_up(body: Body, height: float, pitch: float, rest_height: float, contacts: Array) -> bool:
    """Judge the torso as it is now, and the knees as they were a step ago; `height` is float32."""
    for i in range(body.knees.size):
        if contacts[body.knees[i]]:
            return False
    if not abs(pitch) < body.max_pitch:
        return False
    if body.float32_height:
        return bool(height + np.float32(rest_height) > np.float32(body.min_height))
    return height + rest_height > body.min_height


@part
def _efforts(action: Array32, speeds: Array32, scratch: Array32) -> tuple[float, float]:
    """Mean |action * speed| and mean action^2, both in float32 as NumPy takes them."""
    size = np.float32(action.size)
    for i in range(action.size):
        scratch[i] = abs(action[i] * speeds[i])
    power = float(_sum(scratch, action.size) / size)
    for i in range(action.size):
        scratch[i] = action[i] * action[i]
    return power, float(_sum(scratch, action.size) / size)


@part
def _finite(values: Array32) -> bool:
    for value in values:  # noqa: SIM110  a generator expression compiles to far more
        if not math.isfinite(value):
            return False
    return True


@part
def _update(count: int, mean: Array, m2: Array, obs: Array32) -> None:
    """Welford's step, as `policies.RunningMeanStd.update` does it."""
    for i in range(mean.size):
        before = obs[i] - mean[i]
        mean[i] += before / count
        m2[i] += before * (obs[i] - mean[i])


@compiled
def play(
    body: Body, brain: Brain, rules: Rules, memory: Memory, potential: float, rest_height: float
) -> tuple[float, float, int, int, float]:
    """Play on from where a reset left the robot: see `records` for what goes in.

    Returns total reward, score, length, how it ended, and the reward where that was not finite.
    """
    obs, action, speeds, contacts = memory.obs, memory.action, memory.speeds, memory.contacts
    total = score = 0.0
    for step in range(rules.max_steps):
        if not _finite(obs):
            return total, score, step, BAD_OBSERVATION, 0.0
        _update(step + 1, memory.mean, memory.m2, obs)
        _think(brain, obs, memory.front, memory.back, action)
        if not _finite(action):
            return total, score, step, BAD_ACTION, 0.0
        if not _advance(body, action):
            return total, score, step, NO_ANSWER, 0.0
        distance, pitch, at_limit = _look(body, contacts, rest_height, memory.front, obs, speeds)
        alive = _is_up(body, obs[0], pitch, rest_height, contacts)
        if not _touch(body, contacts, memory.found):
            return total, score, step, NO_ANSWER, 0.0
        before, potential = potential, -distance / body.time_step
        power, stall = _efforts(action, speeds, memory.efforts)
        reward = (
            (body.alive_bonus if alive else -1.0)
            + (potential - before)
            + (body.power_cost * power + body.stall_cost * stall)
            + body.limit_cost * at_limit
        )
        if not math.isfinite(reward):
            return total, score, step, BAD_REWARD, reward
        total += reward
        score += _clip(reward, -rules.reward_clip, rules.reward_clip) - rules.shift
        if (body.falls and not alive) or not _finite(obs):
            return total, score, step + 1, PLAYED, 0.0
    return total, score, rules.max_steps, PLAYED, 0.0
