"""Losses against numbers worked out by hand, and their gradients against autograd's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from closeness import close
from torch import Tensor, tensor

from ars.learning.losses import (
    Loss,
    approximate_kl,
    clipped_surrogate_loss,
    clipped_value_loss,
    policy_gradient_loss,
    squared_loss,
    td_loss,
    td_targets,
)


def near(value: Tensor, expected: float) -> bool:
    return value.shape == () and float(value) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_policy_gradient_loss_weighs_log_probabilities() -> None:
    # -(2 * -0.5 + -1 * -0.25) / 2
    loss = policy_gradient_loss(tensor([-0.5, -0.25]), tensor([2.0, -1.0]))
    assert near(loss.value(), 0.375)
    # Downhill is towards the action with the positive weight, away from the other.
    assert loss.gradients["log_probs"].tolist() == [-1.0, 0.5]


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
    assert near(loss.value(), -sum(expected) / 3)


def test_clipped_surrogate_pulls_no_further_than_the_clip() -> None:
    # Advantage +1: no gradient above 1.2. Advantage -1: none below 0.8.
    log_probs = tensor([1.5, 0.5, 0.5, 1.5]).log()
    advantages = tensor([1.0, -1.0, 1.0, -1.0])
    loss = clipped_surrogate_loss(log_probs, torch.zeros(4), advantages, 0.2)
    # d(rho A)/d(log rho) = rho A, over the batch of 4
    close(loss.gradients["log_probs"], [0.0, 0.0, -0.125, 0.375])


def test_approximate_kl_is_zero_for_the_same_policy_and_positive_otherwise() -> None:
    same = tensor([-1.0, -2.0])
    close(approximate_kl(same, same), 0.0)
    # (2 - 1 - log 2 + 1/2 - 1 - log 1/2) / 2
    close(approximate_kl(tensor([2.0, 0.5]).log(), torch.zeros(2)), 0.25)


def test_squared_loss() -> None:
    assert near(squared_loss(tensor([1.0, 5.0]), tensor([2.0, 2.0])).value(), (1 + 9) / 2)


def test_clipped_value_loss_is_the_larger_of_the_two() -> None:
    # Value 2 from 0, clipped to 0.2. Target 3: (3 - 0.2)^2. Target 0: 2^2.
    loss = clipped_value_loss(tensor([2.0, 2.0]), torch.zeros(2), tensor([3.0, 0.0]), 0.2)
    assert near(loss.value(), (2.8**2 + 4) / 2)


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
    assert near(td_loss(q, targets).value(), (0.125 + 2.5) / 2)
    assert near(td_loss(q, targets, huber_delta=None).value(), (0.125 + 4.5) / 2)
    assert near(td_loss(q, targets, weights=tensor([1.0, 0.5])).value(), (0.125 + 1.25) / 2)


@pytest.mark.parametrize("huber_delta", [1.0, None])
def test_both_td_losses_have_the_errors_slope_near_zero(huber_delta: float | None) -> None:
    loss = td_loss(tensor([0.5, -0.25]), torch.zeros(2), huber_delta=huber_delta)
    assert loss.gradients["q"].tolist() == [0.25, -0.125]


def test_hubers_slope_is_the_error_clipped() -> None:
    q, targets = tensor([0.0, 3.0, -0.25, 1.0]), tensor([0.5, 1.0, -2.0, 1.0])
    assert td_loss(q, targets).gradients["q"].tolist() == [-0.125, 0.25, 0.25, 0.0]


def draw(seed: int, n: int = 200) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


OLD, TARGETS, WEIGHTS = draw(1), draw(2), draw(3)
LOSSES: dict[str, Callable[[Tensor], Loss]] = {
    "policy gradient": lambda x: policy_gradient_loss(x, WEIGHTS),
    "clipped surrogate": lambda x: clipped_surrogate_loss(x, OLD, WEIGHTS, 0.2),
    "squared": lambda x: squared_loss(x, TARGETS),
    "clipped value": lambda x: clipped_value_loss(x, OLD, TARGETS, 0.2),
    "Huber": lambda x: td_loss(x, TARGETS, None, 1.0),
    "Huber, weighted": lambda x: td_loss(x, TARGETS, WEIGHTS, 0.5),
    "squared error": lambda x: td_loss(x, TARGETS, None, None),
    "squared error, weighted": lambda x: td_loss(x, TARGETS, WEIGHTS, None),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_gradient_is_that_of_its_value(loss: Callable[[Tensor], Loss]) -> None:
    """At points that lie on every side of every bound."""
    x = (OLD + 0.3 * draw(4)).requires_grad_()
    (expected,) = torch.autograd.grad(loss(x).value(), x)
    (gradient,) = loss(x.detach()).gradients.values()
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-8)
    assert int((expected != 0).sum()) > 0


def test_losses_are_weighted_and_added_with_their_gradients() -> None:
    entropy = Loss(lambda: tensor(3.0), entropy=1.0)
    values = squared_loss(tensor([1.0, 5.0]), tensor([2.0, 2.0]))  # value 5, gradient -1 and 3
    loss = policy_gradient_loss(tensor([-1.0]), tensor([2.0])) - 0.1 * entropy + 0.5 * values
    assert near(loss.value(), 2.0 - 0.3 + 2.5)
    assert loss.gradients["log_probs"].tolist() == [-2.0]
    assert loss.gradients["values"].tolist() == [-0.5, 1.5]
    assert loss.gradients["entropy"] == -0.1


def test_two_losses_of_the_same_input_are_not_added() -> None:
    values = squared_loss(tensor([1.0]), tensor([2.0]))
    with pytest.raises(TypeError, match="values"):
        values + values
