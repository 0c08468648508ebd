"""Losses against numbers worked out by hand, and their gradients where these are the point."""

from __future__ import annotations

import pytest
import torch
from closeness import close
from torch import Tensor, tensor

from ars.learning.losses import (
    approximate_kl,
    clipped_surrogate_gradient,
    clipped_surrogate_loss,
    clipped_value_gradient,
    clipped_value_loss,
    policy_gradient_loss,
    squared_gradient,
    squared_loss,
    td_gradient,
    td_loss,
    td_targets,
)


def test_policy_gradient_loss_weighs_log_probabilities() -> None:
    # -(2 * -0.5 + -1 * -0.25) / 2
    log_probs = tensor([-0.5, -0.25], requires_grad=True)
    loss = policy_gradient_loss(log_probs, tensor([2.0, -1.0]))
    close(loss, 0.375)
    # Downhill is towards the action with the positive weight, away from the other.
    loss.backward()
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [-1.0, 0.5]


RATIOS = tensor([0.5, 1.0, 1.5])


@pytest.mark.parametrize(
    ("advantage", "expected"),
    [
        (2.0, [1.0, 2.0, 2.4]),  # the gain is cut at 1.2, the loss at 0.5 is not
        (-2.0, [-1.6, -2.0, -3.0]),  # the gain is cut at 0.8, the loss at 1.5 is not
    ],
)
def test_clipped_surrogate_is_the_smaller_of_the_two(
    advantage: float, expected: list[float]
) -> None:
    old = torch.full((3,), -1.0)
    loss = clipped_surrogate_loss(old + RATIOS.log(), old, torch.full((3,), advantage), 0.2)
    close(loss, -sum(expected) / 3)


def test_clipped_surrogate_pulls_no_further_than_the_clip() -> None:
    # Advantage +1: no gradient above 1.2. Advantage -1: none below 0.8.
    log_probs = tensor([1.5, 0.5, 0.5, 1.5]).log().requires_grad_()
    advantages = tensor([1.0, -1.0, 1.0, -1.0])
    clipped_surrogate_loss(log_probs, torch.zeros(4), advantages, 0.2).backward()
    assert log_probs.grad is not None
    # d(rho A)/d(log rho) = rho A, over the batch of 4
    close(log_probs.grad, [0.0, 0.0, -0.125, 0.375])


def test_approximate_kl_is_zero_for_the_same_policy_and_positive_otherwise() -> None:
    same = tensor([-1.0, -2.0])
    close(approximate_kl(same, same), 0.0)
    # (2 - 1 - log 2 + 1/2 - 1 - log 1/2) / 2
    close(approximate_kl(tensor([2.0, 0.5]).log(), torch.zeros(2)), 0.25)


def test_squared_loss() -> None:
    close(squared_loss(tensor([1.0, 5.0]), tensor([2.0, 2.0])), (1 + 9) / 2)


def test_clipped_value_loss_is_the_larger_of_the_two() -> None:
    # Value 2 from 0, clipped to 0.2. Target 3: (3 - 0.2)^2. Target 0: 2^2.
    loss = clipped_value_loss(tensor([2.0, 2.0]), torch.zeros(2), tensor([3.0, 0.0]), 0.2)
    close(loss, (2.8**2 + 4) / 2)


REWARD = tensor([1.0, 1.0])
DISCOUNT = tensor([0.5, 0.0])  # the second state is terminal
NEXT_Q = tensor([[2.0, 4.0], [2.0, 4.0]])


def test_td_targets_take_the_best_action_and_no_value_of_a_terminal_state() -> None:
    assert td_targets(REWARD, DISCOUNT, NEXT_Q).tolist() == [3.0, 1.0]


def test_double_targets_ask_the_online_network_which_action_and_the_target_network_its_value() -> (
    None
):
    online = tensor([[9.0, 1.0], [0.0, 1.0]])
    assert td_targets(REWARD, DISCOUNT, NEXT_Q, online).tolist() == [2.0, 1.0]


def test_td_loss_weighs_each_transition() -> None:
    q, targets = tensor([0.5, 3.0]), torch.zeros(2)
    close(td_loss(q, targets), (0.125 + 2.5) / 2)
    close(td_loss(q, targets, huber_delta=None), (0.125 + 4.5) / 2)
    close(td_loss(q, targets, weights=tensor([1.0, 0.5])), (0.125 + 1.25) / 2)


def test_both_td_losses_have_the_errors_slope_near_zero() -> None:
    for delta in (1.0, None):
        q = tensor([0.5], requires_grad=True)
        td_loss(q, torch.zeros(1), huber_delta=delta).backward()
        close(q.grad, [0.5])


def draw(seed: int, n: int = 200) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


def test_gradients_are_those_of_their_losses() -> None:
    """At points that lie on every side of every bound."""
    old, targets, weights = draw(1), draw(2), draw(3)
    for loss, gradient in (
        (
            lambda x: clipped_surrogate_loss(x, old, weights, 0.2),
            lambda x: clipped_surrogate_gradient(x, old, weights, 0.2),
        ),
        (lambda x: squared_loss(x, targets), lambda x: squared_gradient(x, targets)),
        (
            lambda x: clipped_value_loss(x, old, targets, 0.2),
            lambda x: clipped_value_gradient(x, old, targets, 0.2),
        ),
        (
            lambda x: td_loss(x, targets, weights, 0.5),
            lambda x: td_gradient(x, targets, weights, 0.5),
        ),
        (
            lambda x: td_loss(x, targets, None, None),
            lambda x: td_gradient(x, targets, None, None),
        ),
    ):
        x = (old + 0.3 * draw(4)).requires_grad_()
        (expected,) = torch.autograd.grad(loss(x), x)
        assert expected.any()
        close(gradient(x.detach()), expected)
