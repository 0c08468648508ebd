"""What goes into the compiled loop, whatever the robot."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Indices = NDArray[np.int64]


class Simulated(NamedTuple):
    """A body, where it is simulated, and views of where its state is answered.

    simulation: the handle. body: PyBullet's number.
    angles: [128], the base's position and quaternion, then the joints'.
    rates: [128], the base's linear and angular velocity, then the joints'.
    links: [n, 7], positions and quaternions of the centres of mass.
    velocities: [n, 6], linear and angular; zero unless `with_velocities`.
    dofs: int64 [motors], where among `rates` the driven joints are. torques: [motors], to be set.
    """

    simulation: int
    body: int
    angles: Array
    rates: Array
    links: Array
    velocities: Array
    with_velocities: bool
    dofs: Indices
    torques: Array


class Brain(NamedTuple):
    """A policy and its normaliser.

    weights: layer by layer the transposed matrix [n_in, n_out], then the bias if there is one.
    sizes: int64, units of every layer. activation: a number from `loop`.
    mean, std: [obs]. clip: bound on a normalised value. low, high: float32 [n], bounds on an
    action. Where there is no bound it is infinite.
    front, back: scratch, as long as the widest layer.
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
    front: Array
    back: Array


class Rules(NamedTuple):
    """How an episode counts: see `ars.rollout`. `reward_clip` is infinite for none."""

    max_steps: int
    shift: float
    reward_clip: float


class Memory(NamedTuple):
    """Where an episode writes.

    obs: float32 [obs], the first observation at the start. action: float32 [n].
    mean, m2: [obs] of zeros for statistics of the observations acted on, [0] for none.
    """

    obs: Array32
    action: Array32
    mean: Array
    m2: Array
