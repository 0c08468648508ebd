"""The registry of policy kinds. A new kind needs a file and an entry here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.base import Policy
from policies.finite import FiniteSpec
from policies.spec import (
    NATURE_CONV_LAYERS,
    NATURE_HIDDEN_SIZES,
    DiscreteSpec,
    PolicySpec,
    UnsupportedSpace,
)


@dataclass(frozen=True)
class PolicyKind:
    """An entry of the registry. The policy's module is imported when a policy is built.

    Args:
        entry_point: the class, as `module:Class`.
        description: a one-line description.
        is_layered: whether the policy consists of the spec's convolutions and affine layers with
            the activation between them, and nothing else. Such a policy has an equivalent torch
            module, and the deep algorithms can train it if it has hidden layers.
        squashes: whether it consists of affine layers with the activation between them, and of tanh
            after the last. Such a policy is not `is_layered`.
        is_table: whether it has a row for each state, so that it takes finite spaces alone.
        defaults: default values of fields of `PolicySpec`. A kind with `conv_layers` accepts only
            images, and other kinds accept none; only a kind with `hidden_sizes` may have hidden
            layers.
    """

    entry_point: str
    description: str
    is_layered: bool = False
    squashes: bool = False
    is_table: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads_images(self) -> bool:
        """Whether the policy takes images instead of vectors."""
        return "conv_layers" in self.defaults

    @property
    def has_hidden_layers(self) -> bool:
        """Whether the policy may have hidden layers."""
        return "hidden_sizes" in self.defaults

    def load(self) -> type[Policy]:
        """Import and return the class."""
        module, _, name = self.entry_point.partition(":")
        policy: type[Policy] = getattr(importlib.import_module(module), name)
        return policy


POLICIES: Mapping[str, PolicyKind] = {
    "linear": PolicyKind("policies.linear:LinearPolicy", "one affine map", is_layered=True),
    "mlp": PolicyKind(
        "policies.mlp:MLPPolicy",
        "affine layers with an activation between them",
        is_layered=True,
        defaults={"bias": True, "hidden_sizes": (64, 64)},
    ),
    "squashed-mlp": PolicyKind(
        "policies.squashed_mlp:SquashedMLPPolicy",
        "the same, with tanh after the last layer",
        squashes=True,
        defaults={"bias": True, "hidden_sizes": (64, 64)},
    ),
    "cnn": PolicyKind(  # loads torch when a policy is built
        "policies.cnn:CNNPolicy",
        "convolutions of an image, then affine layers",
        is_layered=True,
        defaults={
            "bias": True,
            "conv_layers": NATURE_CONV_LAYERS,
            "hidden_sizes": NATURE_HIDDEN_SIZES,
            "activation": "relu",
        },
    ),
    "table": PolicyKind(
        "policies.tabular:TablePolicy", "a value for each action in each state", is_table=True
    ),
}


def build_policy(spec: PolicySpec) -> Policy:
    """Return the policy that a spec describes, with zero weights; raises as `check_spec`."""
    check_spec(spec)
    return POLICIES[spec.kind].load()(spec)


def check_spec(spec: PolicySpec) -> None:
    """Check that there is a policy of a spec.

    Raises:
        ValueError: for an unknown kind, or layers that the kind does not have.
        UnsupportedSpace: for a table where states or actions cannot be counted.
    """
    if spec.kind not in POLICIES:
        raise ValueError(f"policy {spec.kind!r} is not one of {sorted(POLICIES)}")
    kind = POLICIES[spec.kind]
    if bool(spec.conv_layers) != kind.reads_images:
        raise ValueError(f"conv_layers {spec.conv_layers} of a {spec.kind} policy")
    if spec.hidden_sizes and not kind.has_hidden_layers:
        raise ValueError(
            f"a {spec.kind} policy has no hidden_sizes, but {spec.hidden_sizes} were given"
        )
    finite = isinstance(spec.observation, FiniteSpec) and isinstance(spec.action, DiscreteSpec)
    if kind.is_table and not finite:
        raise UnsupportedSpace(f"a {spec.kind} policy takes Discrete observations and actions")
