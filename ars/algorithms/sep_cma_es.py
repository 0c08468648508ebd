"""Separable CMA-ES (Ros and Hansen, 2008, "A Simple Modification in CMA-ES Achieving Linear Time
and Space Complexity").

An evolution strategy with a normal distribution over the weights, of mean theta and covariance
sigma^2 diag(c). Each iteration draws N candidates, and the better half of them, weighted by rank,
moves the mean; the paths that the mean has taken adapt sigma and c. The constants are those of
Hansen's tutorial (arXiv 1604.00772) with the learning rates of c raised by (n + 2)/3 for n weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.parameter_search import NormalizingConfig, ParameterSearch
from ars.common.errors import RunError, UsageError
from ars.common.settings import setting
from ars.common.statistics import norm
from policies.state import State

LARGEST_SIGMA = 1e50


@dataclass(frozen=True)
class SepCMAESConfig(NormalizingConfig):
    """Settings of separable CMA-ES; N directions are its population."""

    delta_std: float = setting(0.1, "standard deviation of the weights at first (sigma)", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_directions < 2:
            raise UsageError(f"`n_directions` {self.n_directions}: must be at least 2")

    @property
    def idle(self) -> dict[str, str]:
        pairs = {"common_seeds": "without pairs: each direction is played once"}
        return super().idle | (pairs if self.common_seeds == "pair" else {})


class Constants:
    """The constants of the tutorial's table 1, for a population on n weights."""

    def __init__(self, population: int, n: int) -> None:
        raw = [math.log((population + 1) / 2) - math.log(i) for i in range(1, population // 2 + 1)]
        total = math.fsum(raw)
        self.weights = [weight / total for weight in raw]
        self.mass = mass = 1 / math.fsum(weight * weight for weight in self.weights)
        # Of the path of sigma, and how slowly sigma follows it.
        self.c_sigma = (mass + 2) / (n + mass + 5)
        far = max(0.0, math.sqrt((mass - 1) / (n + 1)) - 1)
        self.damping = 1 + 2 * far + self.c_sigma
        # Of the path of c, and of c by that path and by the candidates.
        self.c_path = (4 + mass / n) / (n + 4 + 2 * mass / n)
        faster = (n + 2) / 3  # n variances are learned sooner than a matrix of n^2
        by_path = 2 / ((n + 1.3) ** 2 + mass)
        self.c_1 = min(1.0, faster * by_path)
        by_rank = 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass)
        self.c_mu = min(1 - self.c_1, faster * by_rank)
        # About the mean length of a standard normal vector.
        self.length = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))


class SepCMAES(ParameterSearch):
    """Separable CMA-ES."""

    Config = SepCMAESConfig
    signs = (+1,)
    _calmer = "a lower `delta_std`"

    config: SepCMAESConfig

    def __init__(self, config: SepCMAESConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        size = self.policy.spec.n_weights
        self._sigma = config.delta_std
        self._c = np.ones(size)
        self._sigma_path, self._c_path = np.zeros(size), np.zeros(size)

    @property
    def delta_std(self) -> NDArray[np.float64]:
        """The deviation of every weight."""
        deviations: NDArray[np.float64] = self._sigma * np.sqrt(self._c)
        return deviations

    def _move(self, scored: list[int], scores: NDArray[np.float64]) -> tuple[list[int], Row]:
        step_norm = 0.0
        used = sorted(scored, key=lambda k: (-scores[k, 0], k))[: len(scored) // 2]
        if not used:
            self.context.notify_once(
                "no step where fewer than two candidates are left", self.iteration + 1
            )
        else:
            step_norm = self._recombine(used, Constants(len(scored), self._c.size))
        return sorted(used), {"step_norm": step_norm, "sigma": self._sigma}

    def _recombine(self, best: list[int], constants: Constants) -> float:
        """Move the mean to the weighted mean of the `best`, in their order; adapt sigma and c."""
        k, scales = constants, np.sqrt(self._c)
        mean, spread = np.zeros_like(scales), np.zeros_like(scales)
        for weight, index in zip(k.weights, best, strict=True):
            delta = self._direction(index)
            mean += weight * delta
            spread += weight * (delta * delta)
        # 1. The path of sigma is longer than a random walk's where steps go the same way.
        a = k.c_sigma
        sigma_path = (1 - a) * self._sigma_path + math.sqrt(a * (2 - a) * k.mass) * mean
        length = norm(sigma_path.tolist())
        begun = 1 - (1 - a) ** (2 * (self.iteration + 1))
        # 2. The path of c stands still while sigma is far too small, else c would grow too.
        steady = length < (1.4 + 2 / (mean.size + 1)) * k.length * math.sqrt(begun)
        a = k.c_path
        c_path = (1 - a) * self._c_path
        if steady:
            c_path = c_path + math.sqrt(a * (2 - a) * k.mass) * (scales * mean)
        # 3. The variances of the path and of the best candidates.
        lost = 0.0 if steady else k.c_1 * a * (2 - a)
        kept = 1 - k.c_1 - k.c_mu + lost
        path, candidates = c_path * c_path, self._c * spread
        c = kept * self._c + k.c_1 * path + k.c_mu * candidates
        sigma = self._sigma * math.exp(min(1.0, k.c_sigma / k.damping * (length / k.length - 1)))
        if not sigma < LARGEST_SIGMA:
            raise RunError(f"iteration {self.iteration + 1}: sigma is {sigma:.0e}")
        step_norm = self._take(self._sigma * scales * mean)  # or nothing changes
        self._sigma_path, self._c_path, self._c, self._sigma = sigma_path, c_path, c, sigma
        return step_norm

    def state(self) -> State:
        """The distribution and its paths as well."""
        state = super().state()
        state.arrays |= {
            "sigma": np.array([self._sigma]),
            "c": self._c,
            "sigma_path": self._sigma_path,
            "c_path": self._c_path,
        }
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        shape = self._c.shape
        self._sigma = float(state.array("sigma", (1,), at_least=0)[0])
        self._c = state.array("c", shape, at_least=0)
        self._sigma_path, self._c_path = (state.array(f"{x}_path", shape) for x in ("sigma", "c"))
