"""Transitions drawn from a replay buffer, on the device that learns from them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Transitions(NamedTuple):
    """Minibatches: `obs` and `next_obs` [n, *shape], `actions` [n, 1], others [n]."""

    obs: Tensor
    actions: Tensor
    returns: Tensor
    discounts: Tensor
    next_obs: Tensor
    weights: Tensor

    @classmethod
    def on_device(cls, device: torch.device, *columns: Any) -> Transitions:
        """Transitions of arrays or tensors, in the order of the attributes."""
        return cls(*(torch.as_tensor(column, device=device) for column in columns))

    def split(self, size: int) -> list[Transitions]:
        """Minibatches of `size` transitions."""
        if len(self.returns) == size:
            return [self]
        columns = (torch.split(tensor, size) for tensor in self)
        return [Transitions(*parts) for parts in zip(*columns, strict=True)]
