"""What methods share that plan: values from a world's model, sweep by sweep over all states."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.objective import WeightSchedule
from ars.algorithms.tabular.base import TabularAlgorithm, TabularConfig
from ars.common.errors import RunError, UsageError
from ars.common.settings import counted, setting
from ars.experience.states import find_model
from ars.rollout.pool import Pool
from policies import Policy
from policies.state import State


@dataclass(frozen=True)
class PlanningConfig(TabularConfig):
    """Settings of methods that plan with the world's model, and play no episode.

    A timestep is the value of one action in one state, computed from the model.
    """

    tolerance: float = setting(
        1e-13,
        "values have converged once none changes by more, or by more than this part of the largest",
        above=0,
    )


class Planner(TabularAlgorithm):
    """Computes values from transitions `P[s][a]`, sweep by sweep over all states.

    Attributes:
        values: V(s) of every state, float64 [n_states].
        change: the most that a value changed by in the last iteration.
        patience: iterations before values are checked for growing without end; twice as many as
            there are states where that is more, since each may reach only one more of them.
    """

    patience: ClassVar[int] = 1024

    plays: ClassVar[str] = ""
    latest_is_best: ClassVar[bool] = True  # nearer to the exact values with every sweep

    def __init__(self, config: PlanningConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        weights = WeightSchedule(config, context.env_id, context.objective)
        if weights.used or config.end_when_down:
            name = "reward_weights" if weights.used else "end_when_down"
            raise UsageError(f"`{name}`: planning takes the rewards of the model as they are")
        model, _, _ = find_model(context.env_id, context.env_kwargs)
        if model is None:
            raise UsageError(
                f"`algo` {self._name}: planning needs a model, transitions `P[s][a]`, and "
                f"{context.env_id} has none; q-learning learns without one"
            )
        rows = [
            (s * model.n_actions + a, probability, *outcome)
            for s, of in enumerate(model.outcomes)
            for a, outcomes in enumerate(of)
            for probability, outcome in zip(
                np.diff(model.heights[s][a], prepend=0.0).tolist(), outcomes, strict=True
            )
        ]
        pairs, probabilities, reached, rewards, terminated = zip(*rows, strict=True)
        self._pairs, self._reached = np.array(pairs), np.array(reached)
        self._probabilities, self._rewards = np.array(probabilities), np.array(rewards)
        self._goes_on = np.array(probabilities) * ~np.array(terminated)
        self._starts = model.starts
        self.values = np.zeros(model.n_states)
        self.change = np.inf
        self._changes: list[float] = []

    def lookahead(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Q(s, a) = sum over s' of p(s'|s, a) (r + gamma V(s')): float64 [n_states, n_actions]."""
        terms = self._probabilities * self._rewards
        terms += self.config.gamma * self._goes_on * values[self._reached]
        q = np.bincount(self._pairs, terms, self.policy.spec.n_weights)
        return q.reshape(self._shape).astype(np.float64, copy=False)

    @abstractmethod
    def _sweep(self) -> NDArray[np.float64]:
        """Compute new `values`, and count the sweeps in `timesteps`; returns Q of them."""

    def iterate(self, pool: Pool) -> Row:
        """One iteration of the method; the pool is not used."""
        before = self.values
        q = self._sweep()
        self.table = q.tolist()
        self.change = float(np.abs(self.values - before).max())
        self._changes.append(self.change)
        self.iteration += 1
        self._check_growth()
        return {"change": self.change, "start_value": float(self._starts @ self.values)}

    @property
    def converged(self) -> str | None:
        """Values have converged when none changes any more, nor would, but for rounding.

        Those of a policy that gets nothing anywhere do not change either, but are not the best.
        """
        least = self.config.tolerance * max(1.0, float(np.abs(self.values).max()))
        would_change = float(np.abs(np.array(self.table).max(axis=1) - self.values).max())
        if self.iteration and max(self.change, would_change) <= least:
            return f"values converged after {counted(self.iteration, 'iteration')}"
        return None

    def _check_growth(self) -> None:
        """Raises: RunError where values grow without end."""
        n = self.iteration
        # At powers of two; the first half of the changes may still be of states being reached.
        if n < max(self.patience, 2 * len(self.values)) or n & (n - 1):
            return
        late, early = (max(self._changes[end - n // 16 : end]) for end in (n, n // 2))
        if self.change > 0 and late >= 0.999 * early and self.converged is None:
            raise RunError(
                f"values still change by {self.change:.3g} in iteration {n:,}, no less than in "
                f"iteration {n // 2:,}: rewards add up without end; a `gamma` below 1 bounds them"
            )

    def start_from(self, policy: Policy) -> None:
        super().start_from(policy)
        self.values = np.array(self.table).max(axis=1)

    def state(self) -> State:
        """Also the values, and by how much they changed."""
        state = super().state()
        state.arrays |= {"values": self.values, "changes": np.array(self._changes)}
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        self.values = state.array("values", self.values.shape)
        self._changes = state.array("changes", (self.iteration,), at_least=0).tolist()
        self.change = self._changes[-1] if self._changes else np.inf
