"""The Policy interface: one flat float64 weight vector, and `act(obs) -> action` in NumPy alone.

The arithmetic is fixed here instead of being left to a BLAS kernel: a dot product adds its products
in index order, each product rounded first (no fused multiply-add), and activations are the scalar
functions of libm. The compiled loop can therefore reproduce every action bit for bit.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.distributions import sample_categorical, sample_gaussian
from policies.finite import FiniteSpec
from policies.normalizer import Normalizer
from policies.spec import BoxSpec, DiscreteSpec, PolicySpec

Array = NDArray[np.float64]


class Layer:
    """One affine map `y = W x + b` whose sums run in index order.

    `weight`: float64 [n_out, n_in]; `bias`: float64 [n_out] or None.
    """

    def __init__(self, n_in: int, n_out: int, bias: bool) -> None:
        # Stored transposed: NumPy reduces a slow axis row by row, so every output's sum runs in
        # index order and the sums of a row advance together. With a single output there is no slow
        # axis, and NumPy would sum pairwise; `accumulate` avoids that.
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
    """A policy: `act(obs)`, a flat `weights` vector, its `spec` and an optional normaliser."""

    # Whether the compiled loop may evaluate this class as plain affine layers. The value set in a
    # class does not count for its subclasses, which may act differently.
    compiled_layers: ClassVar[bool] = False

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec
        self.normalizer: Normalizer | None = None
        self._weights = np.zeros(spec.n_weights)
        self._finite = spec.observation if isinstance(spec.observation, FiniteSpec) else None
        self._discrete = isinstance(spec.action, DiscreteSpec)
        self._dtype = np.dtype(np.int64 if self._discrete else getattr(spec.action, "dtype", None))
        self._low, self._high = action_bounds(spec, self._dtype)
        self._cast_first = self._dtype.kind == "f"
        self._scale = spec.action_scale
        self._start = np.int64(spec.action.start if isinstance(spec.action, DiscreteSpec) else 0)

    @abstractmethod
    def forward(self, x: Array) -> Array:
        """Outputs for one normalised observation. `x`: float64 [obs_dim] -> float64 [n_out]."""

    @abstractmethod
    def _load(self, flat: Array) -> None:
        """Set the network's weights: float64 [n_network_weights]."""

    @property
    def weights(self) -> Array:
        """The flat weights, float64 [n_weights]: row-major weights, then bias, layer by layer.

        For a Gaussian policy these are followed by the log standard deviations, [n_out].
        """
        return self._weights.copy()

    @weights.setter
    def weights(self, flat: Array) -> None:
        if np.shape(flat) != self._weights.shape:
            raise ValueError(f"weights of shape {np.shape(flat)}, not {self._weights.shape}")
        self._weights[:] = flat
        self._load(self.network_weights)

    @property
    def network_weights(self) -> Array:
        """The part of `weights` that `forward` uses, float64 [n_network_weights]; a view."""
        return self._weights[: self.spec.n_network_weights]

    def flatten(self, obs: Any) -> Array:
        """Return `obs` as float64 [obs_dim]; of a finite space, 1 at the state's number, else 0.

        Raises: ValueError if it does not fit the policy.
        """
        try:
            x = np.asarray(obs, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"observation is not made of numbers: {error}") from None
        if x.shape != self.spec.observation.shape:
            raise ValueError(
                f"observation of shape {x.shape}; the policy takes {self.spec.observation.shape}"
            )
        return x.ravel() if self._finite is None else self._finite.one_hot(x)

    def act(self, obs: Any) -> Any:
        """Return the deterministic action for one observation of the spec's shape.

        Returns:
            An array of the action space's shape and dtype, or for Discrete actions a NumPy integer,
            as `action_space.sample()` gives. It is computed in float64, scaled if the spec says so,
            cast to the space's dtype, then clipped to its bounds. For an integer dtype, clipping
            comes first, because the cast would wrap around.
        """
        return self.act_flat(self.flatten(obs))

    def act_flat(self, x: Array) -> Any:
        """The same as `act`, for an observation that is already float64 [obs_dim]."""
        y = self._outputs(x)
        if isinstance(self.spec.action, DiscreteSpec):
            return y.argmax() + self._start
        return self.box_actions(y)

    def sample(self, obs: Any, rng: np.random.Generator) -> Any:
        """Draw an action from the policy's distribution; returned in the same form as by `act`."""
        return self.sample_flat(self.flatten(obs), rng)

    def sample_flat(self, x: Array, rng: np.random.Generator) -> Any:
        """The same as `sample`, for an observation that is already float64 [obs_dim].

        Raises: ValueError if the policy has no distribution.
        """
        spec, y = self.spec, self._outputs(x)
        if spec.distribution == "none":
            raise ValueError("the policy has no distribution to draw actions from")
        if isinstance(spec.action, DiscreteSpec):
            return sample_categorical(y[None], rng)[0] + self._start
        log_std = self._weights[spec.n_network_weights :]
        return self.box_actions(sample_gaussian(y[None], log_std, rng)[0])

    def _outputs(self, x: Array) -> Array:
        return self.forward(x if self.normalizer is None else self.normalizer(x))

    def box_actions(self, y: NDArray[Any]) -> NDArray[Any]:
        """Turn outputs [..., n_out] into actions of a Box space, [..., *shape].

        They are scaled, cast to the space's dtype and clipped to its bounds, as described in `act`.
        """
        if self._scale is not None:
            middle, half = self._scale
            y = middle + half * y
            y = y if self._cast_first else np.rint(y)
        action: NDArray[Any] = y.astype(self._dtype) if self._cast_first else y
        if self._low is not None and self._high is not None:
            action = np.minimum(np.maximum(action, self._low), self._high)
        shape = (*y.shape[:-1], *self.spec.action.shape)  # type: ignore[union-attr]  # a Box
        return action.astype(self._dtype, copy=False).reshape(shape)


class LayeredPolicy(Policy):
    """A policy of affine layers in NumPy."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__(spec)
        sizes = spec.layer_sizes
        self.layers = [Layer(n_in, n_out, spec.bias) for n_in, n_out in itertools.pairwise(sizes)]

    def _load(self, flat: Array) -> None:
        start = 0
        for layer in self.layers:
            layer.load(flat[start : start + layer.size])
            start += layer.size


def action_bounds(spec: PolicySpec, dtype: Any) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """The lowest and the highest action, each [n_out], or None if actions are not clipped.

    In the type in which they are clipped: float64 for integers, which are cast afterwards.
    """
    action = spec.action
    if not isinstance(action, BoxSpec):
        return None, None
    if dtype.kind in "iu":
        # The range of the integer type, as float64 values that do not round beyond it.
        limits = np.iinfo(dtype)
        lowest, highest = float(limits.min), np.nextafter(float(limits.max) + 1.0, 0.0)
        low, high = action.low or (-np.inf,), action.high or (np.inf,)
        return np.maximum(low, lowest), np.minimum(high, highest)
    if not spec.clip_actions or action.low is None:
        return None, None
    return np.array(action.low, dtype), np.array(action.high, dtype)
