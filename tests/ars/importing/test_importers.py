"""Policies of other projects act here as they do there."""

from __future__ import annotations

import io
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_policies import Runs, archive, original_ars, stable_baselines3, vec_normalize
from gymnasium import spaces

from ars.common.errors import UsageError
from ars.training.imports import read_actor
from policies import FileError

SEEN = spaces.Box(-np.inf, np.inf, (3,), np.float32)
JOINTS = spaces.Box(np.array([-2, -1], np.float32), np.array([2, 3], np.float32))
RNG = np.random.default_rng(0)
W = [RNG.standard_normal(shape) for shape in ((5, 3), (4, 5), (2, 4))]
B = [RNG.standard_normal(len(weight)) for weight in W]
MEAN, STD = np.array([0.5, -1.0, 0.0]), np.array([2.0, 0.5, np.inf])
OBSERVATIONS = RNG.standard_normal((50, 3)).astype(np.float32)
COMMON = "stable_baselines3.common.policies"


def acting(path: Path, actions: Any = JOINTS, statistics: Path | None = None) -> Any:
    policy = read_actor(path, statistics).policy("Robot-v0", SEEN, actions)
    return np.stack([np.asarray(policy.act(one)) for one in OBSERVATIONS])


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def network(function: Any, x: Any = OBSERVATIONS) -> Any:
    hidden = function(function(x @ W[0].T + B[0]) @ W[1].T + B[1])
    return hidden @ W[2].T + B[2]


def relu(x: Any) -> Any:
    return np.maximum(x, 0.0)


def named(*names: str) -> dict[str, Any]:
    """The weights of three layers under these names."""
    arrays = zip(names, W, B, strict=True)
    return {
        f"{name}.{kind}": value
        for name, weight, bias in arrays
        for kind, value in (("weight", weight), ("bias", bias))
    }


PPO = named("mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net")
PPO |= {"value_net.weight": W[2], "mlp_extractor.value_net.0.weight": W[0], "log_std": B[2]}
DQN = named("q_net.q_net.0", "q_net.q_net.2", "q_net.q_net.4")
DQN |= {f"q_net_target{name.removeprefix('q_net')}": 0 * value for name, value in DQN.items()}
ARS = named("action_net.0", "action_net.2", "action_net.4")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_policy_of_the_original_code_is_not_clipped(protocol: int, tmp_path: Path) -> None:
    weights = 5.0 * RNG.standard_normal((2, 3))
    path = original_ars(tmp_path / "p.npz", weights, MEAN, STD, protocol=protocol)
    found = acting(path)
    close(found, (OBSERVATIONS - MEAN) / STD @ weights.T)
    assert np.abs(found).max() > 3.0


def test_a_policy_of_the_original_code_without_a_filter(tmp_path: Path) -> None:
    path = original_ars(tmp_path / "p.npz", W[0][:2], 0, 1)
    assert read_actor(path).normalizer is None
    close(acting(path), OBSERVATIONS @ W[0][:2].T)
    np.savez(tmp_path / "weights.npz", W[0][:2])
    close(acting(tmp_path / "weights.npz"), OBSERVATIONS @ W[0][:2].T)


def test_ppo_and_a2c_clip_their_means(tmp_path: Path) -> None:
    path = stable_baselines3(tmp_path / "p.zip", COMMON, PPO)
    wanted = np.clip(network(np.tanh), JOINTS.low, JOINTS.high)
    close(acting(path), wanted)
    assert (wanted == JOINTS.low).any()
    policy = read_actor(path).policy("Robot-v0", SEEN, JOINTS)
    assert policy.spec.distribution == "gaussian"
    close(policy.weights[-2:], B[2])


def test_the_activation_and_discrete_actions_are_the_policy_s(tmp_path: Path) -> None:
    activation = "<class 'torch.nn.modules.activation.ReLU'>"
    path = stable_baselines3(tmp_path / "p.zip", COMMON, PPO, activation_fn=activation)
    found = acting(path, spaces.Discrete(2))
    assert found.tolist() == network(relu).argmax(1).tolist()
    assert set(found) == {0, 1}


@pytest.mark.parametrize("last", [4, 10])
def test_dqn_takes_the_largest_value(last: int, tmp_path: Path) -> None:
    weights = {name.replace("net.4.", f"net.{last}."): value for name, value in DQN.items()}
    path = stable_baselines3(tmp_path / "p.zip", "stable_baselines3.dqn.policies", weights)
    assert acting(path, spaces.Discrete(2)).tolist() == network(relu).argmax(1).tolist()


