"""The torch face of the policies: the same parameters, for learning on CPU or GPU."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from policies.base import Policy, PolicySpec

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
}


def resolve_device(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu` or `cuda`.

    Raises: ValueError, one line, for another name or where there is no CUDA device.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device {name!r} is not one of auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda': torch finds no CUDA device here; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class MLP(nn.Module):
    """The network of a linear or MLP policy, normaliser included.

    `forward`: raw observations [batch, obs_dim] -> outputs [batch, n_out]. Parameters run in the
    order of the policy's flat vector: row-major weights, then bias, layer by layer.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, spec: PolicySpec, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.spec = spec
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(spec.layer_sizes):
            layers += [
                nn.Linear(n_in, n_out, bias=spec.bias, dtype=dtype),
                ACTIVATIONS[spec.activation](),
            ]
        self.layers = nn.Sequential(*layers[:-1])
        size = spec.layer_sizes[0]
        self.register_buffer("mean", torch.zeros(size, dtype=dtype))
        self.register_buffer("std", torch.ones(size, dtype=dtype))
        self.clip: float | None = None

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = (obs - self.mean) / self.std
        if self.clip is not None:
            x = x.clamp(-self.clip, self.clip)
        y: torch.Tensor = self.layers(x)
        return y

    def load(self, policy: Policy) -> None:
        """Take a policy's weights and normaliser."""
        load_flat(self, policy.weights)
        normalizer = policy.normalizer
        with torch.no_grad():
            if normalizer is None:
                self.mean.zero_()
                self.std.fill_(1.0)
                self.clip = None
            else:
                self.mean.copy_(torch.from_numpy(normalizer.mean))
                self.std.copy_(torch.from_numpy(normalizer.std))
                self.clip = normalizer.rule.clip


def make_network(policy: Policy, device: str = "auto", dtype: torch.dtype = torch.float32) -> MLP:
    """The torch twin of a policy, on a device. Agrees to 1e-12 in float64, 1e-5 in float32."""
    network = MLP(policy.spec, dtype)
    network.load(policy)
    return network.to(resolve_device(device))


def flat(network: nn.Module) -> NDArray[np.float64]:
    """A network's parameters as one float64 vector."""
    parts = [parameter.detach().double().cpu().ravel() for parameter in network.parameters()]
    return np.asarray(torch.cat(parts).numpy())


def load_flat(network: nn.Module, weights: NDArray[np.float64]) -> None:
    """Set a network's parameters from one float64 vector. Raises: ValueError on another size."""
    parameters = list(network.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    if sum(sizes) != weights.size:
        raise ValueError(f"{weights.size} weights for a network of {sum(sizes)}")
    with torch.no_grad():
        for parameter, part in zip(
            parameters, np.split(weights, np.cumsum(sizes)[:-1]), strict=True
        ):
            parameter.copy_(torch.from_numpy(part).view_as(parameter))
