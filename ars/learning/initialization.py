"""Initial weights of torch networks, drawn from NumPy generators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from policies.networks import ActorCriticNetwork


def _orthogonal(shape: tuple[int, int], gain: float, rng: np.random.Generator) -> NDArray[Any]:
    """Saxe et al. (2014): orthonormal rows, or columns where there are more rows, times gain."""
    rows, columns = shape
    normal = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))  # makes every orthogonal matrix equally likely
    return gain * (q if rows >= columns else q.T)


def _xavier(shape: tuple[int, int], gain: float, rng: np.random.Generator) -> NDArray[Any]:
    """Glorot and Bengio (2010), equation 16, times gain."""
    bound = gain * math.sqrt(6.0 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def _he(shape: tuple[int, int], gain: float, rng: np.random.Generator) -> NDArray[Any]:
    """He et al. (2015), equation 10: normal; the sqrt(2) for relu is the hidden layers' gain."""
    return gain / math.sqrt(shape[1]) * rng.standard_normal(shape)


def _uniform(shape: tuple[int, int], gain: float, rng: np.random.Generator) -> NDArray[Any]:
    """LeCun et al. (1998), as torch.nn.Linear's default: +-1 / sqrt(fan in), whatever the gain."""
    bound = 1.0 / math.sqrt(shape[1])
    return rng.uniform(-bound, bound, shape)


_INITIAL: dict[str, Callable[[tuple[int, int], float, np.random.Generator], NDArray[Any]]] = {
    "orthogonal": _orthogonal,
    "xavier": _xavier,
    "he": _he,
    "uniform": _uniform,
}


def initialize(
    module: nn.Module, scheme: str, rng: np.random.Generator, gain: float | None = None
) -> None:
    """Draw the weights of every affine and convolutional layer in `module`, in their order.

    Biases are zero, except that the uniform scheme draws them like the weights.

    Args:
        module: holds the layers.
        scheme: orthogonal, xavier, he or uniform.
        rng: where the weights are drawn from.
        gain: of the weights; None: sqrt(2).
    """
    draw = _INITIAL[scheme]
    gain = math.sqrt(2.0) if gain is None else gain
    with torch.no_grad():
        for layer in module.modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            weight = layer.weight
            n_out, n_in = weight.shape[0], math.prod(weight.shape[1:])
            weight.copy_(torch.from_numpy(draw((n_out, n_in), gain, rng)).view_as(weight))
            if layer.bias is None:
                continue
            if scheme == "uniform":
                bound = 1.0 / math.sqrt(n_in)
                layer.bias.copy_(torch.from_numpy(rng.uniform(-bound, bound, n_out)))
            else:
                layer.bias.zero_()


def initialize_actor_critic(
    network: ActorCriticNetwork, scheme: str, rng: np.random.Generator
) -> None:
    """Draw hidden layers with gain sqrt(2), the policy's outputs with 0.01, the values with 1.

    The gains of OpenAI's baselines (ppo2), measured by Andrychowicz et al. (2021, arXiv
    2006.05990, section 3.2): a first policy that does not depend on the observation helps.
    """
    initialize(network.trunk, scheme, rng)
    initialize(network.actor, scheme, rng, 0.01)
    if not network.shared:
        initialize(network.critic_trunk, scheme, rng)
    initialize(network.critic, scheme, rng, 1.0)
