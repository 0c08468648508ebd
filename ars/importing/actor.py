"""What every importer returns: the layers of an actor, and how it turns outputs into actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from ars.common.errors import UsageError
from policies import (
    BoxSpec,
    DiscreteSpec,
    Normalizer,
    Policy,
    PolicySpec,
    build_policy,
    is_image,
    space_spec,
)
from policies.base import Array
from policies.spec import UNBOUNDED

MOST_WEIGHTS = 10**8


@dataclass
class Actor:
    """A linear or MLP policy of another project.

    Attributes:
        source: the project and its algorithm, in words.
        algo: the algorithm, as `--algo` names it; None if it is none of ours.
        layers: `weight` float64 [n_out, n_in] and `bias` float64 [n_out] or None.
        activation: between the layers.
        squashes: whether tanh follows the last layer, and its outputs mean the bounds of a Box.
        clips: whether actions are clipped to the bounds of a Box.
        distribution: whether actions are drawn in training, around the outputs or by softmax.
        log_std: float64 [n_out], of a Gaussian.
        normalizer: of observations.
        warnings: for the user.
    """

    source: str
    algo: str | None
    layers: list[tuple[Array, Array | None]]
    activation: str = "tanh"
    squashes: bool = False
    clips: bool = True
    distribution: bool = False
    log_std: Array | None = None
    normalizer: Normalizer | None = None
    warnings: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raises: ValueError where layers do not fit each other, or a number is not finite."""
        if not self.layers:
            raise ValueError("an actor without layers")
        width = self.layers[0][0].shape[-1:]
        for weight, bias in self.layers:
            fits = weight.ndim == 2 and weight.shape[1:] == width and len(weight) >= 1
            if not fits or (bias is not None and bias.shape != weight.shape[:1]):
                raise ValueError("an actor whose layers do not fit each other")
            width = weight.shape[:1]
            numbers = weight if bias is None else np.column_stack((weight, bias))
            if not np.isfinite(numbers).all():
                raise ValueError("an actor with weights that are not finite")
        if len({bias is None for _, bias in self.layers}) > 1:
            raise ValueError("an actor of which only some layers have a bias")
        if self.log_std is not None and self.log_std.shape != width:
            self.log_std = None
        if self.log_std is not None and not np.isfinite(self.log_std).all():
            raise ValueError("an actor with a log_std that is not finite")

    def policy(self, env_id: str, observation_space: Any, action_space: Any) -> Policy:
        """The policy, in an environment with these spaces.

        Raises:
            UsageError: they are not those that it was trained with.
            UnsupportedSpace: no policy supports them.
        """
        if not isinstance(observation_space, Box):
            kind = type(observation_space).__name__
            raise UsageError(
                f"`env` {env_id}: its observations are a {kind}, and imported policies take vectors"
            )
        observation = space_spec(observation_space, "observation")
        action = space_spec(action_space, "action")
        assert isinstance(observation, BoxSpec)
        n_in, n_out = self.layers[0][0].shape[1], len(self.layers[-1][0])
        if is_image(observation):
            raise UsageError(f"`env` {env_id}: gives images, which imported policies do not take")
        for what, ours, theirs in (
            ("observations of", n_in, observation.size),
            ("actions of" if isinstance(action, BoxSpec) else "a choice of", n_out, action.size),
        ):
            if ours != theirs:
                raise UsageError(
                    f"`env` {env_id}: has {what} {theirs:,} numbers, the policy {ours:,}"
                    if isinstance(action, BoxSpec) or what.startswith("obs")
                    else f"`env` {env_id}: has {what} {theirs:,} actions, the policy {ours:,}"
                )
        spec = self._spec(env_id, observation, action)
        policy = build_policy(spec)
        parts = [part.ravel() for layer in self.layers for part in layer if part is not None]
        if spec.distribution == "gaussian":
            assert self.log_std is not None
            parts.append(self.log_std)
        policy.weights = np.concatenate(parts)
        policy.normalizer = self.normalizer
        return policy

    def _spec(
        self, env_id: str, observation: BoxSpec, action: BoxSpec | DiscreteSpec
    ) -> PolicySpec:
        if isinstance(action, DiscreteSpec) and action.start != 0:
            raise UsageError(f"`env` {env_id}: its actions begin at {action.start}, not at 0")
        squashes = False
        if self.squashes and isinstance(action, BoxSpec):
            squashes = True
            bounds = (*(action.low or (np.inf,)), *(action.high or (np.inf,)))
            if max(map(abs, bounds)) >= UNBOUNDED:
                raise UsageError(
                    f"`env` {env_id}: its actions have no bounds, and the policy acts within them"
                )
        distribution = "none"
        if self.distribution and isinstance(action, DiscreteSpec):
            distribution = "categorical"
        elif self.distribution and self.log_std is not None and not squashes:
            distribution = "gaussian"
        kind = "linear" if len(self.layers) == 1 else "mlp"
        return PolicySpec(
            "squashed-mlp" if squashes else kind,
            observation,
            action,
            hidden_sizes=tuple(len(weight) for weight, _ in self.layers[:-1]),
            activation=self.activation,
            bias=self.layers[0][1] is not None,
            clip_actions=self.clips,
            distribution=distribution,
            scale_actions=squashes,
        )
