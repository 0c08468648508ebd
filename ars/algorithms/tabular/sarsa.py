"""SARSA (Rummery and Niranjan, 1994; Sutton and Barto, 2018, section 6.4).

    Q(s, a) <- Q(s, a) + alpha (r + gamma Q(s', a') - Q(s, a))

where a' is the action that is taken next. It learns the values of what it does, exploration
included (on-policy).
"""

from __future__ import annotations

from ars.algorithms.tabular.learning import TDConfig, TDLearner


class SARSA(TDLearner):
    """SARSA."""

    Config = TDConfig

    def _learn_episode(self) -> None:
        q, gamma, act, step = self.table, self.config.gamma, self._act, self.world.step
        s, ended = self._begin(), False
        a, alpha = act(s), self._alpha
        while not ended:
            s_next, r, terminated, ended = step(a)
            a_next = act(s_next)
            target = r if terminated else r + gamma * q[s_next][a_next]
            q[s][a] += alpha * (target - q[s][a])
            s, a = s_next, a_next
