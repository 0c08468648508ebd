"""What methods share that learn: episodes of an epsilon-greedy policy, each of them whole."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.objective import WeightSchedule
from ars.algorithms.schedules import (
    Scheduled,
    epsilon_end_setting,
    epsilon_start_setting,
    exploration_steps_setting,
    horizon_setting,
    schedule_setting,
)
from ars.algorithms.tabular.base import TabularAlgorithm, TabularConfig
from ars.common.errors import RunError
from ars.common.seeding import Stream, generator
from ars.common.settings import LARGE, setting
from ars.experience.recent import RecentEpisodes
from ars.experience.states import SteppedEnv, SteppedModel, World, find_model
from ars.rollout.pool import Pool
from policies.state import State


@dataclass(frozen=True)
class LearningConfig(TabularConfig):
    """Settings of methods that learn from episodes. An iteration is `n_episodes` whole episodes."""

    n_episodes: int = setting(100, "episodes in an iteration", at_least=1, at_most=LARGE)
    epsilon_start: float = epsilon_start_setting(1.0)
    epsilon_end: float = epsilon_end_setting(0.1)
    exploration_steps: int = exploration_steps_setting(10_000)


@dataclass(frozen=True)
class TDConfig(LearningConfig):
    """Settings of temporal-difference methods."""

    learning_rate: float = setting(
        0.1, "part of the way to its target that a value goes (alpha)", above=0, at_most=1
    )
    learning_rate_schedule: str = schedule_setting()
    horizon: int | None = horizon_setting()


class Learner(Scheduled, TabularAlgorithm):
    """Learns from episodes that an epsilon-greedy policy plays.

    Epsilon and the step size keep the value that they have at an episode's start.
    """

    plays: ClassVar[str] = "the last 100 training episodes, some of their actions random"

    def __init__(self, config: LearningConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self.rng = generator(context.seed, Stream.ACTIONS)
        self._recent = RecentEpisodes(context.objective)
        self._reward_weights = WeightSchedule(config, context.env_id, context.objective)
        model, is_drawn, limit = find_model(context.env_id, context.env_kwargs)
        most = min(config.most_steps, limit or config.most_steps)
        self.world: World
        if model is not None and is_drawn:
            self.world = SteppedModel(model, context.seed, most)
        else:
            self.world = SteppedEnv(
                context.env_id,
                context.env_kwargs,
                self.observation,
                self.action,
                context.seed,
                most,
                context.objective,
                config.end_when_down,
            )

    @abstractmethod
    def _learn_episode(self) -> None:
        """Play one episode and learn from it."""

    def iterate(self, pool: Pool) -> Row:
        """Learn from `n_episodes` episodes; the pool is not used.

        The row's returns and lengths are those of the last 100 episodes.
        """
        self._uniforms = _uniforms(self.rng)
        for _ in range(self.config.n_episodes):
            self.world.weigh_by(self._reward_weights.at(self.timesteps))
            self._learn_episode()
            played = self.world.finished()
            self._recent.add([played])
            self.timesteps += played.length
            self.episodes += 1
        self._check_finite()
        self.iteration += 1
        row = {**self._recent.returns(), "epsilon": self.epsilon, **self._rates()}
        return {**row, **self._recent.objective()}

    def _check_finite(self) -> None:
        """Raises: RunError where values have grown beyond all numbers."""
        if not np.isfinite(self.table).all():
            raise RunError(
                f"values are not finite in iteration {self.iteration + 1}: rewards are too large, "
                "or `learning_rate` is"
            )

    def _rates(self) -> dict[str, float]:
        """Columns of the step size, where there is one."""
        return {}

    def _act(self, state: int) -> int:
        """A random action with probability epsilon, else the first of the best."""
        u, epsilon = next(self._uniforms), self._epsilon
        if u < epsilon:  # then u / epsilon is uniform from 0 to 1
            return min(int(u / epsilon * self._shape[1]), self._shape[1] - 1)
        row = self.table[state]
        return row.index(max(row))

    def _begin(self) -> int:
        """Begin the next episode; returns its first state."""
        self._epsilon = self.epsilon
        return self.world.reset(self.episodes)

    def state(self) -> State:
        """Also the random numbers and the latest episodes; none is in progress."""
        state = super().state()
        state.values["rng"] = self.rng.bit_generator.state
        state.add("recent", self._recent)
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        state.restore_generator("rng", self.rng)
        state.restore("recent", self._recent)

    def environments_lent(self) -> AbstractContextManager[None]:
        return self._lent()

    @contextmanager
    def _lent(self) -> Iterator[None]:
        self.world.close()
        yield

    def close(self) -> None:
        self.world.close()


class TDLearner(Learner):
    """Learns after every step, towards a target that the next state's values make."""

    def _begin(self) -> int:
        self._alpha = self._scheduled("learning_rate")
        return super()._begin()

    def _rates(self) -> dict[str, float]:
        return {"learning_rate": self._scheduled("learning_rate")}


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Uniform numbers from 0 to 1, drawn by the thousand."""
    while True:
        yield from rng.random(1000).tolist()
