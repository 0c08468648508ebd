"""Expected SARSA (van Seijen et al., 2009; Sutton and Barto, 2018, section 6.6).

    Q(s, a) <- Q(s, a) + alpha (r + gamma sum_b pi(b|s') Q(s', b) - Q(s, a))

with pi the epsilon-greedy policy that plays: SARSA without the chance in its next action.
"""

from __future__ import annotations

from ars.algorithms.tabular.learning import TDConfig, TDLearner


class ExpectedSARSA(TDLearner):
    """Expected SARSA."""

    Config = TDConfig

    def _learn_episode(self) -> None:
        q, gamma, act, step = self.table, self.config.gamma, self._act, self.world.step
        s, ended = self._begin(), False
        alpha, epsilon = self._alpha, self._epsilon
        while not ended:
            a = act(s)
            s_next, r, terminated, ended = step(a)
            row = q[s_next]
            expected = (1.0 - epsilon) * max(row) + epsilon * sum(row) / len(row)
            target = r if terminated else r + gamma * expected
            q[s][a] += alpha * (target - q[s][a])
            s = s_next
