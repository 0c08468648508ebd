"""The table of activation functions, with every form in which the toolkit uses one.

The compiled loop may not import this package. It has its own numbered table,
`envs.bullet.compiled.policy.ACTIVATIONS`; a policy whose activation is not in it is played by the
Python loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Activation(NamedTuple):
    """An activation function in several forms.

    Attributes:
        scalar: on a float, by libm, for exact acting: NumPy's version may differ in the last bit.
        module: name of the class in `torch.nn`; a name, so that acting does not load torch.
        numpy: on float32 arrays, in place where that saves time, for acting during learning.
        tensor: on torch tensors, in place, for the forward pass.
        derivative: the derivative as a function of the output `y`, for the backward pass.
    """

    scalar: Callable[[float], float]
    module: str
    numpy: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    tensor: Callable[[Tensor], Tensor]
    derivative: Callable[[Any], Any]


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(
        math.tanh,
        "Tanh",
        lambda x: np.tanh(x, out=x),
        lambda x: x.tanh_(),
        lambda y: 1 - y * y,
    ),
    "relu": Activation(
        lambda x: x if x > 0.0 else 0.0,
        "ReLU",
        lambda x: np.maximum(x, np.float32(0.0), out=x),
        lambda x: x.relu_(),
        lambda y: y > 0,
    ),
    "sigmoid": Activation(
        # exp(-x) overflows below -709; the exact limit there is 0.
        lambda x: 1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0,
        "Sigmoid",
        lambda x: np.reciprocal(1.0 + np.exp(-x)),
        lambda x: x.sigmoid_(),
        lambda y: (1 - y) * y,
    ),
}
