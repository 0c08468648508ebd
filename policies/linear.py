"""The linear policy of Mania, Guy and Recht (2018): action = W x, without bias by default."""

from __future__ import annotations

from policies.base import Array, LayeredPolicy


class LinearPolicy(LayeredPolicy):
    """`forward(x) = W x (+ b)`, W row-major float64 [n_out, obs_dim]."""

    compiled_layers = True

    def forward(self, x: Array) -> Array:
        """`x`: float64 [obs_dim] -> float64 [n_out]."""
        return self.layers[0](x)
