"""First weights have the spread of their scheme."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from ars.learning.inference import ActorCriticInference
from ars.learning.initialization import initialize, initialize_actor_critic
from policies import make_policy
from policies.networks import ActorCriticNetwork


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def weights(scheme: str, n_in: int, n_out: int, gain: float | None = None) -> np.ndarray:
    layer = nn.Linear(n_in, n_out)
    initialize(layer, scheme, rng(), gain)
    if scheme != "uniform":
        assert not layer.bias.any()
    return layer.weight.detach().numpy()


@pytest.mark.parametrize(("n_in", "n_out"), [(30, 8), (8, 30), (8, 8)])
def test_orthogonal_weights_are_orthogonal(n_in: int, n_out: int) -> None:
    w = weights("orthogonal", n_in, n_out, gain=3.0)
    products = w @ w.T if n_out <= n_in else w.T @ w
    np.testing.assert_allclose(products, 9.0 * np.eye(len(products)), atol=1e-5)


def test_other_schemes_have_their_spread() -> None:
    w = weights("xavier", 300, 200, gain=1.0)
    assert abs(w).max() == pytest.approx(math.sqrt(6 / 500), rel=0.01)
    assert weights("he", 300, 200).std() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    assert abs(weights("uniform", 300, 200)).max() == pytest.approx(1 / math.sqrt(300), rel=0.01)


def test_a_first_policy_hardly_looks_at_its_observation() -> None:
    box, actions = spaces.Box(-1, 1, (5,), np.float32), spaces.Discrete(3)
    spec = make_policy("mlp", box, actions, hidden_sizes=(8, 6), distribution="categorical").spec
    network = ActorCriticNetwork(spec)
    initialize_actor_critic(network, "orthogonal", rng())
    obs = rng().standard_normal((6, 5)).astype(np.float32)
    outputs, values = ActorCriticInference(network, torch.device("cpu"))(obs)
    assert abs(outputs).max() < 0.1 < abs(values).max()
