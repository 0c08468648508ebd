"""What acts: policies over vectors, their normaliser, and the one policy file."""

from __future__ import annotations

from typing import Any

from policies.activations import ACTIVATIONS
from policies.base import Policy
from policies.file import FileError, PolicyFile, load_policy, read_policy, save_policy
from policies.linear import LinearPolicy
from policies.mlp import MLPPolicy, initial_weights
from policies.normalizer import Normalizer, NormalizerRule, RunningMeanStd
from policies.registry import POLICIES, build_policy
from policies.spec import (
    NATURE_CONV_LAYERS,
    NATURE_HIDDEN_SIZES,
    BoxSpec,
    DiscreteSpec,
    PolicySpec,
    UnsupportedSpace,
    is_image,
    space_spec,
)

__all__ = [
    "ACTIVATIONS",
    "NATURE_CONV_LAYERS",
    "NATURE_HIDDEN_SIZES",
    "POLICIES",
    "BoxSpec",
    "DiscreteSpec",
    "FileError",
    "LinearPolicy",
    "MLPPolicy",
    "Normalizer",
    "NormalizerRule",
    "Policy",
    "PolicyFile",
    "PolicySpec",
    "RunningMeanStd",
    "UnsupportedSpace",
    "build_policy",
    "initial_weights",
    "is_image",
    "load_policy",
    "make_policy",
    "read_policy",
    "save_policy",
    "space_spec",
]


def make_policy(kind: str, observation_space: Any, action_space: Any, **options: Any) -> Policy:
    """A policy with zero weights for two Gymnasium spaces.

    `kind`: "linear", "mlp" or "cnn" (the Nature network unless conv_layers and hidden_sizes say
    otherwise); `options`: further fields of PolicySpec (hidden_sizes, distribution ...).
    Raises: UnsupportedSpace; ValueError for an unknown kind or option value.
    """
    observation = space_spec(observation_space, "observation")
    assert isinstance(observation, BoxSpec)  # space_spec refuses other observations
    options = {"bias": kind != "linear", **options}
    if kind == "cnn":
        nature = {"conv_layers": NATURE_CONV_LAYERS, "hidden_sizes": NATURE_HIDDEN_SIZES}
        options = {"activation": "relu", **nature, **options}
    return build_policy(
        PolicySpec(kind, observation, space_spec(action_space, "action"), **options)
    )
