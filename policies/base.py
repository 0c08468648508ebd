"""The Policy contract: one flat float64 weight vector, and `act(obs) -> action` in NumPy alone.

Arithmetic is defined here and not left to a BLAS kernel: a dot product adds its products in index
order, each product rounded first (no fused multiply-add), and activations are the scalar functions
of libm. A compiled loop can therefore repeat every action bit for bit.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.normalizer import Normalizer

Array = NDArray[np.float64]

ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "relu": lambda x: x if x > 0.0 else 0.0,
    # exp(-x) overflows below -709; the exact limit there is 0.
    "sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0,
}


class UnsupportedSpace(ValueError):
    """A space these policies cannot read or act in; the message is one line."""


@dataclass(frozen=True)
class BoxSpec:
    """A continuous space: `shape`, NumPy `dtype` name, flat row-major bounds (None = unbounded)."""

    shape: tuple[int, ...]
    dtype: str
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """Number of scalars in one element."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class DiscreteSpec:
    """The integers `start`, ..., `start + n - 1`."""

    n: int
    start: int = 0

    @property
    def size(self) -> int:
        """Number of outputs a policy needs: one score for each action."""
        return self.n


class _HasSpaceAttributes(Protocol):
    """What is read of a Gymnasium space, so that this package needs no Gymnasium."""

    @property
    def shape(self) -> tuple[int, ...] | None: ...


def space_spec(space: _HasSpaceAttributes, role: str) -> BoxSpec | DiscreteSpec:
    """Describe a Gymnasium space (`role`: "observation" or "action", for the message).

    Raises: UnsupportedSpace for anything but Box and, for actions, Discrete.
    """
    kind = type(space).__name__
    values: Any = space
    if kind == "Box":
        if math.prod(values.shape) < 1 or np.dtype(values.dtype).kind not in "fiub":
            raise UnsupportedSpace(
                f"{role} space is a Box of shape {values.shape} and type {values.dtype}; only "
                "Boxes of at least one number are supported"
            )
        bounds = {
            name: tuple(float(x) for x in np.ravel(getattr(values, name)))
            for name in ("low", "high")
        }
        unbounded = not any(map(math.isfinite, bounds["low"] + bounds["high"]))
        limits = {} if unbounded or role == "observation" else bounds
        return BoxSpec(tuple(values.shape), np.dtype(values.dtype).name, **limits)
    if kind == "Discrete" and role == "action":
        return DiscreteSpec(int(values.n), int(values.start))
    allowed, wrapper = "Box and Discrete", ""
    if role == "observation":
        allowed, wrapper = "Box", " (gymnasium.wrappers.FlattenObservation may do)"
    raise UnsupportedSpace(
        f"{role} space is {kind}; only {allowed} {role}s are supported: wrap the environment so "
        f"that it has one{wrapper}"
    )


