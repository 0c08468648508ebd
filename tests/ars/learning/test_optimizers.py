"""Optimisers over one vector of parameters step as torch's do."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from closeness import close
from torch import nn

from ars.learning.optimizers import Adam, RMSprop
from policies.parameters import FlatParameters


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_optimisers_step_as_torch_s_do(name: str) -> None:
    ours = nn.Linear(6, 4)
    theirs = copy.deepcopy(ours)
    parameters = FlatParameters(ours)
    optimizer: Adam | RMSprop
    peer: torch.optim.Optimizer
    if name == "adam":
        optimizer = Adam(parameters, 0.01, eps=1e-3)
        peer = torch.optim.Adam(theirs.parameters(), 0.01, eps=1e-3)
    else:
        optimizer = RMSprop(parameters, 0.01, eps=1e-3)
        peer = torch.optim.RMSprop(theirs.parameters(), 0.01, alpha=0.99, eps=1e-3)
    for step in range(20):
        x = torch.from_numpy(np.random.default_rng(step).standard_normal((3, 6))).float()
        parameters.grad.zero_()
        ours(x).square().sum().backward()
        optimizer.step()
        peer.zero_grad()
        theirs(x).square().sum().backward()
        peer.step()
    expected = torch.cat([p.detach().ravel() for p in theirs.parameters()])
    close(parameters.numpy(), expected)