@pytest.mark.parametrize("squash", [None, True, False])
def test_ars_of_sb3_contrib_squashes_unless_it_is_told_not_to(
    squash: bool | None, tmp_path: Path
) -> None:
    kwargs = {} if squash is None else {"squash_output": squash}
    path = stable_baselines3(tmp_path / "p.zip", "sb3_contrib.ars.policies", ARS, **kwargs)
    low, high = JOINTS.low, JOINTS.high
    wanted = low + 0.5 * (np.tanh(network(relu)) + 1.0) * (high - low)
    close(acting(path), np.clip(network(relu), low, high) if squash is False else wanted)


def test_a_linear_policy_of_sb3_contrib_clips(tmp_path: Path) -> None:
    linear = {"action_net.0.weight": 9.0 * W[0][:2]}
    path = stable_baselines3(tmp_path / "p.zip", "sb3_contrib.ars.policies", linear)
    close(acting(path), np.clip(9.0 * OBSERVATIONS @ W[0][:2].T, JOINTS.low, JOINTS.high))


def test_statistics_of_vec_normalize_are_the_policy_s(tmp_path: Path) -> None:
    path = stable_baselines3(tmp_path / "p.zip", COMMON, PPO)
    var = np.array([4.0, 0.25, 0.0])
    statistics = vec_normalize(tmp_path / "v.pkl", MEAN, var, epsilon=0.1)
    x = np.clip((OBSERVATIONS - MEAN) / np.sqrt(var + 0.1), -2.0, 2.0)
    wanted = np.clip(network(np.tanh, x), JOINTS.low, JOINTS.high)
    close(acting(path, statistics=statistics), wanted)
    assert read_actor(path, statistics).warnings == []
    [warning] = read_actor(path).warnings
    assert "VecNormalize" in warning
    whole = vec_normalize(tmp_path / "w.pkl", MEAN, var, epsilon=0.1, clip_obs=np.inf)
    x = (OBSERVATIONS - MEAN) / np.sqrt(var + 0.1)
    wanted = np.clip(network(np.tanh, x), JOINTS.low, JOINTS.high)
    close(acting(path, statistics=whole), wanted)
    raw = vec_normalize(tmp_path / "raw.pkl", MEAN, var, norm_obs=False)
    assert np.array_equal(acting(path, statistics=raw), acting(path))


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        ({"epsilon": None}, "NoneType where an array should be"),
        ({"clip_obs": np.zeros(2)}, "its clip_obs is no number"),
    ],
)
def test_statistics_whose_numbers_are_none_are_refused(
    attributes: dict[str, Any], line: str, tmp_path: Path
) -> None:
    path = stable_baselines3(tmp_path / "p.zip", COMMON, PPO)
    refused(path, line, vec_normalize(tmp_path / "v.pkl", MEAN, STD, **attributes))


def refused(path: Path, line: str, statistics: Path | None = None) -> None:
    with pytest.raises(FileError, match=line) as failure:
        read_actor(path, statistics)
    assert "\n" not in str(failure.value) and str(statistics or path) in str(failure.value)


def test_nothing_in_a_hostile_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "was_run"
    hostile = Runs(os.system, f"touch {mark}")
    told = r"its pickle names (posix|nt)\.system, which is no array; nothing of it was run"
    refused(original_ars(tmp_path / "a.npz", W[0], hostile, STD), told)
    inner = archive(tmp_path / "inner", {"archive/data.pkl": pickle.dumps(hostile)})
    entries = {"data": b"{}", "policy.pth": inner.read_bytes()}
    refused(archive(tmp_path / "b.zip", entries), told)
    good = stable_baselines3(tmp_path / "p.zip", COMMON, PPO)
    (tmp_path / "v.pkl").write_bytes(pickle.dumps(hostile))
    refused(good, told, tmp_path / "v.pkl")
    assert not mark.exists()


def test_a_policy_file_needs_no_import(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a policy file already; name it where a RUN is asked"):
        read_actor(tmp_path / "policy.safetensors")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ars.importing.archives.LARGEST", 1_000_000)
    bomb = archive(tmp_path / "bomb.zip", {"data": b" " * 2_000_000, "policy.pth": b""})
    assert bomb.stat().st_size < 5_000
    refused(bomb, "an archive that unpacks to more than 1,000,000 bytes")


def test_a_storage_that_many_tensors_share_is_unpacked_once(tmp_path: Path) -> None:
    tensor = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    )
    data = b"\x80\x02" + (tensor + b"J\x00\x00\x00\x01tQ") * 100 + b"}."
    entries = {"a/data.pkl": data, "a/data/0": bytes(2**26)}
    inner = archive(tmp_path / "inner", entries).read_bytes()
    path = archive(tmp_path / "p.zip", {"data": b"{}", "policy.pth": inner})
    tracemalloc.start()
    refused(path, "an actor of a kind that is not read")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**28


