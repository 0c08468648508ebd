"""Some of a run's training environments, stepped one after another in one process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from numpy.typing import NDArray

from ars.common.errors import RolloutError, RunError, failures, one_line
from ars.common.host import (
    close_env,
    make_env,
    take_back_at_every_step,
    take_back_files,
    take_back_signals,
)
from ars.common.resources import within_memory
from ars.common.seeding import Stream, reset_seed
from ars.rollout.interface import as_array, first_observation, take_step
from envs.objective import NOTHING_KNOWN, Objective, ObjectiveSpec, Tally
from policies import DiscreteSpec, FiniteSpec, observation_spec, space_spec


class Step(NamedTuple):
    """The result of one step of n environments, in new arrays every time.

    Attributes:
        obs: [n, *shape], to act on next; of the next episode where one ended.
        rewards: float64 [n].
        terminated: bool [n].
        truncated: bool [n], never where `terminated`.
        final_obs: [n, *shape], what each action led to: the episode's last observation where it
            ended. The same array as `obs` if no episode ended.
        cut: bool [n], where the environment says that returns may end although the episode goes on
            (`info["cut_returns"]`, as `envs.atari` does for a lost life); None if nowhere.
        tallies: of each episode that ended, in the order of the environments.
    """

    obs: NDArray[Any]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_obs: NDArray[Any]
    cut: NDArray[np.bool_] | None = None
    tallies: tuple[Tally, ...] = ()


class Replayed(NamedTuple):
    """Where episodes came to by their reset seeds and actions.

    Attributes:
        obs: [n, *shape].
        returns: float64 [n], the sums of the rewards.
        ended: bool [n], where an episode ended on the way, which it had not when it was played.
    """

    obs: NDArray[Any]
    returns: NDArray[np.float64]
    ended: NDArray[np.bool_]


@dataclass(frozen=True)
class GroupSpec:
    """What a run's training environments share; attributes as the arguments of `VectorEnv`."""

    env_id: str
    env_kwargs: Mapping[str, Any]
    seed: int
    rollout_length: int
    objective: ObjectiveSpec = NOTHING_KNOWN
    end_when_down: bool = False
    obs_dtype: str | None = None


