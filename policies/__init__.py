"""What acts: policies over vectors, their normaliser, and the one policy file."""

from __future__ import annotations

from typing import Any

from policies.activations import ACTIVATIONS
from policies.base import Policy
from policies.file import FileError, PolicyFile, load_policy, read_policy, save_policy
from policies.linear import LinearPolicy
from policies.mlp import MLPPolicy, initial_weights
from policies.normalizer import Normalizer, NormalizerRule, RunningMeanStd
from policies.registry import POLICIES, PolicyKind, build_policy
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
    "PolicyKind",
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

    Args:
        kind: a key of `POLICIES`: "linear", "mlp" or "cnn".
        observation_space: a Box.
        action_space: a Box or Discrete.
        **options: further fields of PolicySpec (hidden_sizes, distribution ...); those not given
            are the kind's defaults.

    Raises:
        UnsupportedSpace: it cannot read or act in such a space.
        ValueError: for an unknown kind or option value.
    """
    observation = space_spec(observation_space, "observation")
    assert isinstance(observation, BoxSpec)  # space_spec refuses other observations
    defaults = POLICIES[kind].defaults if kind in POLICIES else {}
    spec = PolicySpec(
        kind, observation, space_spec(action_space, "action"), **{**defaults, **options}
    )
    return build_policy(spec)
