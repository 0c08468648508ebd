"""Acting while learning: NumPy in, NumPy out, whatever computes in between.

Small networks on the CPU act in float32 NumPy on the memory of their torch parameters; images and
GPUs act through torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from policies.networks import ActorCriticNetwork, DuelingNetwork, PolicyNetwork

Floats = NDArray[np.float32]

_NUMPY_ACTIVATIONS: dict[type[nn.Module], Callable[[Floats], Floats]] = {
    nn.Tanh: lambda x: np.tanh(x, out=x),
    nn.ReLU: lambda x: np.maximum(x, np.float32(0.0), out=x),
    nn.Sigmoid: lambda x: np.reciprocal(1.0 + np.exp(-x)),
}


class NumpyInference:
    """Affine layers and activations of CPU modules, in float32: [batch, n_in] -> [batch, n_out].

    Works on the memory of the torch parameters (take it after FlatParameters has moved them), so
    it is always current. For 8 observations and two layers of 64 units it takes a fifth of the
    time of the torch modules under inference_mode.
    """

    def __init__(self, *modules: nn.Module) -> None:
        self._steps: list[tuple[Floats, Floats | None] | Callable[[Floats], Floats]] = []
        for module in itertools.chain.from_iterable(
            part if isinstance(part, nn.Sequential) else (part,) for part in modules
        ):
            if isinstance(module, nn.Linear):
                bias = None if module.bias is None else module.bias.detach().numpy()
                self._steps.append((module.weight.detach().numpy().T, bias))
            else:
                self._steps.append(_NUMPY_ACTIVATIONS[type(module)])

    def __call__(self, x: Floats) -> Floats:
        """See the class."""
        for step in self._steps:
            if isinstance(step, tuple):
                weight, bias = step
                x = x @ weight
                if bias is not None:
                    x += bias
            else:
                x = step(x)
        return x


class ActorCriticInference:
    """Outputs and values of an ActorCriticNetwork for acting: NumPy in, NumPy out.

    `__call__`: observations [batch, *shape] (float32 vectors or uint8 images) -> (float32
    [batch, n_out], float32 [batch], or [batch, n_values] where the critic gives several);
    `outputs`, `values`: one of the two alone, at less cost where `apart`.
    """

    def __init__(self, network: ActorCriticNetwork, device: torch.device) -> None:
        self._network, self._device = network, device
        self._numpy: tuple[NumpyInference, NumpyInference] | None = None
        if device.type == "cpu" and not network.shared:
            self._numpy = (
                NumpyInference(network.trunk, network.actor),
                NumpyInference(network.critic_trunk, network.critic),
            )
        self.apart = self._numpy is not None

    def __call__(self, obs: NDArray[Any]) -> tuple[Floats, Floats]:
        """See the class."""
        if self._numpy is not None:
            return self.outputs(obs), self.values(obs)
        with torch.inference_mode():
            outputs, values = self._network(torch.from_numpy(obs).to(self._device))
            return outputs.cpu().numpy(), values.cpu().numpy()

    def outputs(self, obs: NDArray[Any]) -> Floats:
        """See the class."""
        return self(obs)[0] if self._numpy is None else self._numpy[0](obs)

    def values(self, obs: NDArray[Any]) -> Floats:
        """See the class."""
        if self._numpy is None:
            return self(obs)[1]
        values = self._numpy[1](obs)
        return values[:, 0] if values.shape[1] == 1 else values


class NetworkInference:
    """Outputs of a PolicyNetwork or DuelingNetwork for acting: NumPy in, NumPy out.

    Of a DuelingNetwork only the advantages on CPU vectors, Q elsewhere: with the same best action.
    """

    def __init__(self, network: PolicyNetwork | DuelingNetwork, device: torch.device) -> None:
        self._network, self._device = network, device
        self._numpy: NumpyInference | None = None
        if device.type == "cpu" and not network.spec.conv_layers:
            parts = (
                (network.layers,)
                if isinstance(network, PolicyNetwork)
                else (network.trunk, network.advantage)
            )
            self._numpy = NumpyInference(*parts)

    def __call__(self, obs: NDArray[Any]) -> Floats:
        """Observations [batch, *shape] -> float32 [batch, n_out]."""
        if self._numpy is not None:
            return self._numpy(obs)
        with torch.inference_mode():
            outputs: torch.Tensor = self._network(torch.from_numpy(obs).to(self._device))
            return outputs.cpu().numpy()
