"""Learning on another device than the CPU, without one: torch's `meta` device computes no numbers,
but refuses whatever mixes devices, and numbers leave it only where the code asks for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from learners import make
from torch import Tensor

import policies.networks
from ars.algorithms.actor_critic import A2C, ActorCritic
from ars.algorithms.base import Algorithm
from ars.algorithms.dqn import DQN
from ars.algorithms.ppo import PPO
from ars.algorithms.reinforce import REINFORCE
from ars.rollout.pool import LocalPool

META = torch.device("meta")
SMALL: dict[type[Algorithm], dict[str, Any]] = {
    DQN: {"n_steps": 30, "learning_starts": 8, "batch_size": 8, "target_update": 20},
    PPO: {"n_steps": 24, "batch_size": 8, "n_epochs": 2},
    REINFORCE: {"n_steps": 60, "n_episodes": 1},
    ActorCritic: {"iteration_steps": 30},
    A2C: {"iteration_steps": 30},
}
CNN = {"conv_layers": (2, 8, 4)}


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every algorithm made here learns on the meta device; what is copied from it is noise."""
    rng = np.random.default_rng(0)

    def noise(tensor: Tensor) -> Tensor:
        return torch.from_numpy(rng.random(tuple(tensor.shape))).to(tensor.dtype)

    def patch(name: str, asked: Any) -> None:
        original = getattr(Tensor, name)

        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            here = self.device == META and (name != "to" or args[:1] == ("cpu",))
            return asked(self) if here else original(self, *args, **kwargs)

        monkeypatch.setattr(Tensor, name, method)

    patch("cpu", noise)
    patch("to", noise)
    patch("tolist", lambda tensor: noise(tensor).numpy().tolist())
    patch("__float__", lambda tensor: float(noise(tensor)))
    monkeypatch.setattr(policies.networks, "resolve_device", lambda name: META)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize(
    ("kind", "env_id", "settings"),
    [
        (DQN, "CartPole-v1", {}),
        (DQN, "CartPole-v1", {"target_tau": 0.1, "loss": "squared", "optimizer": "rmsprop"}),
        (DQN, "Squash", {**CNN, "return_steps": 3}),
        (DQN, "Squash", {**CNN, "prioritized": True, "dueling": True}),
        (PPO, "CartPole-v1", {}),
        (PPO, "Pendulum-v1", {"value_clip": 0.2, "target_kl": 100.0, "normalize_rewards": True}),
        (PPO, "Squash", CNN),
        (REINFORCE, "CartPole-v1", {}),
        (REINFORCE, "Squash", {**CNN, "baseline": True}),
        (REINFORCE, "Pendulum-v1", {"normalize_observations": True, "n_steps": 200}),
        (ActorCritic, "CartPole-v1", {"critic": "q"}),
        (ActorCritic, "CartPole-v1", {"update": "episode"}),
        (A2C, "Pendulum-v1", {}),
        (A2C, "Squash", CNN),
    ],
)
def test_nothing_mixes_devices(
    kind: type[Algorithm], env_id: str, settings: dict[str, Any]
) -> None:
    first, second = (make(kind, env_id, **{**SMALL[kind], **settings}) for _ in range(2))
    assert first.parameters.data.device == META
    pool = LocalPool(first.rollout_spec)
    first.iterate(pool)
    assert first.optimizer.steps > 0, "nothing was learned from"
    second.restore(first.state())
    second.iterate(pool)
    pool.close()
    assert second.iteration == 2
    assert second.snapshot().weights.shape == first.policy.weights.shape
    first.close()
    second.close()
