"""Steps one finite world, state by state, for methods that learn a table.

Where a world's every step is drawn from transitions that it shows (`envs.tabular.model`), they are
stepped without the environment: the same episodes, bit for bit, in a fraction of the time. Episode
k begins with the same seed either way, that of `VectorEnv`'s environment 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from gymnasium.utils import seeding

from ars.common.errors import RolloutError, failures, one_line
from ars.common.host import close_env, make_env, take_back_at_every_step, take_back_signals
from ars.common.seeding import Stream, reset_seed
from ars.experience.vector_env import EpisodeInfo
from ars.rollout.interface import first_observation, take_step
from envs.objective import Objective, ObjectiveSpec, Tally
from envs.tabular.model import Model, drawn, draws_from_model, model_of
from envs.time_limit import time_limit
from policies import DiscreteSpec, FiniteSpec


class World(Protocol):
    """A finite world that is stepped, one episode after another."""

    def reset(self, episode: int) -> int:
        """Begin a numbered episode of training; returns its first state."""

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """Take an action, counted from 0.

        Returns:
            The next state, the reward, whether the episode terminated, and whether it has ended,
            because it terminated or was cut short.

        Raises:
            RolloutError: the environment fails.
        """

    def finished(self) -> EpisodeInfo:
        """What the episode came to, once it has ended."""

    def weigh_by(self, weights: tuple[float, ...] | None) -> None:
        """Weigh the terms of every reward from the next step on; None: the true rewards."""

    def close(self) -> None:
        """Close the environment, if there is one; the next reset makes it again."""


class SteppedModel:
    """A world stepped by its model.

    Args:
        model: its transitions.
        seed: of the run.
        limit: the most steps in an episode.
    """

    def __init__(self, model: Model, seed: int, limit: int) -> None:
        self._model, self._seed, self._limit = model, seed, limit
        self._draws, self._start = model.draws, int(np.argmax(model.starts))
        self._random: Callable[[], float] = float
        self._s, self._total, self._length = 0, 0.0, 0

    def reset(self, episode: int) -> int:
        """Begin a numbered episode; returns its first state."""
        self._total, self._length, self._s = 0.0, 0, self._start
        if self._draws:  # where nothing is left to chance no generator is needed
            rng, _ = seeding.np_random(reset_seed(self._seed, Stream.TRAINING, 0, episode))
            self._random = rng.random
            self._s = drawn(self._model.start_heights, self._random())
        return self._s

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """Take an action; as in `World`."""
        outcomes = self._model.outcomes[self._s][action]
        heights = self._model.heights[self._s][action]
        at = drawn(heights, self._random()) if self._draws else 0
        self._s, reward, terminated = outcomes[at]
        self._total += reward
        self._length += 1
        ended = terminated or self._length >= self._limit or self._s in self._model.truncates_at
        return self._s, reward, terminated, ended

    def finished(self) -> EpisodeInfo:
        """What the episode came to."""
        return EpisodeInfo(self._total, self._length)

    def weigh_by(self, weights: tuple[float, ...] | None) -> None:
        """The rewards of a model have no terms."""

    def close(self) -> None:
        """There is no environment."""


class SteppedEnv:
    """A world stepped as an environment.

    Args:
        env_id: as for `envs.make`.
        env_kwargs: for `envs.make`.
        observation: its states.
        action: its actions.
        seed: of the run.
        limit: the most steps in an episode.
        objective: what is known of the reward.
        end_when_down: whether episodes end of a robot that is down.
    """

    def __init__(
        self,
        env_id: str,
        env_kwargs: Mapping[str, Any],
        observation: FiniteSpec,
        action: DiscreteSpec,
        seed: int,
        limit: int,
        objective: ObjectiveSpec,
        end_when_down: bool = False,
    ) -> None:
        self._env_id, self._env_kwargs, self._seed, self._limit = env_id, env_kwargs, seed, limit
        self._state_of, self._start = observation.state, np.int64(action.start)
        self._known, self._end_when_down = objective, end_when_down
        self._env: Any = None
        self._weights: tuple[float, ...] | None = None
        self._episode, self._total, self._length = 0, 0.0, 0
        self._tally = Tally(0.0, (), {})

    def _open(self) -> None:
        try:
            self._env = make_env(self._env_id, self._env_kwargs)
        except failures() as error:
            raise RolloutError(
                f"{self._env_id}: training environment 0 cannot be made: {one_line(error)}"
            ) from error
        self._objective = Objective(self._env, self._known)
        self._objective.weigh_by(self._weights, self._end_when_down)

    def reset(self, episode: int) -> int:
        """Begin a numbered episode; returns its first state."""
        if self._env is None:
            self._open()
        self._episode, self._total, self._length = episode, 0.0, 0
        try:
            seed = reset_seed(self._seed, Stream.TRAINING, 0, episode)
            obs, info = first_observation(self._env.reset(seed=seed))
            self._objective.begin(info)
            return self._state_of(obs)
        except failures() as error:
            raise RolloutError(f"{self._where()}: {one_line(error)}") from error
        finally:
            if take_back_signals():
                take_back_at_every_step(self._env)

    def step(self, action: int) -> tuple[int, float, bool, bool]:
        """Take an action; as in `World`."""
        try:
            obs, reward, terminated, truncated, info = take_step(self._env, self._start + action)
            state = self._state_of(obs)
            if not math.isfinite(reward):
                raise ValueError(f"reward is {reward}")
            self._total += reward
            if self._objective.in_info:
                reward = self._objective.weigh(reward, info)
            self._length += 1
            ended = terminated or truncated or self._length >= self._limit
            if ended:
                self._tally = self._objective.end(info)
            return state, reward, terminated, ended
        except failures() as error:
            raise RolloutError(f"{self._where()}: {one_line(error)}") from error

    def _where(self) -> str:
        return f"{self._env_id}, training episode {self._episode}, step {self._length}"

    def finished(self) -> EpisodeInfo:
        """What the episode came to."""
        return EpisodeInfo(self._total, self._length, self._tally.terms, self._tally.measures)

    def weigh_by(self, weights: tuple[float, ...] | None) -> None:
        """Weigh the terms of every reward from the next step on; None: the true rewards."""
        self._weights = weights
        if self._env is not None:
            self._objective.weigh_by(weights, self._end_when_down)

    def close(self) -> None:
        """Close the environment; the next reset makes it again."""
        if self._env is not None:
            close_env(self._env, self._env_id)
            self._env = None


def find_model(env_id: str, env_kwargs: Mapping[str, Any]) -> tuple[Model | None, bool, int | None]:
    """An environment's model, whether its every step is drawn from it, and its time limit.

    Raises: RolloutError if it cannot be made, or its `P` is no model.
    """
    try:
        env = make_env(env_id, env_kwargs)
        try:
            return model_of(env), draws_from_model(env), time_limit(env)
        finally:
            close_env(env, env_id)
    except failures() as error:
        raise RolloutError(f"{env_id}: {one_line(error)}") from error
