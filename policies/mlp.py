"""A multi-layer perceptron with biases, in NumPy, with the arithmetic of `policies.base`."""

from __future__ import annotations

import itertools

import numpy as np

from policies.activations import ACTIVATIONS
from policies.base import Array, LayeredPolicy
from policies.spec import PolicySpec


class MLPPolicy(LayeredPolicy):
    """Affine layers with the spec's activation between them and none after the last."""

    compiled_layers = True

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__(spec)
        self._activation = ACTIVATIONS[spec.activation].scalar

    def forward(self, x: Array) -> Array:
        """`x`: float64 [obs_dim] -> float64 [n_out]."""
        for layer in self.layers[:-1]:
            # Scalar libm calls: NumPy's vector tanh differs from them in the last bit.
            x = np.array([self._activation(value) for value in layer(x).tolist()])
        return self.layers[-1](x)


def initial_weights(spec: PolicySpec, rng: np.random.Generator) -> Array:
    """Weights and biases uniform in +-1/sqrt(fan_in), layer by layer: float64 [n_network_weights].

    The initialisation of torch.nn.Linear (LeCun et al., 1998, "Efficient BackProp").

    Raises: ValueError for a network with convolutions.
    """
    if spec.conv_layers:
        raise ValueError(f"conv_layers {spec.conv_layers}: only affine layers are drawn")
    parts = []
    for n_in, n_out in itertools.pairwise(spec.layer_sizes):
        bound = 1.0 / float(np.sqrt(n_in))
        parts.append(rng.uniform(-bound, bound, n_out * (n_in + spec.bias)))
    return np.concatenate(parts)
