"""Policies act as defined, bit for bit, and their files give back what was saved."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closeness import close
from gymnasium import spaces

from policies import (
    FileError,
    Normalizer,
    NormalizerRule,
    Policy,
    PolicyFile,
    PolicySpec,
    UnsupportedSpace,
    initial_weights,
    load_policy,
    make_policy,
    save_policy,
)
from policies.activations import ACTIVATIONS
from policies.base import Layer
from policies.file import write_arrays

BOX = spaces.Box(-np.inf, np.inf, (5,), np.float32)
ACTIONS: dict[str, spaces.Space[Any]] = {
    "one": spaces.Box(-1, 1, (1,), np.float32),
    "three": spaces.Box(np.array([-1, -2, 0]), np.array([1, 2, 3]), dtype=np.float64),
    "half-bounded": spaces.Box(np.array([-np.inf, 0]), np.array([1, np.inf]), dtype=np.float64),
    "discrete": spaces.Discrete(4, start=-2),
}
KINDS: dict[str, dict[str, Any]] = {
    "linear": {},
    "mlp-tanh": {"hidden_sizes": (7, 3)},
    "mlp-relu": {"hidden_sizes": (8,), "activation": "relu"},
    "mlp-sigmoid": {"hidden_sizes": (8, 1), "activation": "sigmoid"},
}


def random_policy(kind: str, action: str, normalized: bool = True) -> Policy:
    policy = make_policy(kind.partition("-")[0], BOX, ACTIONS[action], **KINDS[kind])
    rng = np.random.default_rng(3)
    policy.weights = rng.standard_normal(policy.spec.n_weights)
    if normalized:
        var = rng.random(5)
        policy.normalizer = Normalizer(rng.standard_normal(5), var, 9, NormalizerRule())
    return policy


every_policy = pytest.mark.parametrize(
    ("kind", "action"), [(kind, action) for kind in KINDS for action in ACTIONS]
)


def scalar_forward(policy: Policy, x: list[float]) -> list[float]:
    """The defined arithmetic in plain Python: products rounded, sums in index order."""
    spec, flat = policy.spec, policy.weights.tolist()
    last = len(spec.layer_sizes) - 2
    for number, (n_in, n_out) in enumerate(
        zip(spec.layer_sizes, spec.layer_sizes[1:], strict=False)
    ):
        y = []
        for row in range(n_out):
            total = flat[row * n_in] * x[0]
            for column in range(1, n_in):
                total += flat[row * n_in + column] * x[column]
            y.append(total)
        flat = flat[n_in * n_out :]
        if spec.bias:
            y = [value + bias for value, bias in zip(y, flat, strict=False)]
            flat = flat[n_out:]
        x = y if number == last else [ACTIVATIONS[spec.activation].scalar(value) for value in y]
    return x


@every_policy
def test_forward_is_the_defined_scalar_arithmetic_to_the_last_bit(kind: str, action: str) -> None:
    policy = random_policy(kind, action, normalized=False)
    for seed in range(50):
        x = np.random.default_rng(seed).standard_normal(5)
        assert policy.forward(x).tolist() == scalar_forward(policy, x.tolist())


@pytest.mark.parametrize("n_in", [1, 2, 7, 8, 9, 44, 64, 129, 300])
@pytest.mark.parametrize("n_out", [1, 2, 3, 6, 17, 64])
def test_sums_run_in_index_order_at_every_size(n_in: int, n_out: int) -> None:
    rng = np.random.default_rng(n_in * 100 + n_out)
    layer = Layer(n_in, n_out, bias=True)
    flat = rng.standard_normal(layer.size) * 10.0 ** rng.integers(-8, 8, layer.size)
    layer.load(flat)
    x = rng.standard_normal(n_in)
    expected = np.add.accumulate(flat[: n_in * n_out].reshape(n_out, n_in) * x, axis=1)[:, -1]
    assert (layer(x) == expected + flat[n_in * n_out :]).all()


def test_actions_are_cast_and_then_clipped() -> None:
    policy = make_policy("linear", BOX, ACTIONS["three"])
    policy.weights = np.repeat([10.0, -10.0, 1.0], 5)
    action = policy.act(np.full(5, 0.5, np.float32))
    assert action.tolist() == [1.0, -2.0, 2.5]
    assert action.dtype == np.float64
    free = make_policy("linear", BOX, ACTIONS["three"], clip_actions=False)
    free.weights = policy.weights
    assert free.act(np.full(5, 0.5)).tolist() == [25.0, -25.0, 2.5]
    assert random_policy("linear", "one").act(np.zeros(5)).dtype == np.float32


def test_integer_actions_do_not_wrap_around() -> None:
    for bounds, dtype, expected in [
        ((-3, 3), np.int8, [-3, 3]),
        ((0, 255), np.uint8, [0, 255]),
        ((np.iinfo(np.int64).min, np.iinfo(np.int64).max), np.int64, [-1300, 1300]),
    ]:
        policy = make_policy("linear", BOX, spaces.Box(*bounds, (2,), dtype))
        policy.weights = np.repeat([-260.0, 260.0], 5)
        action = policy.act(np.ones(5))
        assert action.dtype == dtype
        assert action.tolist() == expected


def test_a_policy_with_an_infinite_variance_can_be_read_again(tmp_path: Path) -> None:
    policy = random_policy("linear", "one")
    assert policy.normalizer is not None
    var = np.array([1.0, np.inf, 1.0, 1.0, 1.0])
    policy.normalizer = Normalizer(np.zeros(5), var, 9, NormalizerRule())
    save_policy(tmp_path / "p", PolicyFile(policy, "Env-v0"))
    assert load_policy(tmp_path / "p").act(np.ones(5)).shape == (1,)


def test_discrete_actions_take_the_first_best_and_honour_start() -> None:
    policy = make_policy("linear", BOX, ACTIONS["discrete"])
    assert policy.act(np.ones(5)) == -2
    weights = np.zeros((4, 5))
    weights[1] = weights[3] = 1.0
    policy.weights = weights.ravel()
    action = policy.act(np.ones(5))
    assert action == -1
    assert ACTIONS["discrete"].contains(action) and type(action) is np.int64


def test_observations_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"observation of shape \(4,\); the policy takes \(5,\)"):
        random_policy("linear", "one").act(np.zeros(4))


@pytest.mark.parametrize("obs", [np.array(["left"] * 5), [1, [2, 3]], [{}] * 5])
def test_observations_that_are_no_numbers_are_refused(obs: object) -> None:
    with pytest.raises(ValueError, match="observation is not made of numbers"):
        random_policy("linear", "one").act(obs)


def test_subclasses_of_spaces_are_what_they_derive_from() -> None:
    class Joints(spaces.Box):
        pass

    class Moves(spaces.Discrete):
        pass

    box = Joints(-1, 1, (5,), np.float32)
    assert (
        make_policy("linear", box, Joints(0, 1, (2,))).spec
        == make_policy("linear", spaces.Box(-1, 1, (5,), np.float32), spaces.Box(0, 1, (2,))).spec
    )
    assert make_policy("linear", box, Moves(3, start=4)).act(np.ones(5)) == 4


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (spaces.Dict({"a": BOX}), ACTIONS["one"], "observation space is Dict"),
        (spaces.MultiBinary(3), ACTIONS["one"], "observation space is MultiBinary"),
        (spaces.Tuple([spaces.Discrete(2), BOX]), ACTIONS["one"], "observation space is Tuple"),
        (spaces.Discrete(2**24 + 1), ACTIONS["one"], "a Discrete of 16,777,217 states"),
        (BOX, spaces.MultiBinary(3), "action space is MultiBinary"),
        (BOX, spaces.MultiDiscrete([2, 2]), "action space is MultiDiscrete"),
        (BOX, spaces.Tuple([BOX]), "action space is Tuple"),
    ],
)
def test_other_spaces_are_refused_in_one_line(
    observation: spaces.Space[Any], action: spaces.Space[Any], message: str
) -> None:
    with pytest.raises(UnsupportedSpace, match=message) as caught:
        make_policy("linear", observation, action)
    assert "\n" not in str(caught.value)


def test_a_policy_file_is_the_same_bytes_from_every_process(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, policies as p\n"
        "spec = p.PolicySpec('linear', p.BoxSpec((3,), 'float32'), p.DiscreteSpec(2))\n"
        "policy = p.build_policy(spec)\n"
        "policy.normalizer = p.Normalizer(np.ones(3), np.ones(3), 4, p.NormalizerRule())\n"
        "p.save_policy(sys.argv[1], p.PolicyFile(policy, 'E-v0', {}, {'seed': 1}))\n"
        "p.load_policy(sys.argv[1])\n"
        "print(sorted({'torch', 'ray', 'gymnasium', 'pybullet'} & set(sys.modules)))\n"
    )
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for file in files:
        done = subprocess.run(
            [sys.executable, "-c", code, file], check=True, capture_output=True, text=True
        )
        assert done.stdout == "[]\n"
    assert len({file.read_bytes() for file in files}) == 1


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "policy.safetensors"
    save_policy(path, PolicyFile(random_policy("linear", "one"), "Env-v0"))
    return path


def test_every_truncation_of_a_policy_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(FileError, match=r"policy\.safetensors"):
            load_policy(path)


def test_every_flipped_bit_of_a_policy_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    assert b"1e-07" in data  # of which 1E-07 would be no other document
    for position, bit in itertools.product(range(len(data)), [1 << n for n in range(8)]):
        data[position] ^= bit
        path.write_bytes(data)
        with pytest.raises(FileError, match=r"policy\.safetensors") as caught:
            load_policy(path)
        assert "\n" not in str(caught.value)
        data[position] ^= bit


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", b"PK\x03\x04", b"\xff" * 64, b"\x00" * 64])
def test_hostile_files_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_bytes(data)
    with pytest.raises(FileError):
        load_policy(path)


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "BF16", "F6"])
def test_types_that_numpy_has_not_are_refused(kind: str, tmp_path: Path) -> None:
    head = json.dumps({"weights": {"dtype": kind, "shape": [2], "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "p"
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"\0\0")
    with pytest.raises(FileError):
        load_policy(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing: no such policy file"):
        load_policy(tmp_path / "nothing")


def test_an_intact_file_with_unusable_contents_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    policy = random_policy("linear", "one", normalized=False)
    document: dict[str, Any] = {
        "spec": policy.spec.to_json(),
        "env": {"id": "E-v0", "kwargs": {}},
        "training": {},
        "normalizer": None,
    }
    write_arrays(path, "policy", {"weights": policy.weights}, document)
    load_policy(path)
    for arrays, change in [
        ({"weights": policy.weights[:-1]}, {}),
        ({"weights": policy.weights * math.nan}, {}),
        ({}, {}),
        ({"weights": policy.weights}, {"spec": {"kind": "linear"}}),
        ({"weights": policy.weights}, {"spec": document["spec"] | {"kind": "forest"}}),
        ({"weights": policy.weights}, {"normalizer": {"ddof": 1}}),
    ]:
        write_arrays(path, "policy", arrays, document | change)
        with pytest.raises(FileError, match="not a usable policy file"):
            load_policy(path)
    write_arrays(path, "checkpoint", {"weights": policy.weights}, document)
    with pytest.raises(FileError, match="not a policy file"):
        load_policy(path)


def test_a_spec_survives_json() -> None:
    for kind in KINDS:
        for action in ACTIONS:
            spec = random_policy(kind, action).spec
            assert PolicySpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_initial_weights_fill_their_bounds() -> None:
    spec = random_policy("mlp-tanh", "three").spec
    weights = initial_weights(spec, np.random.default_rng(0))
    assert weights.size == spec.n_weights
    first = weights[: 7 * 6]
    assert abs(first).max() <= 1 / math.sqrt(5)
    assert abs(first).max() > 0.9 / math.sqrt(5)


@every_policy
def test_the_torch_twin_agrees_in_doubles_too(kind: str, action: str) -> None:
    import torch

    from policies.networks import make_network
    from policies.parameters import flat

    policy = random_policy(kind, action)
    observations = np.random.default_rng(1).standard_normal((20, 5))
    assert policy.normalizer is not None
    expected = np.array([policy.forward(policy.normalizer(x)) for x in observations])
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        network = make_network(policy, "cpu", dtype)
        with torch.no_grad():
            outputs = network(torch.as_tensor(observations, dtype=dtype))
        close(outputs, expected, tolerance)
    assert np.array_equal(flat(make_network(policy, "cpu", torch.float64)), policy.weights)


def test_unknown_devices_are_refused() -> None:
    from policies.networks import resolve_device

    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="'tpu' is not one of auto, cpu, cuda"):
        resolve_device("tpu")
