"""Value iteration (Bellman, 1957; Sutton and Barto, 2018, section 4.4).

    V(s) <- max_a sum_s' p(s'|s, a) (r + gamma V(s'))        for all states at once

until no value changes any more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.tabular.planning import Planner, PlanningConfig


class ValueIteration(Planner):
    """Value iteration; an iteration is one sweep over all states."""

    Config = PlanningConfig

    def _sweep(self) -> NDArray[np.float64]:
        self.values = self.lookahead(self.values).max(axis=1)
        self.timesteps += self.policy.spec.n_weights
        return self.lookahead(self.values)
