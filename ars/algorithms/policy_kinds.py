"""The kinds of policy that an algorithm offers, what its help says about them, and making one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ars.common.errors import UsageError
from ars.common.resources import require_memory
from ars.common.settings import in_words, setting
from policies import (
    POLICIES,
    BoxSpec,
    DiscreteSpec,
    Policy,
    PolicySpec,
    build_policy,
    is_image,
    observation_spec,
    policy_spec,
    space_spec,
)

if TYPE_CHECKING:
    from ars.algorithms.base import TrainingContext

WEIGHT_BYTES = 40  # the least that a run needs for each: copies, gradients, steps

VECTOR_POLICIES = [
    name for name, kind in POLICIES.items() if not (kind.reads_images or kind.is_table)
]
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


def make_deep_policy(config: Any, context: TrainingContext, distribution: bool) -> Policy:
    """The policy that a deep algorithm's settings and its environment's spaces call for.

    Args:
        config: the algorithm's settings; with `distribution`, `scale_actions` is one of them.
        context: of the run.
        distribution: whether it draws its actions.

    Raises:
        UsageError: `conv_layers` for observations that are no images.
        UnsupportedSpace: no policy supports the spaces.
    """
    observation = observation_spec(context.observation_space)
    if isinstance(observation, BoxSpec):
        observation = replace(observation, dtype=context.obs_dtype or observation.dtype)
    kind = config.policy
    if kind == "auto":
        kind = deep_policy_for(is_image(observation))
    options: dict[str, Any] = {}
    if config.conv_layers:
        numbers = iter(config.conv_layers)
        options["conv_layers"] = tuple(zip(numbers, numbers, numbers, strict=True))
        if not POLICIES[kind].reads_images:
            raise UsageError(
                f"`conv_layers`: are for images, and {context.env_id} gives observations of shape "
                f"{observation.shape} and type {observation.dtype}"
            )
    if config.hidden_sizes:
        options["hidden_sizes"] = config.hidden_sizes
    if config.activation is not None:
        options["activation"] = config.activation
    if distribution:
        discrete = isinstance(space_spec(context.action_space, "action"), DiscreteSpec)
        options["distribution"] = "categorical" if discrete else "gaussian"
        options["scale_actions"] = config.scale_actions
    return make_policy_that_fits(kind, observation, context.action_space, **options)


def make_policy_that_fits(kind: str, *spaces: Any, **options: Any) -> Policy:
    """The same as `policies.make_policy`. Raises: NotEnoughMemory, before any is taken."""
    spec = policy_spec(kind, *spaces, **options)
    sizes = f" (`hidden_sizes` {in_words(spec.hidden_sizes)})" if spec.hidden_sizes else ""
    require_memory(spec.n_weights * WEIGHT_BYTES, f"a policy of {spec.n_weights:,} weights{sizes}")
    return build_policy(spec)


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