class EnvGroup:
    """Some of a run's environments.

    Args:
        spec: what all of them share.
        indices: which of them these are.
    """

    def __init__(self, spec: GroupSpec, indices: Sequence[int]) -> None:
        self._env_id, self._indices, self._seed = spec.env_id, list(indices), spec.seed
        self._made = made = self._make(spec.env_kwargs)
        space = observation_spec(made[0].observation_space)
        self._shape, self._dtype = space.shape, np.dtype(spec.obs_dtype or space.dtype)
        self._states = space if isinstance(space, FiniteSpec) else None
        action = space_spec(made[0].action_space, "action")
        self._discrete = isinstance(action, DiscreteSpec)
        self._envs, limit = _without_counting_wrappers(made)
        self._limit = min(spec.rollout_length, limit or spec.rollout_length)
        self._objectives = [Objective(env, spec.objective) for env in made]
        self._in_info, self._end_when_down = self._objectives[0].in_info, spec.end_when_down
        self.weigh_by(None)
        self._episodes = [0] * len(made)
        self._lengths = [0] * len(made)

    def _make(self, env_kwargs: Mapping[str, Any]) -> list[gymnasium.Env[Any, Any]]:
        """The environments. Raises: RolloutError, RunError; none stays open then."""
        what = f"{len(self._indices)} environments in one process (`n_envs`)"
        made: list[gymnasium.Env[Any, Any]] = []
        try:
            for _ in within_memory(self._indices, what):
                made.append(make_env(self._env_id, env_kwargs))
        except failures() as error:
            for env in made:
                close_env(env, self._env_id)
            if isinstance(error, RunError):  # not of the environment
                raise
            name = f"{self._env_id}: training environment {self._indices[len(made)]}"
            raise RolloutError(f"{name} cannot be made: {one_line(error)}") from error
        return made

    def weigh_by(self, weights: Sequence[float] | None) -> None:
        """Weigh the terms of every reward from the next step on; None: the true rewards."""
        for objective in self._objectives:
            objective.weigh_by(weights, self._end_when_down)

    def restart(self, episodes: Sequence[int], actions: Sequence[NDArray[Any]]) -> Replayed:
        """Reset every environment to its numbered episode and replay actions.

        Args:
            episodes: the number of each environment's episode.
            actions: of each environment since the reset.
        """
        self._episodes = list(episodes)
        replayed = [self._replay(at, taken) for at, taken in enumerate(actions)]
        obs, returns, ended = zip(*replayed, strict=True)
        return Replayed(np.stack(obs), np.array(returns, np.float64), np.array(ended, np.bool_))

    def begin_anew(self, which: Sequence[int]) -> NDArray[Any]:
        """Begin the next episode of the environments `which`: returns [len(which), *shape]."""
        for at in which:
            self._episodes[at] += 1
        return np.stack([self._reset(at) for at in which])

    def _as_array(self, shown: Any) -> NDArray[Any]:
        """An observation as an array. Raises: ValueError where it is none of the space's."""
        obs = as_array(shown, self._dtype, self._shape)
        if self._states is not None:
            self._states.state(obs)
        return obs

    def _replay(self, at: int, actions: NDArray[Any]) -> tuple[NDArray[Any], float, bool]:
        obs, total, ended = self._reset(at), 0.0, False
        try:
            for action in self._each(actions):
                shown, reward, ends, stops, info = take_step(self._envs[at], action)
                obs = self._as_array(shown)
                self._lengths[at] += 1
                if self._in_info:
                    reward = self._objectives[at].weigh(reward, info)
                total += reward
                ended = ends or stops or self._lengths[at] >= self._limit
                if ended:
                    break
        except failures() as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        return obs, total, ended

    def _reset(self, at: int) -> NDArray[Any]:
        index, episode = self._indices[at], self._episodes[at]
        self._lengths[at] = 0
        try:
            seed = reset_seed(self._seed, Stream.TRAINING, index, episode)
            shown, info = first_observation(self._envs[at].reset(seed=seed))
            obs = self._as_array(shown)
            self._objectives[at].begin(info)
        except failures() as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        finally:
            take_back_files()
            if take_back_signals():
                take_back_at_every_step(self._envs[at])
        if obs.dtype.kind == "f" and not np.isfinite(obs).all():
            raise RolloutError(f"{self._where(at)}: observation is not finite")
        return obs

    def _each(self, actions: NDArray[Any]) -> Iterable[Any]:
        """The action of each environment: a NumPy integer, or an array for a Box."""
        if actions.ndim > 1 or self._discrete:
            return actions
        return (actions[at, ...] for at in range(len(actions)))  # of a Box without dimensions

    def step(
        self, actions: NDArray[Any], lost: Mapping[int, NDArray[Any]] = MappingProxyType({})
    ) -> Step:
        """Step every environment; one whose episode ended is reset.

        Args:
            actions: [n], or [n, *shape].
            lost: the last observations of episodes that are over, though they were not meant to
                be: they are truncated there, without a step.
        """
        n = len(self._envs)
        final_obs, rewards = np.empty((n, *self._shape), self._dtype), np.empty(n)
        terminated, truncated = np.zeros((2, n), np.bool_)
        ended: list[int] = []
        tallies: list[Tally] = []
        cut: list[int] = []
        at = 0
        try:
            for at, action in enumerate(self._each(actions)):
                if at in lost:
                    final_obs[at], rewards[at], truncated[at] = lost[at], 0.0, True
                    ended.append(at)
                    tallies.append(self._objectives[at].end())
                    continue
                obs, reward, ends, stops, info = take_step(self._envs[at], action)
                final_obs[at] = self._as_array(obs)
                if self._in_info:
                    reward = self._objectives[at].weigh(reward, info)
                rewards[at] = reward
                length = self._lengths[at] = self._lengths[at] + 1
                if ends or stops or length >= self._limit:
                    ended.append(at)
                    tallies.append(self._objectives[at].end(info))
                    (terminated if ends else truncated)[at] = True
                if info.get("cut_returns"):
                    cut.append(at)
        except failures() as error:
            raise RolloutError(f"{self._where(at)}: {one_line(error)}") from error
        step = Step(final_obs, rewards, terminated, truncated, final_obs)
        self._check(step)
        if cut:
            step = step._replace(cut=np.isin(np.arange(n), cut))
        if ended:
            step = step._replace(obs=final_obs.copy(), tallies=tuple(tallies))
            for at in ended:
                self._episodes[at] += 1
                step.obs[at] = self._reset(at)
        return step

    def _check(self, step: Step) -> None:
        """Raises: RolloutError where a reward or an observation is not finite."""
        for name, values in (("reward", step.rewards), ("observation", step.final_obs)):
            # A cheap test first: the sum is finite unless an element is not, or it overflows.
            if values.dtype.kind != "f" or np.isfinite(np.add.reduce(values, axis=None)):
                continue
            for at, value in enumerate(values):
                if not np.isfinite(value).all():
                    found = f"is {value}" if name == "reward" else "is not finite"
                    raise RolloutError(f"{self._where(at)}: {name} {found}")

    def _where(self, at: int) -> str:
        return (
            f"{self._env_id}, training environment {self._indices[at]}, "
            f"episode {self._episodes[at]}, step {self._lengths[at]}"
        )

    def close(self) -> None:
        """Close every environment; safe to call twice."""
        made, self._made = self._made, []
        for env in made:
            close_env(env, self._env_id)


def _without_counting_wrappers(
    made: Sequence[gymnasium.Env[Any, Any]],
) -> tuple[list[gymnasium.Env[Any, Any]], int | None]:
    """Environments without the wrappers that only count and check steps, and the step limit.

    These wrappers take a tenth of CartPole's time.
    """
    limit, bare = None, []
    for wrapped in made:
        env = wrapped
        while type(env) in (TimeLimit, OrderEnforcing):
            if isinstance(env, TimeLimit):
                limit = min(env._max_episode_steps, limit or env._max_episode_steps)
            env = env.env  # type: ignore[attr-defined]  # of a wrapper
        bare.append(env)
    return bare, limit
