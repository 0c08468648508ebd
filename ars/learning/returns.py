"""Returns and advantages of segments of experience, in NumPy.

A segment is n_steps steps of n_envs parallel environments; every array is [n_steps, n_envs]. Row t
holds step t: its reward, the value of the observation acted on (`values`) and that of the
observation the step led to (`next_values`; where the episode ended, its last observation, not the
first of the next episode).

Two flags say how a step left its episode. `terminated`: it reached a terminal state, whose value
is 0. `ended`: it was the episode's last, by termination or by truncation (a time limit). A
truncated episode would have gone on, so returns bootstrap from its last observation's value (Pardo
et al., 2018, Time Limits in Reinforcement Learning, arXiv 1712.00378, section 2.2); nothing is
carried over from the episode that follows it in the arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]


def discounted_returns(rewards: Array, ended: Flags, gamma: float) -> Array:
    """G_t = r_t + gamma G_{t+1}, up to the end of the episode or of the segment.

    Sutton and Barto (2018), Reinforcement Learning, equations 3.8 and 3.9. Rewards after the
    segment count as 0, so this is for complete episodes.
    """
    return _accumulated(rewards, gamma * ~ended)


def gae(
    rewards: Array,
    values: Array,
    next_values: Array,
    terminated: Flags,
    ended: Flags,
    gamma: float,
    lam: float,
) -> Array:
    """Generalised advantage estimates A_t = delta_t + gamma lam A_{t+1}.

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t). Schulman et al. (2016), arXiv 1506.02438, equation
    16. `A + values` are the lambda-returns, the critic's targets.
    """
    deltas = rewards + gamma * next_values * ~terminated - values
    return _accumulated(deltas.astype(values.dtype, copy=False), gamma * lam * ~ended)


def _accumulated(terms: Array, factors: Array) -> Array:
    """y_t = terms_t + factors_t y_{t+1}, with y = 0 after the last row; of the type of `terms`."""
    y = np.array(terms)
    weights = factors.astype(y.dtype)
    for t in range(len(y) - 2, -1, -1):
        y[t] += weights[t] * y[t + 1]
    return y
