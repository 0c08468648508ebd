"""Inference while training: NumPy arrays in and out, whatever computes in between.

Small networks on the CPU act in float32 NumPy on the memory of their torch parameters; images and
GPUs act through torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from policies import ACTIVATIONS
from policies.networks import ActorCriticNetwork, DuelingNetwork, PolicyNetwork, affine_layers

Floats = NDArray[np.float32]


class MLPInference:
    """Affine layers with one activation between them, in float32 NumPy on the CPU.

    It shares the memory of the torch parameters, so it is always current; make it after
    FlatParameters has moved them. For 8 observations and two layers of 64 units it takes a fifth
    of the time of the torch modules under inference_mode (`scripts/bench_learning.py`).
    """

    def __init__(self, activation: str, *modules: nn.Module) -> None:
        self._layers: list[tuple[Floats, Floats | None]] = [
            (
                layer.weight.detach().numpy().T,
                None if layer.bias is None else layer.bias.detach().numpy(),
            )
            for layer in affine_layers(*modules)
        ]
        self._activate = ACTIVATIONS[activation].numpy

    def __call__(self, x: Floats) -> Floats:
        """`x`: [batch, n_in] -> [batch, n_out]."""
        last = len(self._layers) - 1
        for at, (weight, bias) in enumerate(self._layers):
            x = x @ weight
            if bias is not None:
                x += bias
            if at < last:
                x = self._activate(x)
        return x


class ActorCriticInference:
    """Outputs and values of an ActorCriticNetwork, NumPy in and out.

    Attributes:
        separate: whether `outputs` or `values` alone costs less than both.
    """

    def __init__(self, network: ActorCriticNetwork, device: torch.device) -> None:
        self._network, self._device = network, device
        self._numpy: tuple[MLPInference, MLPInference] | None = None
        if device.type == "cpu" and not network.shared:
            activation = network.spec.activation
            self._numpy = (
                MLPInference(activation, network.trunk, network.actor),
                MLPInference(activation, network.critic_trunk, network.critic),
            )
        self.separate = self._numpy is not None

    def __call__(self, obs: NDArray[Any]) -> tuple[Floats, Floats]:
        """Observations (float32 vectors or uint8 images) -> outputs and values.

        `obs`: [batch, *shape] -> float32 [batch, n_out] and float32 [batch], or [batch, n_values]
        where the critic has several outputs.
        """
        if self._numpy is not None:
            return self.outputs(obs), self.values(obs)
        with torch.inference_mode():
            outputs, values = self._network(torch.from_numpy(obs).to(self._device))
            return outputs.cpu().numpy(), values.cpu().numpy()

    def outputs(self, obs: NDArray[Any]) -> Floats:
        """The policy's outputs alone: [batch, n_out]."""
        return self(obs)[0] if self._numpy is None else self._numpy[0](obs)

    def values(self, obs: NDArray[Any]) -> Floats:
        """The critic's values alone: [batch] or [batch, n_values]."""
        if self._numpy is None:
            return self(obs)[1]
        values = self._numpy[1](obs)
        return values[:, 0] if values.shape[1] == 1 else values


class NetworkInference:
    """Outputs of a PolicyNetwork or DuelingNetwork, NumPy in and out.

    For a DuelingNetwork on the CPU without convolutions these are the advantages alone, elsewhere
    Q; the best action is the same.
    """

    def __init__(self, network: PolicyNetwork | DuelingNetwork, device: torch.device) -> None:
        self._network, self._device = network, device
        self._numpy: MLPInference | None = None
        if device.type == "cpu" and not network.spec.conv_layers:
            parts = (
                (network.layers,)
                if isinstance(network, PolicyNetwork)
                else (network.trunk, network.advantage)
            )
            self._numpy = MLPInference(network.spec.activation, *parts)

    def __call__(self, obs: NDArray[Any]) -> Floats:
        """Observations [batch, *shape] -> float32 [batch, n_out]."""
        if self._numpy is not None:
            return self._numpy(obs)
        with torch.inference_mode():
            outputs: torch.Tensor = self._network(torch.from_numpy(obs).to(self._device))
            return outputs.cpu().numpy()
