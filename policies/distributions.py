"""The two distributions of actions: log-probabilities and entropies in torch, samples in NumPy.

Categorical: one of n actions, with probabilities softmax(logits). Gaussian: every component on its
own (a diagonal covariance), with a deviation that does not depend on the observation and is kept as
its logarithm. The torch classes use methods of the tensors they are given, so that whoever only
samples does not load torch. `backward` is by hand: see `ars.learning.losses.Loss`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Categorical:
    """One of n actions a row. `logits`: [batch, n]; actions are int64 [batch], from 0."""

    def __init__(self, logits: Tensor) -> None:
        self._log_probs = logits.log_softmax(-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a) = logit_a - log sum exp logits: [batch]."""
        return self._log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """The mean of H = -sum p log p over the batch, in nats: []."""
        return -(self._log_probs.exp() * self._log_probs).sum(-1).mean()

    def backward(
        self, actions: Tensor, by_log_prob: Tensor, by_entropy: float = 0.0
    ) -> tuple[Tensor, None]:
        """The gradient of sum w_i log pi(a_i) + c mean H by the logits, [batch, n]; nothing else.

        `by_log_prob`: w, [batch]; `by_entropy`: c. That of log pi(a) is the indicator of a less p
        (Sutton and Barto, 2018, exercise 13.3), that of H is -p (log p + H).
        """
        log_probs, probs = self._log_probs, self._log_probs.exp()
        weights = by_log_prob.unsqueeze(-1)
        gradient = (probs * -weights).scatter_add_(-1, actions.unsqueeze(-1), weights)
        if by_entropy:
            entropies = -(probs * log_probs).sum(-1, keepdim=True)
            gradient -= by_entropy / len(log_probs) * probs * (log_probs + entropies)
        return gradient, None


class Gaussian:
    """A normal distribution for every component. `mean`, actions: [batch, n]; `log_std`: [n]."""

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self._mean, self._log_std = mean, log_std
        self._precision = (-log_std).exp()

    def log_prob(self, actions: Tensor) -> Tensor:
        """log N(a; mean, std^2), summed over the components: [batch]."""
        z, log_std = (actions - self._mean) * self._precision, self._log_std
        return -0.5 * z.square().sum(-1) - log_std.sum() - 0.5 * math.log(2 * math.pi) * z.shape[-1]

    def entropy(self) -> Tensor:
        """H = sum (log std + log(2 pi e) / 2), in nats, the same for every mean: []."""
        n = self._log_std.shape[-1]
        return self._log_std.sum() + 0.5 * math.log(2 * math.pi * math.e) * n

    def backward(
        self, actions: Tensor, by_log_prob: Tensor, by_entropy: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """As of a Categorical: by the mean, [batch, n], and by `log_std`, [n].

        Williams (1992), section 6: (a - mean) / std^2, and (a - mean)^2 / std^2 - 1.
        """
        z, weights = (actions - self._mean) * self._precision, by_log_prob.unsqueeze(-1)
        by_log_std = (weights * (z.square() - 1)).sum(0) + by_entropy
        return weights * z * self._precision, by_log_std


def sample_categorical(logits: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """One action a row, from 0. `logits`: [batch, n] -> [batch].

    One uniform number a row, looked up among the cumulated probabilities.
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    heights = weights.cumsum(axis=1)
    u = rng.random(len(logits)) * heights[:, -1]
    # Without the last height, which u may round up to.
    actions: NDArray[np.int64] = (heights[:, :-1] <= u[:, None]).sum(axis=1)
    return actions


def sample_gaussian(
    mean: NDArray[Any], log_std: NDArray[Any], rng: np.random.Generator
) -> NDArray[Any]:
    """mean + std * standard normal, of the type of `mean`.

    `mean`: [batch, n]; `log_std`: [n] -> [batch, n].
    """
    noise = rng.standard_normal(mean.shape) * np.exp(log_std)
    actions: NDArray[Any] = mean + noise.astype(mean.dtype, copy=False)
    return actions
