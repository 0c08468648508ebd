"""Q-learning (Watkins, 1989; Sutton and Barto, 2018, section 6.5).

    Q(s, a) <- Q(s, a) + alpha (r + gamma max_b Q(s', b) - Q(s, a))

It learns the values of the best actions while it takes others to explore (off-policy).
"""

from __future__ import annotations

from ars.algorithms.tabular.learning import TDConfig, TDLearner


class QLearning(TDLearner):
    """Q-learning."""

    Config = TDConfig

    def _learn_episode(self) -> None:
        q, gamma, act, step = self.table, self.config.gamma, self._act, self.world.step
        s, ended = self._begin(), False
        alpha = self._alpha
        while not ended:
            a = act(s)
            s_next, r, terminated, ended = step(a)
            target = r if terminated else r + gamma * max(q[s_next])
            q[s][a] += alpha * (target - q[s][a])
            s = s_next
