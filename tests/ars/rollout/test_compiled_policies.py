"""Compiled code plays the kinds of policy and activations that it knows; others act themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import envs
from ars.common.seeding import Stream
from ars.rollout.episode import Episode, Rollouts
from ars.rollout.task import RolloutSpec, Snapshot, Task
from policies import (
    ACTIVATIONS,
    POLICIES,
    LinearPolicy,
    MLPPolicy,
    Policy,
    PolicyKind,
    make_policy,
)
from policies.base import Array


class HalvedLinear(LinearPolicy):
    """Inherits from a policy that compiled code plays, and acts in another way."""

    def forward(self, x: Array) -> Array:
        return 0.5 * super().forward(x)


class HalvedMLP(MLPPolicy):
    """The same for a policy with hidden layers."""

    def forward(self, x: Array) -> Array:
        return 0.5 * super().forward(x)


class Constant(Policy):
    """A kind of its own, with the weights of a linear policy."""

    def _load(self, flat: Array) -> None:
        self._actions = flat[: self.spec.action.size]

    def forward(self, x: Array) -> Array:
        return self._actions


KINDS = {
    "halved": PolicyKind(f"{__name__}:HalvedLinear", "half a linear policy"),
    "deep": PolicyKind(f"{__name__}:HalvedMLP", "half an mlp", defaults={"hidden_sizes": (4,)}),
    "constant": PolicyKind(f"{__name__}:Constant", "its first weights"),
}


def rollouts_of(kind: str, compiled: bool = True, activation: str = "tanh") -> Rollouts:
    env = envs.make("Hopper")
    options: dict[str, Any] = {"bias": False, "activation": activation}
    if kind in ("mlp", "deep"):
        options["hidden_sizes"] = (4,)
    policy = make_policy(kind, env.observation_space, env.action_space, **options).spec
    env.close()
    spec = RolloutSpec("Hopper", policy, rollout_length=20, compiled=compiled)
    return Rollouts(spec)


def play(rollouts: Rollouts) -> list[Episode]:
    weights = np.linspace(-1.0, 1.0, rollouts.spec.policy.n_weights)
    snapshot = Snapshot(weights, delta_std=0.5)
    return rollouts.run(snapshot, [Task(Stream.TRAINING, 0, k, 1) for k in range(3)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_kind_of_policy_acts_itself(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICIES, kind, KINDS[kind])
    new = rollouts_of(kind)
    assert new.notice is None  # nothing is amiss
    assert play(new) == play(rollouts_of(kind, compiled=False))
    known = "mlp" if kind == "deep" else "linear"
    assert play(new) != play(rollouts_of(known))


def test_a_policy_with_a_new_activation_acts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    halved = ACTIVATIONS["tanh"]._replace(scalar=lambda x: 0.5 * math.tanh(x))
    monkeypatch.setitem(ACTIVATIONS, "halved", halved)
    new = rollouts_of("mlp", activation="halved")
    assert new.notice is None  # nothing is amiss
    assert play(new) == play(rollouts_of("mlp", compiled=False, activation="halved"))
    assert play(new) != play(rollouts_of("mlp"))


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_known_kinds_are_played_by_compiled_code(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = rollouts_of(kind)
    assert known.notice is None
    expected = play(rollouts_of(kind, compiled=False))
    monkeypatch.setattr(POLICIES[kind].load(), "forward", None)
    assert play(known) == expected