def _header(shape: str) -> bytes:
    file = io.BytesIO()
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ({}, "0 arrays instead of one"),
        ({"../../evil.npy": b""}, "an entry outside it"),
        ({"/etc/evil.npy": b""}, "an entry outside it"),
        ({"a.npy": b"", "b.npy": b""}, "2 arrays instead of one"),
        ({"a.npy": b"nothing"}, "an array with a damaged header"),
        ({"a.npy": _header("(10**9,)")}, "an array with a damaged header"),
        ({"a.npy": _header("(\0(")}, "an array with a damaged header"),
        ({"a.npy": _header("(1000000000, 1000000000)")}, "which is not read"),
        ({"a.npy": _header("(2, 3)") + bytes(40)}, "with 40 bytes"),
        ({"a.npy": _header("(6,)") + bytes(48)}, "layers do not fit"),
        ({"a.npy": _header("()") + bytes(8)}, "layers do not fit"),
        ({"data": b"{", "policy.pth": b""}, "its data cannot be read"),
        ({"data": b"{}"}, "an archive without policy.pth"),
        ({"data": b"{}", "policy.pth": b"PK"}, "a damaged archive"),
    ],
)
def test_a_file_of_another_form_is_refused(
    entries: dict[str, bytes], line: str, tmp_path: Path
) -> None:
    refused(archive(tmp_path / "file", entries), line)


def test_a_refusal_does_not_quote_a_file_at_length(tmp_path: Path) -> None:
    path = stable_baselines3(tmp_path / "p.zip", COMMON, PPO)
    data = bytearray(path.read_bytes())
    name_length = data.index(b"PK\x03\x04") + 26  # of the first entry, in its own header
    data[name_length : name_length + 2] = (3000).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(FileError) as error:
        read_actor(path, None)
    assert len(str(error.value)) < 1200 + len(str(path))


@pytest.mark.parametrize("length", [0, 10, 300, -30])
def test_a_file_that_is_cut_short_is_refused(length: int, tmp_path: Path) -> None:
    path = stable_baselines3(tmp_path / "p.zip", COMMON, PPO)
    path.write_bytes(path.read_bytes()[:length])
    refused(path, "a damaged archive")


@pytest.mark.parametrize(
    ("weights", "line"),
    [
        ({"actor.mu.weight": W[0]}, "an actor of a kind that is not read"),
        ({**PPO, "features_extractor.cnn.0.weight": W[0]}, "only linear and MLP actors are read"),
        ({**PPO, "action_net.weight": W[0]}, "layers do not fit"),
        ({**PPO, "action_net.weight": W[2] * np.nan}, "not finite"),
        ({**PPO, "log_std": B[2] * np.nan}, "a log_std that is not finite"),
        ({"action_net.0.bias": B[0]}, "an actor"),
    ],
)
def test_an_actor_of_another_kind_is_refused(
    weights: dict[str, Any], line: str, tmp_path: Path
) -> None:
    refused(stable_baselines3(tmp_path / "p.zip", COMMON, weights), line)


def test_an_activation_of_another_kind_is_refused(tmp_path: Path) -> None:
    kwargs = {"activation_fn": "<class 'torch.nn.modules.activation.ELU'>"}
    refused(stable_baselines3(tmp_path / "p.zip", COMMON, PPO, **kwargs), "the activation ELU")


@pytest.mark.parametrize(
    ("seen", "actions", "line"),
    [
        (spaces.Box(-1, 1, (4,)), JOINTS, "observations of 4 numbers, the policy 3"),
        (SEEN, spaces.Box(-1, 1, (6,)), "actions of 6 numbers, the policy 2"),
        (SEEN, spaces.Discrete(3), "a choice of 3 actions, the policy 2"),
        (SEEN, spaces.Discrete(2, start=1), "its actions begin at 1, not at 0"),
        (spaces.Box(0, 255, (3, 1), np.uint8), JOINTS, "gives images"),
        (spaces.Discrete(16), JOINTS, "its observations are a Discrete, and imported policies"),
    ],
)
def test_an_environment_of_other_spaces_is_refused(
    seen: Any, actions: Any, line: str, tmp_path: Path
) -> None:
    path = stable_baselines3(tmp_path / "p.zip", COMMON, PPO)
    with pytest.raises(UsageError, match=line):
        read_actor(path).policy("Robot-v0", seen, actions)
