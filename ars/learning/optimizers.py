"""Optimisers of parameters in one vector: a few torch calls per step, however many layers.

torch.optim's fused Adam takes three times as long for 9,155 parameters (its checks and hooks, not
its arithmetic), and loading it costs a second.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch

from policies.parameters import FlatParameters
from policies.state import State


class Optimizer(ABC):
    """Takes gradient steps.

    Attributes:
        learning_rate: may be changed between steps.
        moments: running averages over earlier gradients, each float32 [n].
        steps: how many have been taken.
    """

    moments: dict[str, torch.Tensor]

    def __init__(self, parameters: FlatParameters, learning_rate: float, eps: float) -> None:
        self._data, self._grad = parameters.data.detach(), parameters.grad
        self.learning_rate, self._eps, self.steps = learning_rate, eps, 0
        self._factors: torch.Tensor | None = None

    def scale_last(self, n: int, factor: float) -> None:
        """Give the last n parameters a learning rate `factor` times that of the others."""
        self._factors = torch.ones_like(self._data)
        self._factors[len(self._factors) - n :] = factor

    def _move(self, numerators: torch.Tensor, denominators: torch.Tensor, rate: float) -> None:
        """Subtract `rate` times the quotient of two vectors from the parameters."""
        if self._factors is not None:
            numerators = numerators * self._factors
        self._data.addcdiv_(numerators, denominators, value=-rate)

    @abstractmethod
    def step(self) -> None:
        """Take a step with the current gradient."""

    def state(self) -> State:
        """The moments and the number of steps."""
        moments = {name: moment.cpu().numpy().copy() for name, moment in self.moments.items()}
        return State(moments, {"steps": self.steps})

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        for name, moment in self.moments.items():
            # The average of squares, v, may have overflowed without harm.
            bounds = {"v": (0.0, math.inf)}.get(name, ())
            stored = state.array(name, tuple(moment.shape), np.float32, *bounds)
            moment.copy_(torch.from_numpy(stored))
        self.steps = state.count("steps")


class Adam(Optimizer):
    """Kingma and Ba (2015), arXiv 1412.6980, Algorithm 1, in the form at the end of section 2."""

    def __init__(
        self,
        parameters: FlatParameters,
        learning_rate: float,
        eps: float = 1e-8,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__(parameters, learning_rate, eps)
        self._betas = betas
        self.moments = {name: torch.zeros_like(self._data) for name in ("m", "v")}

    def step(self) -> None:
        self.steps += 1
        (beta1, beta2), m, v, grad = self._betas, *self.moments.values(), self._grad
        # 1. Averages of the gradient and of its square.
        m.lerp_(grad, 1.0 - beta1)
        v.mul_(beta2).addcmul_(grad, grad, value=1.0 - beta2)
        # 2. Two factors that correct their bias towards zero, where they start.
        bias1, root2 = 1.0 - beta1**self.steps, (1.0 - beta2**self.steps) ** 0.5
        # 3. The step: m / (sqrt(v) + eps) of the corrected averages.
        deviation = v.sqrt().add_(self._eps * root2)
        self._move(m, deviation, self.learning_rate * root2 / bias1)


class RMSprop(Optimizer):
    """Tieleman and Hinton (2012), lecture 6.5; eps is outside of the root, as in torch."""

    def __init__(
        self,
        parameters: FlatParameters,
        learning_rate: float,
        eps: float = 1e-5,
        alpha: float = 0.99,
    ) -> None:
        super().__init__(parameters, learning_rate, eps)
        self._alpha = alpha
        self.moments = {"v": torch.zeros_like(self._data)}

    def step(self) -> None:
        self.steps += 1
        v, grad = self.moments["v"], self._grad
        v.mul_(self._alpha).addcmul_(grad, grad, value=1.0 - self._alpha)
        self._move(grad, v.sqrt().add_(self._eps), self.learning_rate)
