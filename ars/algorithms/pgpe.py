"""Policy Gradients with Parameter-based Exploration, with ClipUp.

PGPE (Sehnke et al., 2010) searches with a normal distribution over the weights, mean theta and a
deviation of its own for each of them. N directions delta_k are played with both signs, and with
returns as centred ranks in [-1/2, 1/2]:

    g_theta = 1/N sum_k (r_k+ - r_k-)/2 sigma delta_k
    g_sigma = 1/N sum_k ((r_k+ + r_k-)/2 - mean) sigma (delta_k^2 - 1)

The deviations follow their gradient by small relative changes, the mean by ClipUp (Toklu, Liskowski
and Srivastava, 2020, arXiv 2008.02387): steps of one length, momentum and a bound on the speed:

    v <- m v + alpha g_theta / |g_theta|, at most `max_speed` long;  theta <- theta + v
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.parameter_search import NormalizingConfig, ParameterSearch
from ars.common.settings import setting
from ars.common.statistics import norm
from policies.state import State


@dataclass(frozen=True)
class PGPEConfig(NormalizingConfig):
    """Settings of PGPE with ClipUp."""

    step_size: float = setting(0.05, "what a gradient adds to the velocity (alpha)", above=0)
    momentum: float = setting(0.9, "of the velocity (m)", at_least=0, at_most=1)
    max_speed: float | None = setting(
        None, "largest norm of the velocity (default: twice `step_size`)", above=0
    )
    delta_std: float = setting(0.1, "standard deviation of the weights at first", above=0)
    delta_std_step_size: float = setting(0.1, "step size of the deviations", at_least=0)
    delta_std_max_change: float = setting(
        0.2, "largest change of a deviation in an iteration, relative to it", at_least=0, at_most=1
    )


class PGPE(ParameterSearch):
    """PGPE with ClipUp."""

    Config = PGPEConfig

    config: PGPEConfig

    def __init__(self, config: PGPEConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        size = self.policy.spec.n_weights
        self._deviations = np.full(size, config.delta_std)
        self._velocity = np.zeros(size)

    @property
    def delta_std(self) -> NDArray[np.float64]:
        """The deviation of every weight."""
        return self._deviations

    def _move(self, scored: list[int], scores: NDArray[np.float64]) -> tuple[list[int], Row]:
        step_norm = 0.0
        if not scored:
            self.context.notify_once(
                "no step where every direction is left out", self.iteration + 1
            )
        else:
            plus, minus = centred_ranks(scores[scored].T)
            gradient, of_deviations = self._gradients(scored, plus, minus)
            velocity = self._clip_up(gradient)
            step_norm = self._take(velocity)  # or nothing changes
            self._velocity = velocity
            self._follow(of_deviations)
        deviations = self._deviations.tolist()
        return scored, {"step_norm": step_norm, "delta_std_norm": norm(deviations)}

    def _gradients(
        self, scored: Sequence[int], plus: NDArray[np.float64], minus: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The gradients of the mean and of the deviations, float64 [n_weights] each."""
        gradient = np.zeros_like(self._deviations)
        of_deviations = np.zeros_like(self._deviations)
        # Centred ranks have a mean of 0: the baseline.
        for k, up, down in zip(scored, plus.tolist(), minus.tolist(), strict=True):
            delta = self._direction(k)
            gradient += (up - down) / 2 * (self._deviations * delta)
            of_deviations += (up + down) / 2 * (self._deviations * (delta * delta - 1.0))
        return gradient / len(scored), of_deviations / len(scored)

    def _follow(self, gradient: NDArray[np.float64]) -> None:
        """Move the deviations along their gradient."""
        config, old = self.config, self._deviations
        change = config.delta_std_max_change
        moved = old + config.delta_std_step_size * gradient
        self._deviations = np.clip(moved, (1 - change) * old, (1 + change) * old)

    def _clip_up(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """The velocity after a gradient."""
        config, length = self.config, norm(gradient.tolist())
        velocity = config.momentum * self._velocity
        if length > 0:
            velocity = velocity + config.step_size * (gradient / length)
        speed = norm(velocity.tolist())
        bound = 2 * config.step_size if config.max_speed is None else config.max_speed
        return velocity * (bound / speed) if speed > bound else velocity

    def state(self) -> State:
        """The distribution and the velocity as well."""
        state = super().state()
        state.arrays |= {"deviations": self._deviations, "velocity": self._velocity}
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        shape = self._deviations.shape
        self._deviations = state.array("deviations", shape, at_least=0)
        self._velocity = state.array("velocity", shape)


def centred_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from -1/2 (the lowest) to 1/2, of the same shape; equal scores share their mean."""
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    if scores.size == 1:
        return np.zeros_like(scores)
    first = np.cumsum(counts) - counts
    ranks: NDArray[np.float64] = (first + (counts - 1) / 2)[group.reshape(scores.shape)]
    return ranks / (scores.size - 1) - 0.5
