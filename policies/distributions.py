"""The two action distributions: log-probabilities and entropies in torch, samples in NumPy.

Categorical: one of n actions, with probabilities softmax(logits). Gaussian: independent components
(a diagonal covariance) whose standard deviations do not depend on the observation and are stored
as logarithms. The torch classes only call methods of the tensors they are given, so this module
does not import torch. `backward` is written by hand: see `ars.learning.losses.Loss`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Categorical:
    """One of n actions per row. `logits`: [batch, n]; actions are int64 [batch], from 0."""

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
        """Return the gradient of sum w_i log pi(a_i) + c mean H with respect to the logits.

        The gradient of log pi(a) is the indicator of a minus p (Sutton and Barto, 2018, exercise
        13.3); that of H is -p (log p + H).

        Args:
            actions: int64 [batch].
            by_log_prob: w, [batch].
            by_entropy: c.

        Returns:
            The gradient, [batch, n], and None, since there are no other parameters.
        """
        log_probs, probs = self._log_probs, self._log_probs.exp()
        weights = by_log_prob.unsqueeze(-1)
        gradient = (probs * -weights).scatter_add_(-1, actions.unsqueeze(-1), weights)
        if by_entropy:
            entropies = -(probs * log_probs).sum(-1, keepdim=True)
            gradient -= by_entropy / len(log_probs) * probs * (log_probs + entropies)
        return gradient, None


class Gaussian:
    """Independent normal distributions. `mean` and actions: [batch, n]; `log_std`: [n]."""

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
        """Return the gradients with respect to the mean, [batch, n], and `log_std`, [n].

        The arguments are those of `Categorical.backward`. Williams (1992), section 6:
        (a - mean) / std^2, and (a - mean)^2 / std^2 - 1.
        """
        z, weights = (actions - self._mean) * self._precision, by_log_prob.unsqueeze(-1)
        by_log_std = (weights * (z.square() - 1)).sum(0) + by_entropy
        return weights * z * self._precision, by_log_std


def sample_categorical(logits: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one action per row, from 0. `logits`: [batch, n] -> [batch].

    Uses one uniform number per row, looked up in the cumulative probabilities.
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    heights = weights.cumsum(axis=1)
    u = rng.random(len(logits)) * heights[:, -1]
    # The last height is left out, because u may round up to it.
    actions: NDArray[np.int64] = (heights[:, :-1] <= u[:, None]).sum(axis=1)
    return actions


def sample_gaussian(
    mean: NDArray[Any], log_std: NDArray[Any], rng: np.random.Generator
) -> NDArray[Any]:
    """Draw mean + std * standard normal, with the dtype of `mean`.

    `mean`: [batch, n]; `log_std`: [n] -> [batch, n].
    """
    noise = rng.standard_normal(mean.shape) * np.exp(log_std)
    actions: NDArray[Any] = mean + noise.astype(mean.dtype, copy=False)
    return actions
