"""A policy in compiled code: its memory layout, and the action for an observation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.bullet.compiled.jit import Array, Array32, Indices, compiled
from envs.bullet.compiled.physics import clip, exp, tanh

_TANH, _RELU, _SIGMOID = range(3)
ACTIVATIONS = {"tanh": _TANH, "relu": _RELU, "sigmoid": _SIGMOID}


class CompiledPolicy(NamedTuple):
    """A policy of affine layers and its normaliser, laid out for the compiled loop.

    Attributes:
        weights: for each layer the transposed matrix [n_in, n_out], then the bias if there is one.
        sizes: int64, units of every layer.
        bias: whether the layers have biases.
        activation: a value of `ACTIVATIONS`.
        mean: [obs], of the normaliser.
        std: [obs], of the normaliser.
        clip: bound on normalised values; infinity for none.
        low: float32 [n], lower bounds of an action; minus infinity for none.
        high: float32 [n], upper bounds of an action; infinity for none.
        front: scratch space, as long as the widest layer.
        back: scratch space, as long as the widest layer.
    """

    weights: Array
    sizes: Indices
    bias: bool
    activation: int
    mean: Array
    std: Array
    clip: float
    low: Array32
    high: Array32
    front: Array
    back: Array


def lay_out_policy(
    weights: Array,
    sizes: Sequence[int],
    *,
    bias: bool,
    activation: str = "tanh",
    normalizer: tuple[Array, Array, float | None] | None = None,
    bounds: tuple[Sequence[float] | None, Sequence[float] | None] = (None, None),
) -> CompiledPolicy:
    """Lay a policy out for the compiled loop.

    Args:
        weights: flat float64; for each layer its row-major matrix [n_out, n_in], then its bias.
        sizes: units of every layer, input and output included.
        bias: whether the layers have biases.
        activation: of the hidden layers, a key of `ACTIVATIONS`.
        normalizer: mean and standard deviation, [sizes[0]], and the bound on normalised values.
        bounds: lowest and highest action, [sizes[-1]], to which actions are clipped.

    Raises:
        ValueError: `weights` or the normaliser does not fit `sizes`.
    """
    parts, at = [], 0
    for n_in, n_out in itertools.pairwise(sizes):
        end = at + n_in * n_out
        parts.append(weights[at:end].reshape(n_out, n_in).T.ravel())
        at = end + n_out if bias else end
        parts.append(weights[end:at])
    mean, std, clip = normalizer or (np.zeros(sizes[0]), np.ones(sizes[0]), None)
    if at != weights.size or not mean.shape == std.shape == (sizes[0],):
        raise ValueError(f"{weights.size} weights and a mean of {mean.shape} for layers of {sizes}")
    low, high = (
        np.full(sizes[-1], bound if given is None else given, np.float32)
        for given, bound in zip(bounds, (-np.inf, np.inf), strict=True)
    )
    return CompiledPolicy(
        weights=np.concatenate(parts),
        sizes=np.array(sizes, np.int64),
        bias=bias,
        activation=ACTIVATIONS[activation],
        mean=mean,
        std=std,
        clip=math.inf if clip is None else float(clip),
        low=low,
        high=high,
        front=np.zeros(max(sizes)),
        back=np.zeros(max(sizes)),
    )


@compiled
def _activate(x: Array, size: int, activation: int) -> None:
    """Apply an activation in place, as defined in `policies.activations`."""
    for i in range(size):
        value = x[i]
        if activation == _TANH:
            x[i] = tanh(value)
        elif activation == _RELU:
            x[i] = value if value > 0.0 else 0.0
        else:
            x[i] = 1.0 / (1.0 + exp(-value)) if value > -700.0 else 0.0


@compiled
def compute_action(policy: CompiledPolicy, obs: Array32, action: Array32) -> None:
    """Write the action for an observation; the same as `policies.base.Policy.act_flat`."""
    at, weights, front, back = 0, policy.weights, policy.front, policy.back
    for i in range(obs.size):
        front[i] = clip((obs[i] - policy.mean[i]) / policy.std[i], -policy.clip, policy.clip)
    for layer in range(1, policy.sizes.size):
        n_in, n_out = policy.sizes[layer - 1], policy.sizes[layer]
        if layer > 1:
            _activate(front, n_in, policy.activation)
        for j in range(n_out):
            back[j] = 0.0
        # Inputs in the outer loop, outputs in the inner one: each output is summed in index order,
        # and the sums of a row are independent of each other.
        for i in range(n_in):
            for j in range(n_out):
                back[j] += weights[at + j] * front[i]
            at += n_out
        if policy.bias:
            for j in range(n_out):
                back[j] += weights[at + j]
            at += n_out
        front, back = back, front
    for j in range(action.size):
        action[j] = clip(np.float32(front[j]), policy.low[j], policy.high[j])
