"""A policy as a program of torch.export: observations [batch, ...] to actions [batch, ...]."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ars.common.errors import UsageError
from ars.exporting.formats import Exported, Origin
from ars.exporting.plain import PlainPolicy
from policies import Policy
from policies.networks import PolicyNetwork

_SAMPLE = 2  # observations in the batch that is traced; with 1 torch would fix its size


class ActingModule(nn.Module):
    """What `policies.base.Policy.act` does, for a batch of observations.

    Vectors are computed in float64, images in float32 as the policy itself does.
    """

    low: torch.Tensor | None
    high: torch.Tensor | None
    offset: torch.Tensor | None
    factor: torch.Tensor | None

    def __init__(self, policy: Policy, plain: PlainPolicy) -> None:
        super().__init__()
        self.is_image = bool(plain.convolutions)
        self.network = PolicyNetwork(policy.spec, torch.float32 if self.is_image else torch.float64)
        self.network.load(policy)
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        self.squashes, self.start, self.shape = plain.squashes, plain.start, plain.shape
        self.rounds = plain.dtype.kind != "f"
        self.dtype = _torch_type(plain.dtype, "action")
        arrays = {"low": plain.low, "high": plain.high}
        arrays |= {"offset": plain.middle, "factor": plain.half}
        for name, array in arrays.items():
            self.register_buffer(name, None if array is None else torch.from_numpy(array.copy()))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        if not self.is_image:
            observation = observation.reshape(observation.shape[0], -1).double()
        y: torch.Tensor = self.network(observation).double()
        if self.squashes:
            y = y.tanh()
        if self.start is not None:
            return y.argmax(1) + self.start
        if self.offset is not None and self.factor is not None:
            y = self.offset + self.factor * y
            y = y.round() if self.rounds else y
        y = y if self.rounds else y.to(self.dtype)
        if self.low is not None and self.high is not None:
            y = torch.minimum(torch.maximum(y, self.low), self.high)
        return y.to(self.dtype).reshape(-1, *self.shape)


def write(policy: Policy, plain: PlainPolicy, origin: Origin) -> Exported:
    """Raises: UsageError for types that torch does not have."""
    module = ActingModule(policy, plain).eval()
    spec = policy.spec.observation
    dtype = _torch_type(np.dtype(spec.dtype), "observation")
    sample = torch.zeros((_SAMPLE, *spec.shape), dtype=dtype)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of functions that it replaces
        program = torch.export.export(
            module,
            (sample,),
            dynamic_shapes={"observation": {0: torch.export.Dim("batch")}},
        )
        torch.export.save(program, file, extra_files={"about.json": origin.about})
        data = file.getvalue()
        loaded: Any = torch.export.load(io.BytesIO(data)).module()

    def act(observations: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            actions: NDArray[Any] = loaded(torch.from_numpy(observations)).numpy()
        return actions

    return Exported(data, act)


def _torch_type(dtype: np.dtype[Any], role: str) -> torch.dtype:
    try:
        return torch.from_numpy(np.zeros(1, dtype)).dtype
    except TypeError:
        raise UsageError(f"`format` torch: torch has no type for {dtype.name} {role}s") from None
