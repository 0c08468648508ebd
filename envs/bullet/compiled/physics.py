"""Simulation commands, and the arithmetic shared by all families of robots.

Sums run in the same order as in the Python environment, and mathematical functions are the C
library's, as in Python, so that every float is the same bit for bit.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numba.types import float64, int32, intp, void

from envs.bullet.compiled.capi import SimulatedBody, bullet_function, libc_function
from envs.bullet.compiled.jit import Array, Array32, Indices, compiled

# PyBullet 3.2.7: a control mode, status codes, and the layout of a contact point.
_TORQUE_CONTROL = 1
_POSE_TAKEN, _STATE_SENT, _TORQUES_TAKEN, _STEPPED, _CONTACTS_SENT = 2, 21, 25, 26, 39
_POINT_SIZE, _LINK_OFFSET, _LINK_SIZE = 176, 12, 4

_submit = bullet_function("b3SubmitClientCommandAndWaitStatus", intp, intp, intp)
_answer = bullet_function("b3GetStatusType", int32, intp)
_init_torques = bullet_function("b3JointControlCommandInit2", intp, intp, int32, int32)
_set_torque = bullet_function("b3JointControlSetDesiredForceTorque", int32, intp, int32, float64)
_init_step = bullet_function("b3InitStepSimulationCommand", intp, intp)
_init_state = bullet_function("b3RequestActualStateCommandInit", intp, intp, int32)
_with_velocities = bullet_function(
    "b3RequestActualStateCommandComputeLinkVelocity", int32, intp, int32
)
_init_contacts = bullet_function("b3InitRequestContactPointInformation", intp, intp)
_of_body = bullet_function("b3SetContactFilterBodyA", void, intp, int32)
_with_body = bullet_function("b3SetContactFilterBodyB", void, intp, int32)
_get_contacts = bullet_function("b3GetContactPointInformation", void, intp, intp)
_copy = libc_function("memcpy", intp, intp, intp, intp)

asin = libc_function("asin", float64, float64)
atan2 = libc_function("atan2", float64, float64, float64)
cos = libc_function("cos", float64, float64)
exp = libc_function("exp", float64, float64)
fma = libc_function("fma", float64, float64, float64, float64)
power = libc_function("pow", float64, float64, float64)
sin = libc_function("sin", float64, float64)
tanh = libc_function("tanh", float64, float64)


@compiled
def read_state(robot: SimulatedBody, body: int) -> bool:
    """Read the state of a body (the robot or another one) into the robot's views."""
    command = _init_state(robot.simulation, body)
    if robot.with_velocities:
        _with_velocities(command, 1)
    return bool(_answer(_submit(robot.simulation, command)) == _STATE_SENT)


@compiled
def submit_pose(simulation: int, command: int) -> bool:
    """Submit a command made by `b3CreatePoseCommandInit`, which moves a body."""
    return bool(_answer(_submit(simulation, command)) == _POSE_TAKEN)


@compiled
def advance(robot: SimulatedBody) -> bool:
    """Set the torques, simulate one step and read the new state."""
    command = _init_torques(robot.simulation, robot.body, _TORQUE_CONTROL)
    for motor in range(robot.dofs.size):
        _set_torque(command, robot.dofs[motor], robot.torques[motor])
    if _answer(_submit(robot.simulation, command)) != _TORQUES_TAKEN:
        return False
    if _answer(_submit(robot.simulation, _init_step(robot.simulation))) != _STEPPED:
        return False
    return bool(read_state(robot, robot.body))


@compiled
def touch(
    robot: SimulatedBody, other: int, links: Indices, contacts: Array, found: Indices
) -> bool:
    """Set `contacts` to 1 for each link that touches the body `other`, else 0.

    `found`: int64 [3], scratch space, initially zero.
    """
    for link in range(contacts.size):
        contacts[link] = 0.0
    command = _init_contacts(robot.simulation)
    _of_body(command, robot.body)
    _with_body(command, other)
    if _answer(_submit(robot.simulation, command)) != _CONTACTS_SENT:
        return False
    # `found`: PyBullet's structure of a count (int32, with padding that stays 0) and an address of
    # contact points; then the link copied from a contact point.
    address = found.ctypes.data
    _get_contacts(robot.simulation, address)
    for point in range(found[0]):
        _copy(address + 16, found[1] + point * _POINT_SIZE + _LINK_OFFSET, _LINK_SIZE)
        for link in range(contacts.size):
            if links[link] == found[2]:
                contacts[link] = 1.0
    return True


@compiled
def total(values: Any, size: int) -> Any:
    """Sum up to 128 numbers in the order of `locomotion.pairwise_sum`, in their own precision."""
    blocks = size - size % 8
    result = values.dtype.type(0)
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
        result = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(blocks, size):
        result += values[i]
    return result


@compiled
def clip(value: Any, low: Any, high: Any) -> Any:
    """Clip a value to bounds; like NumPy's `clip`, and unlike `min` and `max`, it keeps NaN."""
    if value < low:
        return low
    return high if value > high else value


@compiled
def finite(values: Array32) -> bool:
    """Whether all of `values` are finite."""
    for value in values:  # noqa: SIM110  a generator expression compiles to far more
        if not math.isfinite(value):
            return False
    return True


@compiled
def euler(x: float, y: float, z: float, w: float) -> tuple[float, float, float]:
    """Return roll, pitch and yaw of a quaternion, as PyBullet's `getEulerFromQuaternion` does."""
    sine = -2.0 * (x * z - w * y)
    if sine <= -0.99999:
        return 0.0, -0.5 * math.pi, 2.0 * atan2(x, -y)
    if sine >= 0.99999:
        return 0.0, 0.5 * math.pi, 2.0 * atan2(-x, y)
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    roll = atan2(2.0 * (y * z + w * x), ww - xx - yy + zz)
    yaw = atan2(2.0 * (x * y + w * z), ww + xx - yy - zz)
    return roll, asin(sine), yaw


@compiled
def dot(a: Array, b: Array, fused: bool) -> float:
    """Return NumPy's dot product of a few numbers; `fused`: the result of `dot_is_fused`."""
    result = a[0] * b[0]
    for i in range(1, a.size):
        result = fma(a[i], b[i], result) if fused else result + a[i] * b[i]
    return float(result)


def dot_is_fused(size: int) -> bool:
    """Whether NumPy's dot product of `size` numbers uses fused multiply-adds.

    This depends on the BLAS kernel. Raises: RuntimeError if the kernel sums in a different order.
    """
    vectors = np.random.default_rng(0).normal(size=(20, 2, size))
    for fused in (False, True):
        if all(a.dot(b) == _dot(a.tolist(), b.tolist(), fused) for a, b in vectors):
            return fused
    raise RuntimeError("NumPy adds up a dot product in an order of its own")


def _dot(a: list[float], b: list[float], fused: bool) -> float:
    result = a[0] * b[0]
    for x, y in zip(a[1:], b[1:], strict=True):
        exact = Fraction(x) * Fraction(y)
        result = float(exact + Fraction(result)) if fused else result + x * y
    return result
