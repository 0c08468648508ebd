"""What acts: policies over vectors, their normaliser, and the one policy file."""

from __future__ import annotations

from typing import Any

from policies.base import (
    ACTIVATIONS,
    BoxSpec,
    DiscreteSpec,
    Policy,
    PolicySpec,
    UnsupportedSpace,
    space_spec,
)
from policies.io import FileError, PolicyFile, load_policy, read_policy, save_policy
from policies.linear import LinearPolicy
from policies.mlp import MLPPolicy, initial_weights
from policies.normalizer import Normalizer, NormalizerRule, RunningMeanStd
from policies.table import POLICIES, build

__all__ = [
    "ACTIVATIONS",
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
    "build",
    "initial_weights",
    "load_policy",
    "make_policy",
    "read_policy",
    "save_policy",
    "space_spec",
]


def make_policy(kind: str, observation_space: Any, action_space: Any, **options: Any) -> Policy:
    """A policy with zero weights for two Gymnasium spaces.

    `kind`: "linear" or "mlp"; `options`: further fields of PolicySpec (hidden_sizes, ...).
    Raises: UnsupportedSpace; ValueError for an unknown kind or option value.
    """
    observation = space_spec(observation_space, "observation")
    assert isinstance(observation, BoxSpec)  # space_spec refuses other observations
    options = {"bias": kind != "linear", **options}
    return build(PolicySpec(kind, observation, space_spec(action_space, "action"), **options))
