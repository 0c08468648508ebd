"""What goes into the compiled loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Indices = NDArray[np.int64]


class State(NamedTuple):
    """Views of the buffer into which a simulation puts its answer to every state request.

    angles: [128], the base's position and quaternion, then the joints'.
    rates: [128], the base's linear and angular velocity, then the joints'.
    links: [n, 7], positions and quaternions of the centres of mass.
    velocities: [n, 6], linear and angular; zero unless the request asks for them.
    """

    angles: Array
    rates: Array
    links: Array
    velocities: Array


class Body(NamedTuple):
    """A robot of n joints and f feet, and where it is simulated; the rest is in `robots.Robot`.

    simulation: the handle. body, floor: PyBullet's numbers.
    angles, rates, links: see `State`. pose, velocity: the torso's, among them.
    torso: a link, or -1 for the base. parts: links (or -1) whose sum over `part_count` is the
    position, in the order in which they are added.
    angle_index, rate_index: int64 [n], into the state's. lowest, extent: [n], the joints' limits.
    at_limit: scaled angle beyond which a joint is at a limit, each of which costs `limit_cost`.
    gains, gains32: [n], the largest torques; `float32_torque` says which count.
    feet: int64 [f], links. knees: int64, those feet by number that must not touch the floor.
    float32_height: whether a torso's height is judged in float32.
    target: metres along the track. time_step: seconds.
    fused: whether NumPy's dot product of two pairs rounds its second product with the sum.
    """

    simulation: int
    body: int
    floor: int
    angles: Array
    rates: Array
    links: Array
    pose: Array
    velocity: Array
    torso: int
    parts: Indices
    part_count: int
    angle_index: Indices
    rate_index: Indices
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
    target: float
    time_step: float
    fused: bool


class Brain(NamedTuple):
    """A policy and its normaliser.

    weights: layer by layer the transposed matrix [n_in, n_out], then the bias if there is one.
    sizes: int64, units of every layer. activation: a number from `loop`.
    mean, std: [obs]. clip: bound on a normalised value. low, high: float32 [n], bounds on an
    action. Where there is no bound it is infinite.
    """

    weights: Array
    sizes: Indices
    bias: bool
    activation: int
    mean: Array
    std: Array
    clip: float
    low: Array32
    high: Array32


class Rules(NamedTuple):
    """How an episode counts: see `ars.rollout`. `reward_clip` is infinite for none."""

    max_steps: int
    shift: float
    reward_clip: float


class Memory(NamedTuple):
    """Where an episode writes.

    obs: float32 [obs], the first observation at the start. action, speeds: float32 [n].
    contacts: [f], zeros at the start. front, back: scratch, as long as the widest layer and the
    observation, and the parts. efforts: float32 [n], found: int64 [3], zeros at the start; scratch.
    mean, m2: [obs] of zeros for statistics of the observations acted on, [0] for none.
    """

    obs: Array32
    action: Array32
    speeds: Array32
    contacts: Array
    front: Array
    back: Array
    efforts: Array32
    found: Indices
    mean: Array
    m2: Array
