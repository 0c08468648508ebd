"""Outputs of a network, and its parameters' gradients from those of the outputs.

    passes = make_passes(network, parameters, device)
    outputs = passes.forward(obs)
    passes.backward(gradient)       the loss's by the outputs; parameters.grad is then the loss's

Small networks of affine layers on the CPU are gone through by hand, with the same operations as
autograd and so the same bits, but in less than half the time for 64 observations and two layers of
64 units: most of autograd's goes into keeping its books. All else is left to autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from policies.networks import ActorCriticNetwork, DuelingNetwork, PolicyNetwork
from policies.parameters import FlatParameters


class Passes(Protocol):
    """Forward and backward through a network; a backward pass belongs to the last forward one."""

    def forward(self, obs: Tensor) -> Tensor:
        """Observations [batch, *shape] -> outputs [batch, n_out], without a graph."""

    def backward(self, gradient: Tensor) -> None:
        """Set the gradient of every parameter. `gradient`: a loss's by the outputs."""


class Autograd:
    """Passes of any network."""

    def __init__(self, network: nn.Module, parameters: FlatParameters) -> None:
        self._network, self._parameters = network, parameters

    def forward(self, obs: Tensor) -> Tensor:
        """See Passes."""
        self._outputs: Tensor = self._network(obs)
        outputs: Tensor = self._outputs.detach()
        return outputs

    def backward(self, gradient: Tensor) -> None:
        """See Passes."""
        self._parameters.grad.zero_()
        self._outputs.backward(gradient)  # type: ignore[no-untyped-call]


class _Activation(NamedTuple):
    """A function, in place, and its slope where it gave `y`."""

    apply: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


_ACTIVATIONS: dict[type[nn.Module], _Activation] = {
    nn.ReLU: _Activation(torch.relu_, lambda y: y > 0),
    nn.Tanh: _Activation(torch.tanh_, lambda y: 1 - y * y),
    nn.Sigmoid: _Activation(torch.sigmoid_, lambda y: (1 - y) * y),
}


class _Affine(NamedTuple):
    """A layer's parameters and their gradients, without a graph."""

    weight: Tensor
    bias: Tensor
    weight_grad: Tensor
    bias_grad: Tensor


class ByHand:
    """Passes of affine layers with one activation between them, after FlatParameters made grads."""

    def __init__(self, layers: nn.Sequential) -> None:
        affine = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self._layers = [_detached(layer) for layer in affine]
        self._activation = _ACTIVATIONS[type(layers[1])]
        self._inputs: list[Tensor] = []

    def forward(self, obs: Tensor) -> Tensor:
        """See Passes."""
        *hidden, last = self._layers
        self._inputs = [obs]
        for layer in hidden:
            x = torch.addmm(layer.bias, self._inputs[-1], layer.weight.t())
            self._inputs.append(self._activation.apply(x))
        return torch.addmm(last.bias, self._inputs[-1], last.weight.t())

    def backward(self, gradient: Tensor) -> None:
        """See Passes."""
        for layer, x in zip(reversed(self._layers), reversed(self._inputs), strict=True):
            torch.mm(gradient.t(), x, out=layer.weight_grad)
            torch.sum(gradient, 0, out=layer.bias_grad)
            if x is not self._inputs[0]:
                gradient = torch.mm(gradient, layer.weight).mul_(self._activation.slope(x))


def _detached(layer: nn.Linear) -> _Affine:
    gradients = layer.weight.grad, layer.bias.grad
    assert gradients[0] is not None and gradients[1] is not None
    return _Affine(layer.weight.detach(), layer.bias.detach(), gradients[0], gradients[1])


def make_passes(
    network: PolicyNetwork | DuelingNetwork, parameters: FlatParameters, device: torch.device
) -> Passes:
    """The fastest passes of a network whose parameters are flat already."""
    affine = bool(network.spec.hidden_sizes) and not network.spec.conv_layers
    if affine and isinstance(network, PolicyNetwork) and device.type == "cpu":
        return ByHand(network.layers)
    return Autograd(network, parameters)


class ActorCriticPasses(Protocol):
    """As Passes, for the two outputs of an ActorCriticNetwork and a gaussian policy's `log_std`."""

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Observations [batch, *shape] -> outputs and values, without a graph."""

    def backward(self, outputs: Tensor, values: Tensor, log_std: Tensor | None = None) -> None:
        """Set the gradient of every parameter, from a loss's by what `forward` gave last."""


class ActorCriticAutograd:
    """Passes of any ActorCriticNetwork."""

    def __init__(self, network: ActorCriticNetwork, parameters: FlatParameters) -> None:
        self._network, self._parameters = network, parameters

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """See ActorCriticPasses."""
        with torch.enable_grad():
            self._given: tuple[Tensor, Tensor] = self._network(obs)
        outputs, values = self._given
        return outputs.detach(), values.detach()

    def backward(self, outputs: Tensor, values: Tensor, log_std: Tensor | None = None) -> None:
        """See ActorCriticPasses."""
        self._parameters.grad.zero_()
        torch.autograd.backward(self._given, (outputs, values))
        _set_log_std(self._network, log_std)


class ActorCriticByHand:
    """Passes of two networks of affine layers over vectors."""

    def __init__(self, network: ActorCriticNetwork) -> None:
        self._network = network
        self._actor = ByHand(nn.Sequential(*network.trunk, network.actor))
        self._critic = ByHand(nn.Sequential(*network.critic_trunk, network.critic))

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """See ActorCriticPasses."""
        return self._actor.forward(obs), self._critic.forward(obs).squeeze(1)

    def backward(self, outputs: Tensor, values: Tensor, log_std: Tensor | None = None) -> None:
        """See ActorCriticPasses."""
        self._actor.backward(outputs)
        self._critic.backward(values.reshape(len(values), -1))
        _set_log_std(self._network, log_std)


def _set_log_std(network: ActorCriticNetwork, gradient: Tensor | None) -> None:
    if network.log_std is not None and network.log_std.grad is not None and gradient is not None:
        network.log_std.grad.copy_(gradient)


def make_actor_critic_passes(
    network: ActorCriticNetwork, parameters: FlatParameters, device: torch.device
) -> ActorCriticPasses:
    """The fastest passes of a network whose parameters are flat already."""
    affine = bool(network.spec.hidden_sizes) and network.spec.bias and not network.shared
    if affine and device.type == "cpu":
        return ActorCriticByHand(network)
    return ActorCriticAutograd(network, parameters)
