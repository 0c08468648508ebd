"""Networks learn in torch with the parameters that policies act with; one vector holds them all."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from closeness import close
from gymnasium import spaces

from ars.learning.inference import ActorCriticInference, NetworkInference
from ars.learning.initialization import initialize, initialize_actor_critic
from policies import (
    Policy,
    PolicyFile,
    PolicySpec,
    UnsupportedSpace,
    make_policy,
    read_policy,
    save_policy,
)
from policies.networks import ActorCriticNetwork, DuelingNetwork, PolicyNetwork
from policies.parameters import FlatParameters

VECTORS = spaces.Box(-1, 1, (5,), np.float32)
IMAGES = spaces.Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = {"categorical": spaces.Discrete(3), "gaussian": spaces.Box(-1, 1, (2,), np.float32)}
CPU = torch.device("cpu")

KINDS: dict[str, tuple[spaces.Box, dict[str, Any]]] = {
    "linear": (VECTORS, {}),
    "mlp-tanh": (VECTORS, {"hidden_sizes": (8, 6)}),
    "mlp-relu": (VECTORS, {"hidden_sizes": (8, 6), "activation": "relu"}),
    "mlp-sigmoid": (VECTORS, {"hidden_sizes": (8,), "activation": "sigmoid"}),
    "cnn-small": (
        spaces.Box(0, 255, (20, 24, 3), np.uint8),
        {"conv_layers": ((4, 5, 2), (6, 3, 1)), "hidden_sizes": (10,)},
    ),
    "cnn-grey": (
        spaces.Box(0, 255, (20, 24), np.uint8),
        {"conv_layers": ((4, 5, 3),), "hidden_sizes": ()},
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_distribution = pytest.mark.parametrize("distribution", ACTIONS)


def make(kind: str, distribution: str = "categorical") -> Policy:
    space, options = KINDS[kind]
    action = ACTIONS[distribution]
    return make_policy(kind.partition("-")[0], space, action, distribution=distribution, **options)


def observations(policy: Policy, n: int = 6) -> np.ndarray:
    """As a network takes them."""
    box, rng = policy.spec.observation, np.random.default_rng(4)
    if policy.spec.conv_layers:
        return rng.integers(0, 256, (n, *box.shape), np.uint8)
    return rng.standard_normal((n, box.size)).astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@every_kind
@every_distribution
def test_an_actor_critic_acts_as_its_policy_does(kind: str, distribution: str) -> None:
    policy = make(kind, distribution)
    network = ActorCriticNetwork(policy.spec, log_std=-0.7)
    initialize_actor_critic(network, "orthogonal", rng())
    parameters = FlatParameters(network)
    policy.weights = parameters.numpy()[: policy.spec.n_weights].astype(float)
    x = observations(policy)
    outputs, values = ActorCriticInference(network, CPU)(x)
    learnt, learnt_values = network(torch.from_numpy(x))
    close(outputs, learnt)
    close(values, learnt_values)
    close(ActorCriticInference(network, CPU).values(x), values)
    close(outputs, np.array([policy.forward(policy.flatten(row)) for row in x]))
    if distribution == "gaussian":
        close(policy.weights[-2:], [-0.7, -0.7])


@every_kind
def test_q_networks_choose_as_their_policy_does(kind: str) -> None:
    policy = make(kind)
    x = observations(policy)
    for network in (PolicyNetwork(policy.spec), DuelingNetwork(policy.spec)):
        initialize(network, "he", rng())
        weights = FlatParameters(network).numpy()
        policy.weights = weights[: policy.spec.n_weights].astype(float)
        q = network(torch.from_numpy(x)).detach().numpy()
        chosen = [policy.act_flat(policy.flatten(row)) for row in x]
        assert q.argmax(axis=1).tolist() == chosen
        assert NetworkInference(network, CPU)(x).argmax(axis=1).tolist() == chosen


def test_a_dueling_network_splits_values_from_advantages() -> None:
    network = DuelingNetwork(make("mlp-tanh").spec)
    x = torch.from_numpy(observations(make("mlp-tanh")))
    close(network(x).mean(1), network.value(network.trunk(x))[:, 0])


def test_the_order_of_image_axes_does_not_matter() -> None:
    first = spaces.Box(0, 255, (3, 20, 24), np.uint8)
    last = spaces.Box(0, 255, (20, 24, 3), np.uint8)
    layers = {"conv_layers": ((4, 5, 2),), "hidden_sizes": (10,)}
    ours = make_policy("cnn", first, ACTIONS["categorical"], **layers)
    theirs = make_policy("cnn", last, ACTIONS["categorical"], **layers)
    ours.weights = theirs.weights = rng().standard_normal(ours.spec.n_weights)
    image = rng().integers(0, 256, (3, 20, 24), np.uint8)
    ours_out = ours.forward(ours.flatten(image))
    close(ours_out, theirs.forward(theirs.flatten(np.moveaxis(image, 0, -1))))


def test_nature_s_network_has_nature_s_size() -> None:
    policy = make_policy("cnn", IMAGES, spaces.Discrete(18))
    # Convolutions 8,224 + 32,832 + 36,928; then 3,136 to 512 to 18 units, with biases.
    assert policy.spec.n_weights == 77_984 + 3_136 * 512 + 512 + 512 * 18 + 18
    assert policy.spec.layer_sizes == (3_136, 512, 18)


@every_kind
@every_distribution
def test_policies_with_distributions_and_images_survive_their_file(
    kind: str, distribution: str, tmp_path: Path
) -> None:
    policy = make(kind, distribution)
    policy.weights = rng().standard_normal(policy.spec.n_weights)
    save_policy(tmp_path / "p", PolicyFile(policy, "E-v0"))
    again = read_policy(tmp_path / "p").policy
    assert again.spec == policy.spec
    obs = observations(policy)[0]
    assert np.array_equal(again.act(obs), policy.act(obs))
    drawn = [p.sample(obs, np.random.default_rng(3)) for p in (again, policy)]
    assert np.array_equal(*drawn)


def test_files_of_before_distributions_are_read() -> None:
    spec = make_policy("mlp", VECTORS, ACTIONS["categorical"], hidden_sizes=(3,)).spec
    old = {
        name: value
        for name, value in spec.to_json().items()
        if name not in ("distribution", "conv_layers")
    }
    assert PolicySpec.from_json(old) == spec


def test_the_deterministic_action_of_a_gaussian_policy_is_its_mean() -> None:
    policy = make("mlp-tanh", "gaussian")
    policy.weights = 0.3 * rng().standard_normal(policy.spec.n_weights)
    assert policy.spec.to_json()["deterministic_rule"] == "mean"
    obs = observations(policy)[0]
    close(policy.act(obs), policy.forward(policy.flatten(obs)))


def test_samples_follow_the_distribution() -> None:
    generator = np.random.default_rng(1)
    policy = make("linear")
    policy.weights = np.zeros(15)
    policy.weights = np.repeat(np.log([0.2, 0.3, 0.5]), 5)  # times an observation of 1/5 each
    drawn = [policy.sample(np.full(5, 0.2), generator) for _ in range(4000)]
    assert np.bincount(drawn) / 4000 == pytest.approx([0.2, 0.3, 0.5], abs=0.03)

    policy = make("linear", "gaussian")
    policy.weights = np.array([0.0] * 10 + [math.log(0.1), math.log(0.3)])
    actions = np.array([policy.sample(np.zeros(5), generator) for _ in range(4000)])
    assert actions.std(axis=0) == pytest.approx([0.1, 0.3], rel=0.05)
    assert abs(actions.mean(axis=0)).max() < 0.02
    policy.weights = np.array([0.0] * 10 + [3.0, 3.0])
    assert max(abs(policy.sample(np.zeros(5), generator)).max() for _ in range(20)) == 1.0


def test_a_policy_without_a_distribution_draws_nothing() -> None:
    policy = make_policy("linear", VECTORS, ACTIONS["categorical"])
    with pytest.raises(ValueError, match="no distribution"):
        policy.sample(np.zeros(5), rng())


@pytest.mark.parametrize(
    ("space", "options", "words"),
    [
        (VECTORS, {}, "a cnn policy takes images"),
        (spaces.Box(0, 1, (84, 84), np.float32), {}, "a cnn policy takes images"),
        (spaces.Box(0, 255, (16, 16), np.uint8), {}, "leave nothing of an image"),
        (IMAGES, {"conv_layers": ((8, 0, 1),)}, "leave nothing of an image"),
    ],
)
def test_what_is_no_image_is_refused(
    space: spaces.Box, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnsupportedSpace, match=words) as error:
        make_policy("cnn", space, ACTIONS["categorical"], **options)
    assert "\n" not in str(error.value)


def test_a_distribution_belongs_to_its_kind_of_action() -> None:
    with pytest.raises(ValueError, match="'gaussian' is none of these actions': none, categorical"):
        make_policy("linear", VECTORS, ACTIONS["categorical"], distribution="gaussian")


# One vector


def test_flat_parameters_are_the_network_s() -> None:
    network = ActorCriticNetwork(make("mlp-tanh", "gaussian").spec)
    initialize_actor_critic(network, "xavier", rng())
    parts = [p.detach().numpy().ravel().copy() for p in network.parameters()]
    parameters = FlatParameters(network)
    assert np.array_equal(parameters.numpy(), np.concatenate(parts))
    x = torch.from_numpy(observations(make("mlp-tanh")))
    before = network(x)[1].detach().clone()
    parameters.load(parameters.numpy() * 2)
    assert not torch.equal(network(x)[1], before)
    other = FlatParameters(ActorCriticNetwork(make("mlp-tanh", "gaussian").spec))
    old = other.numpy()
    other.copy_from(parameters, 0.25)
    close(other.numpy(), old + 0.25 * (parameters.numpy() - old))
    other.copy_from(parameters)
    assert np.array_equal(other.numpy(), parameters.numpy())
    with pytest.raises(ValueError, match="weights for a network of"):
        parameters.load(np.zeros(parameters.data.numel() + 1))


def test_gradients_gather_in_one_vector() -> None:
    network = ActorCriticNetwork(make("mlp-tanh").spec)
    initialize_actor_critic(network, "orthogonal", rng())
    twin = copy.deepcopy(network)
    parameters = FlatParameters(network)
    x = torch.from_numpy(observations(make("mlp-tanh")))
    for one in (network, twin):
        outputs, values = one(x)
        (outputs.square().sum() + values.sum()).backward()
    expected = torch.cat([p.grad.ravel() for p in twin.parameters() if p.grad is not None])
    close(parameters.grad, expected)
    norm = parameters.clip_grad(0.5)
    close(norm, expected.norm())
    close(parameters.grad.norm(), 0.5, 1e-4)
    close(parameters.clip_grad(10.0), 0.5, 1e-4)
    close(parameters.grad.norm(), 0.5, 1e-4)
