"""The two distributions of actions: log-probabilities and entropies in torch, samples in NumPy.

Categorical: one of n actions, with probabilities softmax(logits). Gaussian: every component on its
own (a diagonal covariance), with a deviation that does not depend on the observation and is kept as
its logarithm. The torch functions use methods of the tensors they are given, so that whoever only
samples does not load torch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def categorical_log_prob(logits: Tensor, actions: Tensor) -> Tensor:
    """log pi(a) = logit_a - log sum exp logits.

    `logits`: [batch, n]; `actions`: int64 [batch], from 0 -> [batch].
    """
    return logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def categorical_entropy(logits: Tensor) -> Tensor:
    """H = -sum p log p, in nats. `logits`: [batch, n] -> [batch]."""
    log_probs = logits.log_softmax(-1)
    return -(log_probs.exp() * log_probs).sum(-1)


def categorical_gradient(
    logits: Tensor, actions: Tensor, by_log_prob: Tensor, by_entropy: float = 0.0
) -> Tensor:
    """The gradient of sum w_i log pi(a_i) + c mean H_i by the logits: [batch, n].

    `by_log_prob`: w, [batch]; `by_entropy`: c. With p = softmax(logits), that of log pi(a) is the
    indicator of a less p (Sutton and Barto, 2018, exercise 13.3), that of H is -p (log p + H).
    """
    log_probs = logits.log_softmax(-1)
    probs = log_probs.exp()
    weights = by_log_prob.unsqueeze(-1)
    gradient = (probs * -weights).scatter_add_(-1, actions.unsqueeze(-1), weights)
    if by_entropy:
        entropies = -(probs * log_probs).sum(-1, keepdim=True)
        gradient -= by_entropy / len(logits) * probs * (log_probs + entropies)
    return gradient


def gaussian_log_prob(mean: Tensor, log_std: Tensor, actions: Tensor) -> Tensor:
    """log N(a; mean, std^2), summed over the components.

    `mean`, `actions`: [batch, n]; `log_std`: [n] -> [batch].
    """
    z = (actions - mean) * (-log_std).exp()
    return -0.5 * z.square().sum(-1) - log_std.sum() - 0.5 * math.log(2 * math.pi) * mean.shape[-1]


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """H = sum (log std + log(2 pi e) / 2), in nats. `log_std`: [n] -> []."""
    return log_std.sum() + 0.5 * math.log(2 * math.pi * math.e) * log_std.shape[-1]


def gaussian_gradient(
    mean: Tensor, log_std: Tensor, actions: Tensor, by_log_prob: Tensor, by_entropy: float = 0.0
) -> tuple[Tensor, Tensor]:
    """As `categorical_gradient`: by the mean, [batch, n], and by `log_std`, [n].

    Williams (1992), section 6: (a - mean) / std^2, and (a - mean)^2 / std^2 - 1.
    """
    precision = (-log_std).exp()
    z, weights = (actions - mean) * precision, by_log_prob.unsqueeze(-1)
    return weights * z * precision, (weights * (z.square() - 1)).sum(0) + by_entropy


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
