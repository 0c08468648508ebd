"""What every registered kind of policy keeps; a new one is tested as soon as it is registered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closeness import close
from gymnasium import spaces

import envs
from ars.common.seeding import Stream
from ars.rollout.episode import Rollouts
from ars.rollout.task import RolloutSpec, Snapshot, Task
from policies import (
    POLICIES,
    Normalizer,
    NormalizerRule,
    Policy,
    PolicyFile,
    build_policy,
    make_policy,
    read_policy,
    save_policy,
)
from policies.networks import make_network

STATES = spaces.Discrete(6, start=2)
VECTORS = spaces.Box(-np.inf, np.inf, (5,), np.float32)
IMAGES = spaces.Box(0, 255, (2, 36, 36), np.uint8)
ACTIONS = {
    "discrete": spaces.Discrete(4, start=-2),
    "box": spaces.Box(-2, 3, (2, 1), np.float32),
    "one": spaces.Box(-1, 1, (1,), np.float64),
}
every_kind = pytest.mark.parametrize("kind", POLICIES)
every_policy = pytest.mark.parametrize(
    ("kind", "action"),
    [
        (kind, action)
        for kind, entry in POLICIES.items()
        for action in ACTIONS
        if action == "discrete" or not entry.is_table
    ],
)


def seen_by(kind: str) -> spaces.Space[Any]:
    if POLICIES[kind].is_table:
        return STATES
    return IMAGES if POLICIES[kind].reads_images else VECTORS


def random_policy(kind: str, action: str) -> Policy:
    policy = make_policy(kind, seen_by(kind), ACTIONS[action])
    rng = np.random.default_rng(3)
    policy.weights = 0.1 * rng.standard_normal(policy.spec.n_weights)
    if seen_by(kind) is VECTORS:
        policy.normalizer = Normalizer(rng.standard_normal(5), rng.random(5), 9, NormalizerRule())
    return policy


def observations(policy: Policy, n: int = 5) -> list[Any]:
    space = seen_by(policy.spec.kind)
    space.seed(1)
    return [space.sample() for _ in range(n)]


@every_kind
def test_the_registry_says_what_others_must_know(kind: str) -> None:
    entry = POLICIES[kind]
    assert issubclass(entry.load(), Policy)
    assert entry.description and not entry.description.endswith(".")
    spec = random_policy(kind, "discrete").spec
    assert {name: getattr(spec, name) for name in entry.defaults} == entry.defaults


@every_policy
def test_actions_are_of_the_space_and_the_observation_s_alone(kind: str, action: str) -> None:
    policy = random_policy(kind, action)
    seen = observations(policy)
    actions = [policy.act(obs) for obs in seen]
    for chosen in actions:
        assert ACTIONS[action].contains(chosen)
    again = [policy.act(obs) for obs in reversed(seen)][::-1]
    assert all(np.array_equal(one, other) for one, other in zip(actions, again, strict=True))
    outputs = [policy.forward(policy.flatten(obs)) for obs in seen]
    assert {(y.shape, y.dtype) for y in outputs} == {((policy.spec.action.size,), np.dtype(float))}
    assert len({y.tobytes() for y in outputs}) > 1


@every_policy
def test_weights_are_all_that_a_policy_is(kind: str, action: str) -> None:
    policy = random_policy(kind, action)
    other = build_policy(policy.spec)
    assert not other.weights.any()
    other.weights, other.normalizer = policy.weights, policy.normalizer
    assert np.array_equal(other.weights, policy.weights)
    for obs in observations(policy):
        assert np.array_equal(other.act(obs), policy.act(obs))
    with pytest.raises(ValueError, match="weights of shape"):
        policy.weights = np.zeros(policy.spec.n_weights + 1)


@every_policy
def test_a_policy_file_gives_back_the_same_policy(kind: str, action: str, tmp_path: Path) -> None:
    policy, path = random_policy(kind, action), tmp_path / "p.safetensors"
    save_policy(path, PolicyFile(policy, "Env-v0", {"x": 1}, {"seed": 3}))
    again = read_policy(path)
    assert (again.env_id, again.env_kwargs, again.training) == ("Env-v0", {"x": 1}, {"seed": 3})
    assert again.policy.spec == policy.spec
    for obs in observations(policy):
        assert np.array_equal(again.policy.act(obs), policy.act(obs))
    first = path.read_bytes()
    save_policy(path, again)
    assert path.read_bytes() == first


@every_policy
def test_the_twin_in_torch_agrees(kind: str, action: str) -> None:
    import torch

    policy = random_policy(kind, action)
    if not POLICIES[kind].is_layered:
        with pytest.raises(ValueError, match=f"a {kind} policy has no twin in torch"):
            make_network(policy, "cpu")
        return
    seen = observations(policy)
    inputs = np.stack(seen) if policy.spec.conv_layers else np.stack(seen).reshape(len(seen), -1)
    network = make_network(policy, "cpu")
    with torch.inference_mode():
        twin = network(torch.from_numpy(inputs)).numpy()
    for obs, outputs in zip(seen, twin, strict=True):
        x = policy.flatten(obs)
        ours = policy.forward(x if policy.normalizer is None else policy.normalizer(x))
        close(outputs, ours)


@pytest.mark.parametrize("kind", [name for name in POLICIES if seen_by(name) is VECTORS])
def test_compiled_code_plays_it_as_it_acts_or_not_at_all(kind: str) -> None:
    env = envs.make("InvertedPendulumSwingup")
    spec = make_policy(kind, env.observation_space, env.action_space).spec
    env.close()
    weights = np.random.default_rng(2).standard_normal(spec.n_weights)
    found = []
    for compiled in (True, False):
        rollouts = Rollouts(
            RolloutSpec("InvertedPendulumSwingup", spec, rollout_length=50, compiled=compiled)
        )
        found += rollouts.run(Snapshot(weights), [Task(Stream.EVALUATION, 0, 0)])
        rollouts.close()
    assert found[0] == found[1]


def test_images_are_whole_numbers_as_their_bytes_are() -> None:
    policy = random_policy("cnn", "discrete")
    (image,) = observations(policy, 1)
    assert policy.act(image.astype(np.float64)) == policy.act(image)
    for wrong in (image / 255, image - 300.0, np.full(image.shape, np.nan)):
        with pytest.raises(ValueError, match="must be whole numbers from 0 to 255"):
            policy.act(wrong)
