"""The kinds of policy that an algorithm offers, and what its help says about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ars.common.settings import in_words, setting
from policies import POLICIES, PolicySpec

VECTOR_POLICIES = [name for name, kind in POLICIES.items() if not kind.reads_images]
DEEP_POLICIES = [
    name for name, kind in POLICIES.items() if kind.is_layered and kind.has_hidden_layers
]


def scale_actions_setting() -> Any:
    """The setting that every algorithm with Box actions has."""
    return setting(
        False,
        "let outputs of -1 and 1 mean the bounds of Box actions, and round where they are integers",
    )


def deep_policy_for(images: bool) -> str:
    """The first of the `DEEP_POLICIES` that takes images, or the first that takes vectors."""
    return next(name for name in DEEP_POLICIES if POLICIES[name].reads_images == images)


def defaults_in_words(field: str, kinds: Iterable[str]) -> str:
    """Each kind's default of a field of `PolicySpec`: `mlp: 64 64, cnn: 512`; no empty ones."""
    defaults = {
        name: POLICIES[name].defaults.get(field, getattr(PolicySpec, field)) for name in kinds
    }
    return ", ".join(
        f"{name}: {in_words(_flat(default))}" for name, default in defaults.items() if default
    )


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, tuple):
        return [value]
    return [item for part in value for item in _flat(part)]
