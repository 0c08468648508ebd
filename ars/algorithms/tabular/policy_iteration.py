"""Policy iteration (Howard, 1960; Sutton and Barto, 2018, section 4.3).

    evaluation     V(s) <- sum_s' p(s'|s, pi(s)) (r + gamma V(s'))    until no value changes
    improvement    pi(s) <- argmax_a sum_s' p(s'|s, a) (r + gamma V(s'))

until neither the policy nor its values change any more. Under a policy that never ends an
undiscounted evaluation would not end either, so it is left after `evaluation_sweeps` at the latest
(modified policy iteration, Puterman and Shin, 1978), which leads to the same values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import TrainingContext
from ars.algorithms.tabular.planning import Planner, PlanningConfig
from ars.common.settings import LARGE, setting


@dataclass(frozen=True)
class PolicyIterationConfig(PlanningConfig):
    """Settings of policy iteration. An iteration is an evaluation and an improvement."""

    evaluation_sweeps: int = setting(
        1000, "most sweeps in the evaluation of a policy", at_least=1, at_most=LARGE
    )


class PolicyIteration(Planner):
    """Policy iteration, from the policy that takes the first action everywhere."""

    Config = PolicyIterationConfig
    patience = 16

    def __init__(self, config: PolicyIterationConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self._states = np.arange(self._shape[0])

    def _sweep(self) -> NDArray[np.float64]:
        # The policy is what the table of the iteration before says.
        policy = np.array(self.table).argmax(axis=1)
        # 1. Evaluate it.
        for _ in range(self.config.evaluation_sweeps):
            before = self.values
            self.values = self.lookahead(before)[self._states, policy]
            self.timesteps += len(self.values)
            scale = max(1.0, float(np.abs(self.values).max()))
            if np.abs(self.values - before).max() <= self.config.tolerance * scale:
                break
        # 2. Improve it: the next iteration takes the best actions by these values.
        self.timesteps += self.policy.spec.n_weights
        return self.lookahead(self.values)