@dataclass(frozen=True)
class PolicySpec:
    """Everything about a policy but its numbers; stored as JSON in the policy file."""

    kind: str  # a key of policies.POLICIES
    observation: BoxSpec
    action: BoxSpec | DiscreteSpec
    hidden_sizes: tuple[int, ...] = ()
    activation: str = "tanh"
    bias: bool = False
    clip_actions: bool = True

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r} is not one of {sorted(ACTIVATIONS)}")
        if any(size < 1 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes {self.hidden_sizes} must all be at least 1")

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Units of every layer, input and output included."""
        return (self.observation.size, *self.hidden_sizes, self.action.size)

    @property
    def n_weights(self) -> int:
        """Length of the flat weight vector."""
        pairs = itertools.pairwise(self.layer_sizes)
        return sum((n_in + self.bias) * n_out for n_in, n_out in pairs)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_json` is its inverse."""
        rule = "argmax" if isinstance(self.action, DiscreteSpec) else "identity"
        action = {"type": "box" if rule == "identity" else "discrete", **asdict(self.action)}
        for name in {"low", "high"} & action.keys():  # JSON has no infinity
            action[name] = action[name] and [x if math.isfinite(x) else None for x in action[name]]
        return {**asdict(self), "action": action, "deterministic_rule": rule}

    @staticmethod
    def from_json(data: dict[str, Any]) -> PolicySpec:
        """Rebuild a spec. Raises: KeyError, TypeError or ValueError where `data` is not one."""
        fields = dict(data)
        rule = fields.pop("deterministic_rule")
        action = dict(fields.pop("action"))
        kind = action.pop("type")
        expected = {"box": "identity", "discrete": "argmax"}[kind]
        if rule != expected:
            raise ValueError(f"deterministic rule {rule!r} of a {kind} action, not {expected!r}")
        return PolicySpec(
            observation=_box_from_json(fields.pop("observation")),
            action=_box_from_json(action)
            if kind == "box"
            else DiscreteSpec(int(action["n"]), int(action["start"])),
            hidden_sizes=tuple(int(n) for n in fields.pop("hidden_sizes")),
            **fields,
        )


def _box_from_json(data: dict[str, Any]) -> BoxSpec:
    shape = tuple(int(n) for n in data["shape"])
    if np.dtype(data["dtype"]).kind not in "fiub":
        raise ValueError(f"box of type {data['dtype']}, which holds no numbers")
    bounds = [
        data[name] and tuple(unbounded if x is None else float(x) for x in data[name])
        for name, unbounded in (("low", -math.inf), ("high", math.inf))
    ]
    if min(shape, default=1) < 1:
        raise ValueError(f"box of shape {shape}")
    if any(bound is not None and len(bound) != math.prod(shape) for bound in bounds):
        raise ValueError(f"box of shape {shape} with bounds of other lengths")
    return BoxSpec(shape, data["dtype"], *bounds)


class Layer:
    """One affine map `y = W x + b` whose sums run in index order.

    `weight`: float64 [n_out, n_in]; `bias`: float64 [n_out] or None.
    """

    def __init__(self, n_in: int, n_out: int, bias: bool) -> None:
        # Stored transposed: NumPy reduces a slow axis row by row, so every output's sum runs in
        # index order and a row's sums advance together. A single output has no slow axis and
        # would be summed pairwise, hence `accumulate` there.
        self._transposed = np.zeros((n_in, n_out))
        self._products = np.empty((n_in, n_out))
        self.bias = np.zeros(n_out) if bias else None

    @property
    def size(self) -> int:
        """Number of weights, bias included."""
        return self._transposed.size + (0 if self.bias is None else self.bias.size)

    def load(self, flat: Array) -> None:
        """Take row-major weights, then the bias, from `flat`: float64 [size]."""
        n_in, n_out = self._transposed.shape
        self._transposed[:] = flat[: n_in * n_out].reshape(n_out, n_in).T
        if self.bias is not None:
            self.bias[:] = flat[n_in * n_out :]

    def __call__(self, x: Array) -> Array:
        """`x`: float64 [n_in] -> float64 [n_out]."""
        products = self._products
        np.multiply(self._transposed, x[:, None], out=products)
        y: Array
        if products.shape[1] == 1:
            y = np.add.accumulate(products, axis=0)[-1]
        else:
            y = np.add.reduce(products, axis=0)
        if self.bias is not None:
            y += self.bias
        return y


class Policy(ABC):
    """What acts: `act(obs)`, a flat `weights` vector, its `spec` and an optional normaliser."""

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec
        self.normalizer: Normalizer | None = None
        sizes = spec.layer_sizes
        self.layers = [Layer(n_in, n_out, spec.bias) for n_in, n_out in itertools.pairwise(sizes)]
        self._weights = np.zeros(spec.n_weights)
        self._discrete = isinstance(spec.action, DiscreteSpec)
        self._dtype = np.dtype(np.int64 if self._discrete else getattr(spec.action, "dtype", None))
        self._low, self._high = _bounds(spec, self._dtype)
        self._cast_first = self._dtype.kind == "f"

    @abstractmethod
    def forward(self, x: Array) -> Array:
        """Outputs for one normalised observation. `x`: float64 [obs_dim] -> float64 [n_out]."""

    @property
    def weights(self) -> Array:
        """The flat weights, float64 [n_weights]: row-major weights, then bias, layer by layer."""
        return self._weights.copy()

    @weights.setter
    def weights(self, flat: Array) -> None:
        if np.shape(flat) != self._weights.shape:
            raise ValueError(f"weights of shape {np.shape(flat)}, not {self._weights.shape}")
        self._weights[:] = flat
        start = 0
        for layer in self.layers:
            layer.load(self._weights[start : start + layer.size])
            start += layer.size

    def flatten(self, obs: Any) -> Array:
        """An observation as float64 [obs_dim]. Raises: ValueError where it is not one of these."""
        try:
            x = np.asarray(obs, dtype=np.float64).ravel()
        except (TypeError, ValueError) as error:
            raise ValueError(f"observation is not made of numbers: {error}") from None
        if x.size != self.spec.observation.size:
            raise ValueError(
                f"observation of shape {np.shape(obs)}; the policy takes "
                f"{self.spec.observation.shape}"
            )
        return x

    def act(self, obs: Any) -> Any:
        """The deterministic action for one observation of the spec's shape.

        Returns an array of the action space's shape and dtype, or an int for Discrete actions.
        Computed in float64, cast to the space's dtype, then clipped to its bounds; an integer
        dtype would wrap around, so there the bounds come first.
        """
        return self.act_flat(self.flatten(obs))

    def act_flat(self, x: Array) -> Any:
        """`act` for an observation that is float64 [obs_dim] already."""
        if self.normalizer is not None:
            x = self.normalizer(x)
        y = self.forward(x)
        if isinstance(self.spec.action, DiscreteSpec):
            return int(y.argmax()) + self.spec.action.start
        action: NDArray[Any] = y.astype(self._dtype) if self._cast_first else y
        if self._low is not None and self._high is not None:
            action = np.minimum(np.maximum(action, self._low), self._high)
        return action.astype(self._dtype, copy=False).reshape(self.spec.action.shape)


def _bounds(spec: PolicySpec, dtype: Any) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Lowest and highest action, [n_out]; None where none is clipped."""
    action = spec.action
    if not isinstance(action, BoxSpec):
        return None, None
    if dtype.kind in "iu":
        # What the type holds, as float64 that does not round beyond it.
        limits = np.iinfo(dtype)
        lowest, highest = float(limits.min), np.nextafter(float(limits.max) + 1.0, 0.0)
        low, high = action.low or (-np.inf,), action.high or (np.inf,)
        return np.maximum(low, lowest), np.minimum(high, highest)
    if not spec.clip_actions or action.low is None:
        return None, None
    return np.array(action.low, dtype), np.array(action.high, dtype)
