"""A network's parameters as one vector: for policy files, and for fast optimiser steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class FlatParameters:
    """All parameters of a network as views of one vector, and all gradients as views of another.

    The optimiser's step, gradient clipping, zeroing and the update of a target network then take
    one or two torch calls instead of one per layer. Move the network to its device first.

    Attributes:
        data: float32 Parameter [n], for an optimiser.
        grad: its gradient, float32 [n].
    """

    def __init__(self, network: nn.Module) -> None:
        parameters = list(network.parameters())
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        self.data = nn.Parameter(flat)
        self.grad = torch.zeros_like(flat)
        self.data.grad = self.grad
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            parameter.data = flat[start:end].view_as(parameter)
            # `backward` adds to an existing gradient in place.
            parameter.grad = self.grad[start:end].view_as(parameter)
            start = end

    def numpy(self) -> NDArray[np.float32]:
        """Return a copy of the parameters: float32 [n]."""
        return self.data.detach().cpu().numpy().copy()

    def load(self, values: NDArray[Any]) -> None:
        """Set the first parameters, as many as there are values. Raises: ValueError."""
        if values.ndim != 1 or values.size > self.data.numel():
            raise ValueError(f"{values.size} weights for a network of {self.data.numel()}")
        with torch.no_grad():
            self.data[: values.size].copy_(torch.from_numpy(np.ascontiguousarray(values)))

    def copy_from(self, other: FlatParameters, tau: float = 1.0) -> None:
        """Move the parameters by the fraction `tau` towards `other`; 1 copies them."""
        with torch.no_grad():
            self.data.lerp_(other.data, tau) if tau < 1.0 else self.data.copy_(other.data)

    def clip_grad(self, max_norm: float | None) -> torch.Tensor:
        """Scale the gradient to a norm (L2) of at most `max_norm`; return the original norm."""
        norm: torch.Tensor = torch.linalg.vector_norm(self.grad)
        if max_norm is not None:
            self.grad.mul_((max_norm / (norm + 1e-6)).clamp_(max=1.0))
        return norm


def flat(network: nn.Module) -> NDArray[np.float64]:
    """Return a network's parameters as one float64 vector."""
    parts = [parameter.detach().double().cpu().ravel() for parameter in network.parameters()]
    return np.asarray(torch.cat(parts).numpy())


def load_flat(network: nn.Module, weights: NDArray[np.float64]) -> None:
    """Set a network's parameters from one float64 vector. Raises: ValueError on a wrong size."""
    parameters = list(network.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    if sum(sizes) != weights.size:
        raise ValueError(f"{weights.size} weights for a network of {sum(sizes)}")
    with torch.no_grad():
        for parameter, part in zip(
            parameters, np.split(weights, np.cumsum(sizes)[:-1]), strict=True
        ):
            parameter.copy_(torch.from_numpy(part).view_as(parameter))
