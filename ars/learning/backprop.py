"""Forward and backward passes through a network, from hand-derived gradients of the loss.

backprop = make_backprop(network, parameters, device)
(outputs,) = backprop.forward(obs)
backprop.backward(gradient)       of the loss with respect to the outputs; sets parameters.grad
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from policies import ACTIVATIONS
from policies.networks import (
    ActorCriticNetwork,
    DuelingNetwork,
    PolicyNetwork,
    affine_layers,
)
from policies.parameters import FlatParameters


class Backprop(Protocol):
    """Forward and backward through a network; a backward pass belongs to the last forward pass."""

    def forward(self, obs: Tensor) -> tuple[Tensor, ...]:
        """Observations [batch, *shape] -> all outputs of the network, outside autograd's graph."""

    def backward(self, *gradients: Tensor) -> None:
        """Set every parameter's gradient, given the loss's with respect to each of the outputs."""


class AutogradBackprop:
    """Any network, by torch's autograd; `forward` must not run under `no_grad`."""

    def __init__(self, network: nn.Module, parameters: FlatParameters) -> None:
        self._network, self._parameters = network, parameters
        self._outputs: tuple[Tensor, ...] = ()

    def forward(self, obs: Tensor) -> tuple[Tensor, ...]:
        outputs = self._network(obs)
        self._outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(output.detach() for output in self._outputs)

    def backward(self, *gradients: Tensor) -> None:
        self._parameters.grad.zero_()
        torch.autograd.backward(self._outputs, gradients)


class _Affine(NamedTuple):
    """A layer's parameters and their gradients, outside autograd's graph."""

    weight: Tensor
    bias: Tensor
    weight_grad: Tensor
    bias_grad: Tensor


class MLPBackprop:
    """Affine layers with one activation between them, on the CPU.

    The operations are autograd's and so are the bits, but forward and backward take half the time
    for 64 observations and two layers of 64 units, since nothing has to be recorded
    (`scripts/bench_learning.py`). `ars.learning.inference` cannot serve here: NumPy's products and
    tanh differ from torch's in the last bits.
    """

    def __init__(self, activation: str, *modules: nn.Module) -> None:
        """Takes the layers in `modules`, whose gradients `FlatParameters` has allocated."""
        self._layers = [_detached(layer) for layer in affine_layers(*modules)]
        self._activate = ACTIVATIONS[activation].tensor
        self._derivative = ACTIVATIONS[activation].derivative
        self._inputs: list[Tensor] = []

    def forward(self, obs: Tensor) -> tuple[Tensor]:
        *hidden, last = self._layers
        self._inputs = [obs]
        for layer in hidden:
            x = torch.addmm(layer.bias, self._inputs[-1], layer.weight.t())
            self._inputs.append(self._activate(x))
        return (torch.addmm(last.bias, self._inputs[-1], last.weight.t()),)

    def backward(self, *gradients: Tensor) -> None:
        (gradient,) = gradients
        for layer, x in zip(reversed(self._layers), reversed(self._inputs), strict=True):
            torch.mm(gradient.t(), x, out=layer.weight_grad)
            torch.sum(gradient, 0, out=layer.bias_grad)
            if x is not self._inputs[0]:
                gradient = torch.mm(gradient, layer.weight).mul_(self._derivative(x))


def _detached(layer: nn.Linear) -> _Affine:
    gradients = layer.weight.grad, layer.bias.grad
    assert gradients[0] is not None and gradients[1] is not None
    return _Affine(layer.weight.detach(), layer.bias.detach(), gradients[0], gradients[1])


class ActorCriticMLPBackprop:
    """An ActorCriticNetwork over vectors: two MLPs that share nothing."""

    def __init__(self, network: ActorCriticNetwork) -> None:
        activation = network.spec.activation
        self._actor = MLPBackprop(activation, network.trunk, network.actor)
        self._critic = MLPBackprop(activation, network.critic_trunk, network.critic)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        (outputs,), (values,) = self._actor.forward(obs), self._critic.forward(obs)
        return outputs, values.squeeze(1)

    def backward(self, *gradients: Tensor) -> None:
        outputs_grad, values_grad = gradients
        self._actor.backward(outputs_grad)
        self._critic.backward(values_grad.reshape(len(values_grad), -1))


def make_backprop(
    network: PolicyNetwork | DuelingNetwork | ActorCriticNetwork,
    parameters: FlatParameters,
    device: torch.device,
) -> Backprop:
    """The fastest `Backprop` for a network whose parameters are in `parameters`."""
    spec = network.spec
    if device.type == "cpu" and spec.hidden_sizes and spec.bias and not spec.conv_layers:
        if isinstance(network, PolicyNetwork):
            return MLPBackprop(spec.activation, network.layers)
        if isinstance(network, ActorCriticNetwork):
            return ActorCriticMLPBackprop(network)
    return AutogradBackprop(network, parameters)
