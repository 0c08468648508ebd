"""A policy as plain arrays and what is done with them, in the order of the arithmetic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import UsageError
from policies import POLICIES, BoxSpec, DiscreteSpec, FiniteSpec, Policy, PolicySpec
from policies.base import Array, action_bounds


class Affine(NamedTuple):
    """`y = W x + b`: `weight` float64 [n_out, n_in], `bias` float64 [n_out] or None."""

    weight: Array
    bias: Array | None


class Convolution(NamedTuple):
    """`weight` float64 [filters, channels, kernel, kernel], `bias` float64 [filters]."""

    weight: Array
    bias: Array
    stride: int


@dataclass(frozen=True)
class PlainPolicy:
    """Everything that acting needs, in the order in which it is used.

    Attributes:
        mean, std, clip: of the normaliser, [obs_dim] and a bound; None where there is none.
        convolutions: of an image, each followed by the activation.
        layers: affine; the activation stands between them.
        activation: a key of `policies.ACTIVATIONS`.
        squashes: whether tanh follows the last layer.
        start: of Discrete actions, added to the index of the largest output; None for a Box.
        middle, half: what outputs are scaled by, [n_out], or None.
        low, high: the bounds of a Box, [n_out], in the type in which they are applied, or None.
        dtype: of an action.
        shape: of an action.
    """

    mean: Array | None
    std: Array | None
    clip: float | None
    convolutions: tuple[Convolution, ...]
    layers: tuple[Affine, ...]
    activation: str
    squashes: bool
    start: int | None
    middle: Array | None
    half: Array | None
    low: NDArray[Any] | None
    high: NDArray[Any] | None
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def uses_libm(self) -> bool:
        """Whether a function of the C library takes part, whose last bit may differ elsewhere."""
        hidden = len(self.layers) > 1 and self.activation != "relu"
        return hidden or self.squashes


def plain_policy(policy: Policy) -> PlainPolicy:
    """Take a policy apart. Raises: UsageError for a kind that is not made of layers."""
    spec, kind = policy.spec, POLICIES[policy.spec.kind]
    if not (kind.is_layered or kind.squashes or kind.is_table):
        kinds = [name for name, kind in POLICIES.items() if kind.is_layered or kind.squashes]
        raise UsageError(
            f"`run`: a {spec.kind} policy cannot be exported, only those made of layers: "
            + ", ".join(kinds)
        )
    if isinstance(spec.observation, FiniteSpec):
        raise UsageError(
            "`run`: a policy of states (Discrete observations) cannot be exported, only those of "
            "vectors and images; `policies.load_policy` reads its file with NumPy alone"
        )
    normalizer = None if spec.conv_layers else policy.normalizer
    action = spec.action
    scale = spec.action_scale
    dtype = np.dtype(action.dtype if isinstance(action, BoxSpec) else np.int64)
    low, high = action_bounds(spec, dtype)
    if dtype.kind == "b" and low is not None and high is not None:  # truths bound as numbers
        low, high = low.astype(np.float64), high.astype(np.float64)
    weights = _Weights(policy.network_weights)
    convolutions = tuple(_convolutions(spec, weights))
    return PlainPolicy(
        mean=None if normalizer is None else normalizer.mean,
        std=None if normalizer is None else normalizer.std,
        clip=None if normalizer is None else normalizer.rule.clip,
        convolutions=convolutions,
        layers=tuple(_layers(spec, weights)),
        activation=spec.activation,
        squashes=kind.squashes,
        start=action.start if isinstance(action, DiscreteSpec) else None,
        middle=None if scale is None else scale[0],
        half=None if scale is None else scale[1],
        low=low,
        high=high,
        dtype=dtype,
        shape=action.shape if isinstance(action, BoxSpec) else (),
    )


class _Weights:
    """Takes arrays off a flat vector, one after the other."""

    def __init__(self, flat: Array) -> None:
        self._flat, self._at = flat, 0

    def take(self, *shape: int) -> Array:
        start, self._at = self._at, self._at + math.prod(shape)
        return self._flat[start : self._at].reshape(shape).copy()


def _convolutions(spec: PolicySpec, weights: _Weights) -> Iterator[Convolution]:
    channels = spec.image_shape[0] if spec.conv_layers else 0
    for filters, kernel, stride in spec.conv_layers:
        weight = weights.take(filters, channels, kernel, kernel)
        yield Convolution(weight, weights.take(filters), stride)
        channels = filters


def _layers(spec: PolicySpec, weights: _Weights) -> Iterator[Affine]:
    for n_in, n_out in itertools.pairwise(spec.layer_sizes):
        weight = weights.take(n_out, n_in)
        yield Affine(weight, weights.take(n_out) if spec.bias else None)
