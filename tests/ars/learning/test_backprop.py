"""Forward and backward passes by hand are autograd's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ars.learning.backprop import (
    ActorCriticMLPBackprop,
    AutogradBackprop,
    MLPBackprop,
    make_backprop,
)
from ars.learning.initialization import initialize_actor_critic
from policies import ACTIVATIONS, PolicySpec, make_policy
from policies.networks import ActorCriticNetwork, DuelingNetwork, PolicyNetwork
from policies.parameters import FlatParameters

VECTORS = spaces.Box(-1, 1, (4,), np.float32)
IMAGES = spaces.Box(0, 255, (20, 24, 3), np.uint8)
ACTIONS = {"categorical": spaces.Discrete(3), "gaussian": spaces.Box(-1, 1, (3,), np.float32)}
CPU = torch.device("cpu")

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def mlp(distribution: str = "categorical", **options: Any) -> PolicySpec:
    given = {"hidden_sizes": (8, 6), **options}
    return make_policy(
        "mlp", VECTORS, ACTIONS[distribution], distribution=distribution, **given
    ).spec


def cnn(distribution: str) -> PolicySpec:
    layers = {"conv_layers": ((4, 5, 2), (6, 3, 1)), "hidden_sizes": (10,)}
    action = ACTIONS[distribution]
    return make_policy("cnn", IMAGES, action, distribution=distribution, **layers).spec


@every_activation
@pytest.mark.parametrize("hidden_sizes", [(16,), (64, 32), (8, 8, 8)])
def test_an_mlp_is_gone_through_as_autograd_does(
    activation: str, hidden_sizes: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network = PolicyNetwork(mlp(hidden_sizes=hidden_sizes, activation=activation))
    parameters = FlatParameters(network)
    ours, theirs = make_backprop(network, parameters, CPU), AutogradBackprop(network, parameters)
    assert isinstance(ours, MLPBackprop)
    for _ in range(2):  # nothing of the first is left in the second
        obs, gradient = torch.randn(32, 4), torch.randn(32, 3)
        assert torch.equal(theirs.forward(obs)[0], ours.forward(obs)[0])
        theirs.backward(gradient)
        expected = parameters.grad.clone()
        parameters.grad.fill_(7.0)  # what was there before does not matter
        ours.backward(gradient)
        torch.testing.assert_close(parameters.grad, expected, rtol=1e-6, atol=1e-6)


def compare_actor_critic(spec: PolicySpec, n_values: int, kind: type[Any]) -> None:
    """Its gradients of a loss of everything that it gives, with those of a twin by autograd."""
    network = ActorCriticNetwork(spec, n_values=n_values)
    initialize_actor_critic(network, "orthogonal", np.random.default_rng(0))
    twin = copy.deepcopy(network)
    parameters = FlatParameters(network)
    rng, shape = np.random.default_rng(4), spec.observation.shape
    x = torch.from_numpy(
        rng.integers(0, 256, (6, *shape), np.uint8)
        if spec.conv_layers
        else rng.standard_normal((6, *shape)).astype(np.float32)
    )
    backprop = make_backprop(network, parameters, CPU)
    assert isinstance(backprop, kind)
    outputs, values = twin(x)
    (outputs.square().sum() + values.sin().sum()).backward()
    expected = torch.cat(
        [torch.zeros(p.numel()) if p.grad is None else p.grad.ravel() for p in twin.parameters()]
    )
    for _ in range(2):  # nothing of the first is left in the second
        ours = backprop.forward(x)
        torch.testing.assert_close(ours, (outputs.detach(), values.detach()))
        backprop.backward(2 * ours[0], ours[1].cos())
        torch.testing.assert_close(parameters.grad, expected, rtol=1e-5, atol=1e-6)


@every_activation
@pytest.mark.parametrize("n_values", [1, 3])
def test_an_actor_critic_of_vectors_is_gone_through_as_autograd_does(
    activation: str, n_values: int
) -> None:
    compare_actor_critic(mlp(activation=activation), n_values, ActorCriticMLPBackprop)


@pytest.mark.parametrize("n_values", [1, 3])
@pytest.mark.parametrize("distribution", ACTIONS)
def test_an_actor_critic_of_images_is_left_to_autograd(distribution: str, n_values: int) -> None:
    compare_actor_critic(cnn(distribution), n_values, AutogradBackprop)


def test_deviations_have_no_part_in_it() -> None:
    compare_actor_critic(mlp("gaussian"), 1, ActorCriticMLPBackprop)


def test_only_plain_networks_on_the_cpu_are_gone_through_by_hand() -> None:
    dueling, plain = DuelingNetwork(mlp()), PolicyNetwork(mlp())
    for network, device in ((dueling, CPU), (plain, torch.device("cuda"))):
        backprop = make_backprop(network, FlatParameters(network), device)
        assert isinstance(backprop, AutogradBackprop)
