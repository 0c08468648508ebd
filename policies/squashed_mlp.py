"""A multi-layer perceptron whose outputs tanh brings between -1 and 1.

The actor of sb3-contrib's ARS with its `MlpPolicy`; `scale_actions` then spreads the outputs over
the bounds of the actions, as Stable-Baselines3 does.
"""

from __future__ import annotations

import math

import numpy as np

from policies.base import Array
from policies.mlp import MLPPolicy


class SquashedMLPPolicy(MLPPolicy):
    """Affine layers with the spec's activation between them and tanh after the last."""

    def forward(self, x: Array) -> Array:
        """`x`: float64 [obs_dim] -> float64 [n_out], from -1 to 1."""
        return np.array([math.tanh(y) for y in super().forward(x).tolist()])
