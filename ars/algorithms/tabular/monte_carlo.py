"""First-visit Monte Carlo control (Sutton and Barto, 2018, section 5.4).

After an episode, going back from its end, every action's value becomes the mean of the returns that
followed its first visit in each episode:

    G <- gamma G + r,    Q(s, a) <- Q(s, a) + (G - Q(s, a)) / N(s, a)

where N(s, a) counts the episodes with a visit. An episode that is cut short counts as ended.
"""

from __future__ import annotations

import numpy as np

from ars.algorithms.base import TrainingContext
from ars.algorithms.tabular.base import Table
from ars.algorithms.tabular.learning import Learner, LearningConfig
from policies.state import State


class MonteCarlo(Learner):
    """First-visit Monte Carlo control with an epsilon-greedy policy."""

    Config = LearningConfig

    def __init__(self, config: LearningConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self.visits: Table = np.zeros(self._shape).tolist()

    def _learn_episode(self) -> None:
        q, n, gamma = self.table, self.visits, self.config.gamma
        s, ended = self._begin(), False
        steps: list[tuple[int, int, float]] = []
        while not ended:
            a = self._act(s)
            s_next, r, _, ended = self.world.step(a)
            steps.append((s, a, r))
            s = s_next
        first = {(s, a): t for t, (s, a, _) in reversed(list(enumerate(steps)))}
        g = 0.0
        for t, (s, a, r) in reversed(list(enumerate(steps))):
            g = gamma * g + r
            if first[s, a] == t:
                n[s][a] += 1.0
                q[s][a] += (g - q[s][a]) / n[s][a]

    def state(self) -> State:
        """Also the counts of visits."""
        state = super().state()
        state.arrays["visits"] = np.array(self.visits)
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        self.visits = state.array("visits", self._shape, at_least=0).tolist()
