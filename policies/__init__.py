"""Policies in NumPy, their observation normaliser, and the policy file."""

from __future__ import annotations

from typing import Any

from policies.activations import ACTIVATIONS
from policies.base import Policy
from policies.file import FileError, PolicyFile, load_policy, read_policy, save_policy
from policies.finite import FiniteSpec
from policies.linear import LinearPolicy
from policies.mlp import MLPPolicy, initial_weights
from policies.normalizer import Normalizer, NormalizerRule, RunningMeanStd
from policies.registry import POLICIES, PolicyKind, build_policy, check_spec
from policies.spec import (
    NATURE_CONV_LAYERS,
    NATURE_HIDDEN_SIZES,
    BoxSpec,
    DiscreteSpec,
    PolicySpec,
    UnsupportedSpace,
    is_image,
    observation_spec,
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
    "FiniteSpec",
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
    "observation_spec",
    "policy_spec",
    "read_policy",
    "save_policy",
    "space_spec",
]


def make_policy(kind: str, observation_space: Any, action_space: Any, **options: Any) -> Policy:
    """Return a policy with zero weights; arguments and exceptions are those of `policy_spec`."""
    return build_policy(policy_spec(kind, observation_space, action_space, **options))


def policy_spec(kind: str, observation_space: Any, action_space: Any, **options: Any) -> PolicySpec:
    """Return what defines a policy for an observation space and an action space.

    Args:
        kind: a key of `POLICIES`: "linear", "mlp", "squashed-mlp", "cnn" or "table".
        observation_space: a Gymnasium Box, Discrete, MultiDiscrete, or Tuple of Discrete spaces.
        action_space: a Gymnasium Box or Discrete.
        **options: further fields of `PolicySpec` (hidden_sizes, distribution ...). Omitted fields
            take the kind's defaults.

    Raises:
        UnsupportedSpace: for a space that the policy does not support.
        ValueError: for an unknown kind, or an option's value that it does not take.
        TypeError: for an option that no policy has.
    """
    observation = observation_spec(observation_space)
    defaults = POLICIES[kind].defaults if kind in POLICIES else {}
    spec = PolicySpec(
        kind, observation, space_spec(action_space, "action"), **{**defaults, **options}
    )
    check_spec(spec)
    return spec
