"""Online normalisation of observations: Welford increments, exact merges, frozen snapshots.

Welford (1962) updates a rollout's statistics step by step; Chan, Golub and LeVeque (1979) merge
those of two rollouts. Statistics travel per rollout and merge in a fixed order, so a learning
curve does not depend on which worker ran what.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from policies.state import State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NormalizerRule:
    """How statistics become a transformation.

    ddof: 1 for the sample deviation, 0 for the population's.
    var_floor: smallest variance used; 0 for none.
    min_std: a component whose deviation is smaller carries no information and becomes 0.
    clip: bound on the absolute normalised value, or None.
    """

    ddof: int = 1
    var_floor: float = 0.0
    min_std: float = 1e-7
    clip: float | None = None

    @classmethod
    def from_state(cls, state: State) -> NormalizerRule:
        """The rule whose fields are the values of a state. Raises: ValueError."""
        return cls(
            state.count("ddof", at_most=1),
            state.number("var_floor"),
            state.number("min_std"),
            state.optional_number("clip"),
        )


class Normalizer:
    """A frozen `x -> (x - mean) / std` over float64 [obs_dim].

    `mean`, `var`: float64 [obs_dim], `var` as the rule's ddof gives it, before floor and min_std;
    `count`: observations seen. Until there are more than ddof, mean is 0 and deviation 1.
    """

    def __init__(self, mean: Array, var: Array, count: int, rule: NormalizerRule) -> None:
        self.mean, self.var, self.count, self.rule = mean, var, count, rule
        std = np.sqrt(np.maximum(var, rule.var_floor))
        # x / inf is 0 for every finite x.
        self.std = np.where(std < rule.min_std, np.inf, std)

    def __call__(self, x: Array) -> Array:
        """Normalise `x`: float64 [obs_dim] -> float64 [obs_dim], a new array."""
        y: Array = (x - self.mean) / self.std
        if self.rule.clip is not None:
            np.clip(y, -self.rule.clip, self.rule.clip, out=y)
        return y

    def state(self) -> State:
        """Everything that `from_state` needs."""
        arrays = {"mean": self.mean, "var": self.var}
        return State(arrays, {"count": self.count, "rule": asdict(self.rule)})

    @classmethod
    def from_state(cls, state: State, size: int) -> Normalizer:
        """The normaliser of observations of `size` numbers that has this state.

        Raises: ValueError naming the array or value that is not right.
        """
        mean, var = state.array("mean", (size,)), state.array("var", (size,))
        if not np.isfinite(mean).all():
            raise state.error("mean", "is not finite")
        # An infinite variance is one too large to square: its component normalises to 0.
        if not (var >= 0).all():
            raise state.error("var", "is negative or not a number")
        rule = NormalizerRule.from_state(state.nested("rule"))
        return cls(mean, var, state.count("count"), rule)


@dataclass
class RunningMeanStd:
    """Count, mean and sum of squared deviations (`m2`) of vectors: float64 [obs_dim]."""

    mean: Array
    m2: Array
    count: int = 0
    _scratch: tuple[Array, Array] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._scratch = np.empty_like(self.mean), np.empty_like(self.mean)

    def __reduce__(self) -> tuple[type[RunningMeanStd], tuple[Array, Array, int]]:
        """Pickled without the scratch space, which would double what a rollout sends back."""
        return RunningMeanStd, (self.mean, self.m2, self.count)

    @classmethod
    def zeros(cls, size: int) -> RunningMeanStd:
        """Statistics of no observation at all."""
        return cls(np.zeros(size), np.zeros(size))

    @classmethod
    def of(cls, vectors: Array) -> RunningMeanStd:
        """Statistics of vectors at once: float64 [n, obs_dim]."""
        mean = vectors.mean(axis=0)
        return cls(mean, np.square(vectors - mean).sum(axis=0), len(vectors))

    def update(self, x: Array) -> None:
        """Welford's step for one observation, float64 [obs_dim]."""
        before, after = self._scratch
        self.count += 1
        np.subtract(x, self.mean, out=before)
        np.divide(before, self.count, out=after)
        np.add(self.mean, after, out=self.mean)
        np.subtract(x, self.mean, out=after)
        np.multiply(before, after, out=before)
        np.add(self.m2, before, out=self.m2)

    def merge(self, other: RunningMeanStd) -> None:
        """Take in another's observations (Chan et al., equation 2.1)."""
        if other.count == 0:
            return
        if self.count == 0:
            self.mean[:], self.m2[:], self.count = other.mean, other.m2, other.count
            return
        total = self.count + other.count
        delta = other.mean - self.mean
        # Deviations beyond 1e154 square to inf: such a component normalises to 0, never to NaN.
        with np.errstate(over="ignore"):
            self.mean += delta * (other.count / total)
            self.m2 += other.m2 + delta * delta * (self.count * other.count / total)
        self.count = total

    def freeze(self, rule: NormalizerRule) -> Normalizer:
        """The transformation these statistics give now; later updates do not touch it."""
        if self.count <= rule.ddof:
            return Normalizer(np.zeros_like(self.mean), np.ones_like(self.m2), self.count, rule)
        return Normalizer(self.mean.copy(), self.m2 / (self.count - rule.ddof), self.count, rule)

    def state(self) -> State:
        """Everything that `restore` needs."""
        return State({"mean": self.mean, "m2": self.m2}, {"count": self.count})

    def restore(self, state: State) -> None:
        """Take back a `state` of vectors of the same size. Raises: ValueError."""
        shape = self.mean.shape
        self.mean, self.m2 = state.array("mean", shape).copy(), state.array("m2", shape).copy()
        self.count = state.count("count")
