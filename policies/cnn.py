"""A convolutional policy for uint8 images. Unlike policies for vectors, it acts through torch."""

from __future__ import annotations

import numpy as np

from policies.base import Array, Policy
from policies.spec import PolicySpec


class CNNPolicy(Policy):
    """The spec's convolutions and affine layers, in float32; pixel values are divided by 255."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__(spec)
        from policies.networks import PolicyNetwork  # here, because it loads torch

        self._network = PolicyNetwork(spec)

    def _load(self, flat: Array) -> None:
        from policies.parameters import load_flat

        load_flat(self._network, flat)

    def forward(self, x: Array) -> Array:
        """`x`: float64 [obs_dim] -> float64 [n_out]."""
        import torch

        with np.errstate(invalid="ignore"):
            image = x.reshape(1, *self.spec.observation.shape).astype(np.uint8)
        if not np.array_equal(image.ravel(), x):  # as those divided by 255 are not
            raise ValueError("an image must be whole numbers from 0 to 255")
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(image))
        return np.asarray(outputs[0].double().numpy())
