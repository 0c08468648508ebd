"""What tabular methods share: a table Q(s, a) of a finite world.

What remains for each is the few lines of its textbook (Sutton and Barto, 2018): `_sweep` of a
method that plans (`planning`), `_learn_episode` of one that learns (`learning`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ars.algorithms import ALGORITHMS
from ars.algorithms.base import Algorithm, TrainingContext, check_same_network
from ars.algorithms.episode_length import EpisodeConfig
from ars.algorithms.policy_kinds import make_policy_that_fits
from ars.common.errors import UsageError
from ars.common.settings import setting
from ars.rollout.task import Snapshot
from policies import DiscreteSpec, FiniteSpec, Policy, observation_spec, space_spec
from policies.state import State

Table = list[list[float]]  # faster than an array for one number at a time


@dataclass(frozen=True)
class TabularConfig(EpisodeConfig):
    """Settings of every tabular method."""

    gamma: float = setting(0.99, "discount factor", at_least=0, at_most=1)


class TabularAlgorithm(Algorithm):
    """Learns `table`, a value for each action in each state; the policy takes the largest."""

    trains_in_pool: ClassVar[bool] = False
    learns_table: ClassVar[bool] = True

    def __init__(self, config: Any, context: TrainingContext) -> None:
        self.config, self.context = config, context
        self.observation, self.action = self._finite_spaces()
        self.policy = make_policy_that_fits("table", self.observation, self.action)
        self._shape = self.observation.size, self.action.size
        self.table: Table = np.zeros(self._shape).tolist()

    @property
    def _name(self) -> str:
        """The algorithm's name for the user."""
        place = f"{type(self).__module__}:{type(self).__name__}"
        return next(name for name, one in ALGORITHMS.items() if one.entry_point == place)

    def _finite_spaces(self) -> tuple[FiniteSpec, DiscreteSpec]:
        """The spaces of states and actions. Raises: UsageError if they are not countable."""
        env_id = self.context.env_id
        observation = observation_spec(self.context.observation_space)
        action = space_spec(self.context.action_space, "action")
        if not isinstance(observation, FiniteSpec):
            with_network = "dqn" if isinstance(action, DiscreteSpec) else "ppo"
            raise UsageError(
                f"`algo` {self._name}: its table needs Discrete observations, and those of "
                f"{env_id} are a Box of shape {observation.shape}; {with_network} learns from them "
                "with a network"
            )
        if not isinstance(action, DiscreteSpec):
            raise UsageError(
                f"`algo` {self._name}: its table needs Discrete actions, and those of {env_id} are "
                f"a Box of shape {action.shape}; ppo takes both"
            )
        return observation, action

    def snapshot(self) -> Snapshot:
        return Snapshot(np.array(self.table).ravel())

    def start_from(self, policy: Policy) -> None:
        check_same_network(self.policy.spec, policy.spec, ("kind", "layer_sizes"))
        self.table = policy.weights.reshape(self._shape).tolist()

    def state(self) -> State:
        """Counters and table."""
        state = super().state()
        state.arrays["table"] = np.array(self.table)
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        self.table = state.array("table", self._shape).tolist()
