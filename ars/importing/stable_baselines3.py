"""Policies of Stable-Baselines3 and sb3-contrib: the zip that `model.save` writes.

Its entry `data` is JSON, `policy.pth` the state dict of the policy as torch saves it. Which network
acts is known by the names of its weights:

    PPO, A2C    mlp_extractor.policy_net.0.weight ..., action_net.weight, log_std
    DQN         q_net.q_net.0.weight ...
    ARS         action_net.0.weight ...
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import short_message
from ars.importing.actor import Actor
from ars.importing.archives import LARGEST_FILE, Archive
from ars.importing.arrays import LARGEST_ARRAY, Record, array
from ars.importing.pickles import read_pickle
from policies import Normalizer, NormalizerRule
from policies.base import Array
from policies.file import read_plain

_ACTIVATIONS = {"Tanh": "tanh", "ReLU": "relu", "Sigmoid": "sigmoid"}
# Weights that a policy has beside its actor, by how their names begin.
_BESIDE = ("value_net.", "mlp_extractor.value_net.", "q_net_target.", "log_std")

Weights = dict[str, NDArray[Any]]


def read(archive: Archive) -> Actor:
    """Raises: ValueError."""
    data, weights = _data(archive), _state_dict(archive)
    kwargs = data.get("policy_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    actor = _actor(weights, kwargs, _algorithm(data))
    actor.check()
    return actor


def _data(archive: Archive) -> dict[str, Any]:
    try:
        data = json.loads(archive.read("data").decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its data cannot be read ({short_message(error)})") from None
    if not isinstance(data, dict):
        raise ValueError("its data is no object")
    return data


def _algorithm(data: Mapping[str, Any]) -> str:
    """What the policy belongs to, in the words of its module: `common`, `dqn`, `ars` ..."""
    policy_class = data.get("policy_class")
    module = policy_class.get("__module__") if isinstance(policy_class, dict) else None
    parts = module.split(".") if isinstance(module, str) else []
    return parts[1] if len(parts) == 3 else ""


def _state_dict(archive: Archive) -> Weights:
    inner = Archive(archive.read("policy.pth"))
    pickles = [name for name in inner.names if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(pickles) != 1:
        raise ValueError("its policy.pth is not what torch writes")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in inner.names and inner.read(f"{folder}byteorder") != b"little":
        raise ValueError("its weights are not little-endian")
    found = read_pickle(
        inner.read(pickles[0]), storage=lambda key: inner.read(f"{folder}data/{key}")
    )
    if not isinstance(found, dict):
        raise ValueError("its policy.pth is no state dict")
    weights = {str(name): array(value) for name, value in found.items()}
    if sum(part.size for part in weights.values()) > LARGEST_ARRAY:  # one may have many names
        raise ValueError(f"its policy.pth has more than {LARGEST_ARRAY:,} weights")
    return weights


def _actor(weights: Weights, kwargs: Mapping[str, Any], algorithm: str) -> Actor:
    squashes = kwargs.get("squash_output")
    if "action_net.weight" in weights:
        layers = [
            *_sequence(weights, "mlp_extractor.shared_net."),
            *_sequence(weights, "mlp_extractor.policy_net."),
            _layer(weights, "action_net."),
        ]
        _refuse_rest(weights, ("mlp_extractor.", "action_net."))
        actor = Actor("Stable-Baselines3 (PPO, A2C)", None, layers, "tanh", distribution=True)
        log_std = weights.get("log_std")
        actor.log_std = None if log_std is None else log_std.astype(np.float64)
        actor.squashes = squashes is True
    elif any(name.startswith("q_net.q_net.") for name in weights):
        layers = _sequence(weights, "q_net.q_net.")
        _refuse_rest(weights, ("q_net.q_net.",))
        actor = Actor("Stable-Baselines3 (DQN)", "dqn", layers, "relu")
    elif algorithm == "ars" or "action_net.0.weight" in weights:
        layers = _sequence(weights, "action_net.")
        _refuse_rest(weights, ("action_net.",))
        actor = Actor("sb3-contrib (ARS)", "ars", layers, "relu")
        # By default the MlpPolicy squashes, and the LinearPolicy, which has one layer, does not.
        actor.squashes = squashes if isinstance(squashes, bool) else len(layers) > 1
    else:
        what = f" ({algorithm})" if algorithm else ""
        raise ValueError(f"an actor of a kind that is not read{what}; ARS, PPO, A2C and DQN are")
    actor.activation = _activation(kwargs, actor.activation)
    return actor


def _sequence(weights: Weights, start: str) -> list[tuple[Array, Array | None]]:
    """The affine layers of a torch Sequential, in order."""
    pattern = re.compile(re.escape(start) + r"(\d{1,6})\.weight")
    numbers = sorted(int(match[1]) for name in weights if (match := pattern.fullmatch(name)))
    return [_layer(weights, f"{start}{number}.") for number in numbers]


def _layer(weights: Weights, start: str) -> tuple[Array, Array | None]:
    bias = weights.get(f"{start}bias")
    return weights[f"{start}weight"].astype(np.float64), (
        None if bias is None else bias.astype(np.float64)
    )


def _refuse_rest(weights: Weights, known: tuple[str, ...]) -> None:
    """Raises: ValueError where something else acts too, such as convolutions or a memory."""
    for name in weights:
        if not name.startswith((*known, *_BESIDE)):
            raise ValueError(f"an actor with {name}; only linear and MLP actors are read")


def _activation(kwargs: Mapping[str, Any], default: str) -> str:
    """`<class 'torch.nn.modules.activation.ReLU'>` -> `relu`. Raises: ValueError."""
    given = kwargs.get("activation_fn")
    if given is None:
        return default
    text = given.get(":type:", "") if isinstance(given, dict) else str(given)
    name = text.removesuffix("'>").rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ValueError(f"an actor with the activation {name}; {', '.join(_ACTIVATIONS)} are read")
    return _ACTIVATIONS[name]


def read_statistics(path: Path) -> Normalizer | None:
    """The normaliser that a file of `VecNormalize.save` holds; None if it leaves observations.

    Raises: FileError, ValueError.
    """
    found = read_pickle(read_plain(path, LARGEST_FILE))
    if not isinstance(found, Record) or found.name.name != "VecNormalize":
        raise ValueError(
            f"it holds {found.name if isinstance(found, Record) else 'something else'}"
        )
    state = _attributes(found)
    if state.get("norm_obs") is False:
        return None
    rms = state.get("obs_rms")
    if not isinstance(rms, Record):
        raise ValueError("it has no statistics of a vector of observations")
    numbers = _attributes(rms)
    mean, var = (array(numbers.get(name)).astype(np.float64).ravel() for name in ("mean", "var"))
    epsilon, clip = _number(state, "epsilon"), _number(state, "clip_obs")
    count = _number(numbers, "count")
    good = mean.shape == var.shape and np.isfinite(np.concatenate((mean, var, [epsilon]))).all()
    if not good or not (var + epsilon > 0.0).all() or not clip > 0.0 or not 0.0 <= count < 2**53:
        raise ValueError("its statistics are not those of observations")
    # VecNormalize divides by the root of var + epsilon.
    rule = NormalizerRule(ddof=0, min_std=0.0, clip=None if math.isinf(clip) else clip)
    return Normalizer(mean, var + epsilon, max(1, round(count)), rule)


def _number(attributes: Mapping[str, Any], name: str) -> float:
    """An attribute that is a number. Raises: ValueError."""
    found = array(attributes.get(name))
    if found.size != 1:
        raise ValueError(f"its {name} is no number")
    return float(found.item())


def _attributes(record: Record) -> dict[str, Any]:
    if not isinstance(record.state, dict):
        raise ValueError(f"a damaged {record.name.name}")
    return record.state
