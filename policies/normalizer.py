"""Online normalisation of observations: Welford increments, exact merges, frozen snapshots.

A rollout's statistics are updated step by step (Welford, 1962), and those of two rollouts are
merged as in Chan, Golub and LeVeque (1979). Each rollout returns its own statistics and they are
merged in a fixed order, so a learning curve does not depend on which worker ran which rollout.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from policies.state import State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NormalizerRule:
    """How the statistics are turned into a transformation.

    Attributes:
        ddof: 1 for the sample standard deviation, 0 for the population's.
        var_floor: smallest variance used; 0 for no floor.
        min_std: components with a smaller standard deviation carry no information and become 0.
        clip: bound on the absolute normalised value, or None.
    """

    ddof: int = 1
    var_floor: float = 0.0
    min_std: float = 1e-7
    clip: float | None = None

    @classmethod
    def from_state(cls, state: State) -> NormalizerRule:
        """Read a rule from the values of a state. Raises: ValueError."""
        return cls(
            state.count("ddof", at_most=1),
            state.number("var_floor", at_least=0),
            state.number("min_std", at_least=0),
            state.optional_number("clip", at_least=0),
        )


class Normalizer:
    """The fixed transformation `x -> (x - mean) / std` of float64 [obs_dim].

    Args:
        mean: float64 [obs_dim].
        var: float64 [obs_dim], computed with the rule's ddof, before its floor and `min_std`.
        count: number of observations. Until it exceeds ddof, the mean is 0 and the variance 1.
        rule: how the statistics are used.
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
        """Return everything that `from_state` needs."""
        arrays = {"mean": self.mean, "var": self.var}
        return State(arrays, {"count": self.count, "rule": asdict(self.rule)})

    @classmethod
    def from_state(cls, state: State, size: int) -> Normalizer:
        """Rebuild the normaliser for observations of `size` numbers.

        Raises: ValueError, naming the invalid array or value.
        """
        mean = state.array("mean", (size,))
        # A variance is infinite if a deviation was too large to square; x normalises to 0 then.
        var = state.array("var", (size,), at_least=0, at_most=math.inf)
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
        """Pickle without the scratch space, which would double the size of a rollout's result."""
        return RunningMeanStd, (self.mean, self.m2, self.count)

    @classmethod
    def zeros(cls, size: int) -> RunningMeanStd:
        """Return the statistics of zero observations."""
        return cls(np.zeros(size), np.zeros(size))

    @classmethod
    def of(cls, vectors: Array) -> RunningMeanStd:
        """Return the statistics of several vectors: float64 [n, obs_dim]."""
        mean = vectors.mean(axis=0)
        return cls(mean, np.square(vectors - mean).sum(axis=0), len(vectors))

    def update(self, x: Array) -> None:
        """Add one observation, float64 [obs_dim], by Welford's update."""
        before, after = self._scratch
        self.count += 1
        np.subtract(x, self.mean, out=before)
        np.divide(before, self.count, out=after)
        np.add(self.mean, after, out=self.mean)
        np.subtract(x, self.mean, out=after)
        np.multiply(before, after, out=before)
        np.add(self.m2, before, out=self.m2)

    def merge(self, other: RunningMeanStd) -> None:
        """Add the observations of other statistics (Chan et al., equation 2.1)."""
        if other.count == 0:
            return
        if self.count == 0:
            self.mean[:], self.m2[:], self.count = other.mean, other.m2, other.count
            return
        total = self.count + other.count
        # Deviations beyond 1e154 square to inf. Such a component normalises to 0, never to NaN.
        with np.errstate(over="ignore", invalid="ignore"):
            delta = other.mean - self.mean
            self.mean += delta * (other.count / total)
            self.m2 += other.m2 + delta * delta * (self.count * other.count / total)
        self.count = total

    def freeze(self, rule: NormalizerRule) -> Normalizer:
        """Return the current transformation; later updates do not change it."""
        if self.count <= rule.ddof:
            return Normalizer(np.zeros_like(self.mean), np.ones_like(self.m2), self.count, rule)
        return Normalizer(self.mean.copy(), self.m2 / (self.count - rule.ddof), self.count, rule)

    def state(self) -> State:
        """Return everything that `restore` needs."""
        return State({"mean": self.mean, "m2": self.m2}, {"count": self.count})

    def restore(self, state: State) -> None:
        """Restore a `state` of vectors of the same size. Raises: ValueError."""
        shape = self.mean.shape
        self.mean = state.array("mean", shape).copy()
        self.m2 = state.array("m2", shape, at_least=0, at_most=math.inf).copy()
        self.count = state.count("count")
