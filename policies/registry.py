"""The registry of policies: a new kind is a file and an entry here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.base import Policy
from policies.spec import NATURE_CONV_LAYERS, NATURE_HIDDEN_SIZES, PolicySpec


@dataclass(frozen=True)
class PolicyKind:
    """What others must know of a kind of policy; its module is imported when one is built.

    Args:
        entry_point: the class, `module:Class`.
        description: what it is, in a line.
        is_layered: whether it is the spec's convolutions and affine layers with the activation
            between them and nothing else. Such a policy has a twin in torch, and deep algorithms
            learn those that have hidden layers.
        defaults: the fields of PolicySpec in which it differs from a linear policy, unless they
            are given. Only a kind with `conv_layers` reads images, and it reads nothing else; only
            one with `hidden_sizes` may have hidden layers.
    """

    entry_point: str
    description: str
    is_layered: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads_images(self) -> bool:
        """Whether observations are images instead of vectors."""
        return "conv_layers" in self.defaults

    @property
    def has_hidden_layers(self) -> bool:
        """Whether `hidden_sizes` has a meaning."""
        return "hidden_sizes" in self.defaults

    def load(self) -> type[Policy]:
        """The class."""
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
    "cnn": PolicyKind(  # loads torch when one is built
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
}


def build_policy(spec: PolicySpec) -> Policy:
    """The policy a spec describes, weights zero.

    Raises:
        ValueError: for an unknown kind, or layers that the kind does not have.
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
    return kind.load()(spec)
