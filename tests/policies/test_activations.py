"""Every activation is one function, in whatever form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from envs.bullet.compiled import policy
from policies import ACTIVATIONS

POINTS = [-800.0, -3.0, -0.5, 0.0, 0.25, 4.0, 800.0]
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)


@every_activation
def test_all_forms_agree(name: str) -> None:
    activation = ACTIVATIONS[name]
    expected = [activation.scalar(point) for point in POINTS]
    x = np.array(POINTS, np.float32)
    with np.errstate(over="ignore"):  # as while an algorithm learns
        found = activation.numpy(x.copy())
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    tensor = torch.from_numpy(x)
    torch.testing.assert_close(activation.tensor(tensor.clone()), torch.tensor(expected))
    module = getattr(nn, activation.module)()
    torch.testing.assert_close(module(tensor), torch.tensor(expected))


@every_activation
def test_the_derivative_is_that_of_the_function(name: str) -> None:
    activation = ACTIVATIONS[name]
    x = torch.tensor(POINTS, requires_grad=True)
    y = getattr(nn, activation.module)()(x)
    (expected,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(activation.derivative(y.detach()).float(), expected)


def test_the_compiled_loop_has_a_number_for_each_that_it_knows() -> None:
    assert policy.ACTIVATIONS.keys() <= ACTIVATIONS.keys()
    assert len(set(policy.ACTIVATIONS.values())) == len(policy.ACTIVATIONS)
