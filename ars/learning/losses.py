"""The losses of the deep algorithms, in torch: pure functions of batches, to be minimised.

Every argument is [batch] and every result a scalar, the mean over the batch. Targets, advantages,
old values and old log-probabilities are numbers here: whoever calls has detached them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

# Policies


def policy_gradient_loss(log_probs: Tensor, weights: Tensor) -> Tensor:
    """-E[w log pi(a|s)], whose gradient is the policy gradient's, turned downhill.

    `weights`: returns, returns less a baseline, or advantages. Williams (1992), Simple statistical
    gradient-following algorithms, section 5 (episodic REINFORCE).
    """
    return -(weights * log_probs).mean()


def clipped_surrogate_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: float
) -> Tensor:
    """-E[min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A)], rho = pi(a|s) / pi_old(a|s).

    `clip`: epsilon. Schulman et al. (2017), Proximal Policy Optimization Algorithms, arXiv
    1707.06347, equation 7.
    """
    ratios = (log_probs - old_log_probs).exp()
    clipped = ratios.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratios * advantages, clipped * advantages).mean()


def clipped_surrogate_gradient(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: float
) -> Tensor:
    """The gradient of `clipped_surrogate_loss` by log_probs: -rho A / batch, or 0 where clipped.

    [batch]. Clipped is what would gain by moving rho further out of 1 +- epsilon.
    """
    ratios = (log_probs - old_log_probs).exp()
    gains = ratios * advantages
    clipped = ratios.clamp_(1.0 - clip, 1.0 + clip).mul_(advantages)
    return gains.mul_(gains <= clipped).div_(-len(gains))


def approximate_kl(log_probs: Tensor, old_log_probs: Tensor) -> Tensor:
    """E[(rho - 1) - log rho], an estimate of KL(pi_old, pi) from actions of pi_old; never negative.

    Schulman (2020), Approximating KL Divergence, estimator k3.
    """
    log_ratios = log_probs - old_log_probs
    return (log_ratios.exp() - 1.0 - log_ratios).mean()


# Values


def squared_loss(values: Tensor, targets: Tensor) -> Tensor:
    """E[(V - G)^2]. Schulman et al. (2017), section 5 (L^VF)."""
    return (values - targets).square().mean()


def squared_gradient(values: Tensor, targets: Tensor) -> Tensor:
    """The gradient of `squared_loss` by values: 2 (V - G) / batch, [batch]."""
    return (values - targets).mul_(2.0 / len(values))


def clipped_value_loss(values: Tensor, old_values: Tensor, targets: Tensor, clip: float) -> Tensor:
    """E[max((V - G)^2, (V_clipped - G)^2)], V_clipped at most `clip` away from the old value.

    Engstrom et al. (2020), Implementation Matters in Deep Policy Gradients, arXiv 2005.12729,
    section 3, item 1.
    """
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    return torch.maximum((values - targets).square(), (clipped - targets).square()).mean()


def clipped_value_gradient(
    values: Tensor, old_values: Tensor, targets: Tensor, clip: float
) -> Tensor:
    """The gradient of `clipped_value_loss` by values, [batch]: 0 where only V_clipped counts."""
    changes = values - old_values
    missed, missed_clipped = values - targets, old_values + changes.clamp(-clip, clip) - targets
    counts = (changes.abs() <= clip) | (missed.square() >= missed_clipped.square())
    return missed.mul_(counts).mul_(2.0 / len(values))


# Q-learning


def td_targets(
    rewards: Tensor, discounts: Tensor, next_q: Tensor, next_online_q: Tensor | None = None
) -> Tensor:
    """r + d max_a Q'(s', a), or r + d Q'(s', argmax_a Q(s', a)) where the online Q is given.

    `rewards`, `discounts`: [batch], d being gamma (gamma^n after n steps) and 0 where the state is
    terminal; `next_q`, `next_online_q`: [batch, n_actions] of the target and the online network.
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
) -> Tensor:
    """E[w l(Q(s, a) - target)], l being Huber's function, or e^2 / 2 where `huber_delta` is None.

    Both have the slope e near 0, so a learning rate means the same. `weights`: importance sampling
    weights of prioritised replay (Schaul et al., 2016, arXiv 1511.05952, section 3.4).
    """
    if huber_delta is None:
        losses = 0.5 * (q - targets).square()
    else:
        losses = huber_loss(q, targets, reduction="none", delta=huber_delta)
    return (losses if weights is None else weights * losses).mean()


def td_gradient(
    q: Tensor, targets: Tensor, weights: Tensor | None = None, huber_delta: float | None = 1.0
) -> Tensor:
    """The gradient of `td_loss` by q: w (q - target) / batch, the error within +-`huber_delta`.

    Mnih et al. (2015), Methods: "clip the error term from the update to be between -1 and 1".
    """
    slopes = q - targets
    if huber_delta is not None:
        slopes.clamp_(-huber_delta, huber_delta)
    if weights is not None:
        slopes *= weights
    return slopes.div_(len(q))
