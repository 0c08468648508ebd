"""The losses of the deep algorithms, in torch: each a mean over a batch, to be minimised.

    loss = clipped_surrogate_loss(...) - 0.01 * entropy_bonus + 0.5 * squared_loss(...)
    loss.gradients["values"]        the gradient with respect to the values, [batch]
    float(loss.value())             the loss itself, computed only on request

Every argument is [batch] unless stated otherwise. Targets, advantages, old values and old
log-probabilities are constants here: gradients are with respect to the first argument alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import huber_loss


class Loss:
    """A scalar to be minimised, with its gradient with respect to each quantity it depends on.

    Losses of different inputs are added and weighted as in the papers. Gradients are formulas, not
    autograd's, and most updates never need the value: for PPO's update of 256 steps, an
    autograd.Function for each loss takes 3.5 times as long, and computing values that nothing uses
    1.8 times (`scripts/bench_learning.py`).

    Attributes:
        value: computes the scalar, []; call it before the parameters change.
        gradients: with respect to each input, by its name.
    """

    __slots__ = ("gradients", "value")

    def __init__(self, value: Callable[[], Tensor], **gradients: Any) -> None:
        self.value, self.gradients = value, gradients

    def __add__(self, other: Loss) -> Loss:
        # Gradients with respect to the same input would have to be summed: this raises a TypeError.
        return Loss(lambda: self.value() + other.value(), **self.gradients, **other.gradients)

    def __sub__(self, other: Loss) -> Loss:
        return self + -1.0 * other

    def __rmul__(self, factor: float) -> Loss:
        scaled = {name: factor * gradient for name, gradient in self.gradients.items()}
        return Loss(lambda: factor * self.value(), **scaled)


# Policies


def policy_gradient_loss(log_probs: Tensor, weights: Tensor) -> Loss:
    """-E[w log pi(a|s)], whose gradient is the negative policy gradient.

    `weights`: returns, returns less a baseline, or advantages. Williams (1992), Simple statistical
    gradient-following algorithms, section 5 (episodic REINFORCE).
    """
    return Loss(
        lambda: -(weights * log_probs).mean(),
        log_probs=weights / -len(weights),
    )


def clipped_surrogate_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: float
) -> Loss:
    """-E[min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A)], rho = pi(a|s) / pi_old(a|s).

    Its gradient with respect to log pi is -rho A / batch, or 0 where only the clipped term counts.
    `clip`: epsilon. Schulman et al. (2017), Proximal Policy Optimization Algorithms,
    arXiv 1707.06347, equation 7.
    """
    ratios = (log_probs - old_log_probs).exp()
    gains = ratios * advantages
    clipped = ratios.clamp(1.0 - clip, 1.0 + clip) * advantages
    return Loss(
        lambda: -torch.minimum(gains, clipped).mean(),
        log_probs=(gains * (gains <= clipped)).div_(-len(gains)),
    )


def entropy_bonus(entropy: Callable[[], Tensor]) -> Loss:
    """H, the mean entropy, to be subtracted from losses; `entropy` computes it on request.

    Williams and Peng (1991), Function optimization using connectionist reinforcement
    learning algorithms.
    """
    return Loss(entropy, entropy=1.0)


def approximate_kl(log_probs: Tensor, old_log_probs: Tensor) -> Tensor:
    """E[(rho - 1) - log rho], an estimate of KL(pi_old, pi) from actions of pi_old; never negative.

    Schulman (2020), Approximating KL Divergence, estimator k3.
    """
    log_ratios = log_probs - old_log_probs
    return (log_ratios.exp() - 1.0 - log_ratios).mean()


# Values


def squared_loss(values: Tensor, targets: Tensor) -> Loss:
    """E[(V - G)^2], whose gradient is 2 (V - G) / batch. Schulman et al. (2017), section 5."""
    errors = values - targets
    return Loss(lambda: errors.square().mean(), values=errors * (2.0 / len(errors)))


def clipped_value_loss(values: Tensor, old_values: Tensor, targets: Tensor, clip: float) -> Loss:
    """E[max((V - G)^2, (V_clipped - G)^2)], V_clipped at most `clip` away from the old value.

    No gradient where only V_clipped counts. Engstrom et al. (2020), Implementation Matters in Deep
    Policy Gradients, arXiv 2005.12729, section 3, item 1.
    """
    changes = values - old_values
    errors, clipped = values - targets, old_values + changes.clamp(-clip, clip) - targets
    squares, clipped_squares = errors.square(), clipped.square()
    counts = (changes.abs() <= clip) | (squares >= clipped_squares)
    return Loss(
        lambda: torch.maximum(squares, clipped_squares).mean(),
        values=(errors * counts).mul_(2.0 / len(errors)),
    )


# Q-learning


def td_targets(
    rewards: Tensor, discounts: Tensor, next_q: Tensor, next_online_q: Tensor | None = None
) -> Tensor:
    """r + d max_a Q'(s', a), or r + d Q'(s', argmax_a Q(s', a)) where the online Q is given.

    `discounts`: d, [batch]: gamma (gamma^n after n steps), or 0 where the next state is terminal;
    `next_q`, `next_online_q`: [batch, n_actions], of the target and the online network.
    Mnih et al. (2015), Human-level control, Algorithm 1; van Hasselt et al. (2016), Deep
    Reinforcement Learning with Double Q-learning, arXiv 1509.06461 (Double DQN).
    """
    if next_online_q is None:
        best = next_q.max(dim=1).values
    else:
        best = next_q.gather(1, next_online_q.argmax(dim=1, keepdim=True)).squeeze(1)
    return rewards + discounts * best


def td_loss(
    q: Tensor, targets: Tensor, weights: Tensor | None = None, huber_delta: float | None = 1.0
) -> Loss:
    """E[w l(Q(s, a) - target)], where l is Huber's function, or e^2 / 2 if `huber_delta` is None.

    Its gradient is w e / batch, with e clipped to +-`huber_delta` for Huber's function: Mnih et al.
    (2015), Methods, "clip the error term from the update to be between -1 and 1". `weights`: the
    importance sampling weights w of prioritised replay (Schaul et al., 2016, arXiv 1511.05952,
    section 3.4); None: 1.
    """

    def value() -> Tensor:
        if huber_delta is None:
            losses = 0.5 * (q - targets).square()
        else:
            losses = huber_loss(q, targets, reduction="none", delta=huber_delta)
        return (losses if weights is None else weights * losses).mean()

    gradient = q - targets
    if huber_delta is not None:
        gradient.clamp_(-huber_delta, huber_delta)
    if weights is not None:
        gradient *= weights
    return Loss(value, q=gradient.div_(len(q)))
