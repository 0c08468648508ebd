"""Checks an environment before training: its spaces, whether its episodes are reproducible, and
whether another one may exist beside it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np

import envs
from ars.common.errors import RolloutError, RunError, UsageError, failures, one_line
from ars.common.host import close_env, make_env
from ars.experience.env_group import GroupSpec
from ars.experience.env_processes import SubprocessGroup
from ars.rollout.episode import Episode, rollout
from ars.training.env_kwargs import why_refused
from ars.training.given_env import check_given
from ars.training.space_check import WatchingPolicy, better_dtype, clipped_to, coarse_in_float32
from envs.objective import Objective, ObjectiveSpec
from envs.time_limit import time_limit
from policies import BoxSpec, FiniteSpec, Policy, RunningMeanStd, UnsupportedSpace, make_policy

STEPS = 20


class Neighbours(NamedTuple):
    """What happens to two of an environment in one process: attributes of `Probe`."""

    conflict: str | None = None
    only_one: bool = False


@dataclass(frozen=True)
class Probe:
    """What is known of an environment before it is trained in.

    Attributes:
        observation_space: its own.
        action_space: its own.
        reproducible: whether it repeats an episode from its seed and actions.
        warnings: for the user.
        objective: what is known of the reward.
        obs_dtype: a type that observations fit, if that of their space is none.
        time_limit: the environment's own, in steps; None if it has none.
        seconds: that making it took.
        conflict: what happens to two of it in one process, in words; None if nothing, or if that
            was not to be found out.
        only_one: whether a second one in another process does not help: only one may exist.
        coarse: a number among observations whose differences float32 loses; None if it loses none.
        clipped_to: bounds of the actions that a wrapper hides; None if none does.
    """

    observation_space: Any
    action_space: Any
    reproducible: bool
    warnings: tuple[str, ...]
    objective: ObjectiveSpec
    obs_dtype: str | None = None
    time_limit: int | None = None
    seconds: float = 0.0
    conflict: str | None = None
    only_one: bool = False
    coarse: float | None = None
    clipped_to: BoxSpec | None = None


def probe(
    env_id: str,
    env_kwargs: dict[str, Any],
    notify: Callable[[str], None] = lambda line: None,
    beside_others: bool = False,
) -> Probe:
    """Construct the environment once, read its spaces and play one short episode twice.

    Args:
        env_id: as for `envs.make`.
        env_kwargs: for `envs.make`.
        notify: shows the user a line about what will take its time.
        beside_others: whether training needs several in one process; two are then tried.

    Raises:
        UnknownEnvironment, gymnasium.error.Error: there is no such environment.
        UsageError, WrongOptions: it does not take `env_kwargs`.
        UnsupportedSpace: no policy supports its spaces.
        RunError: it cannot be made or fails at once.
    """
    check_given(env_id)
    began = time.monotonic()
    try:
        env = make_env(env_id, env_kwargs)
    except (envs.UnknownEnvironment, envs.WrongOptions, gymnasium.error.Error):
        raise
    except failures() as error:
        if isinstance(error, TypeError) and (told := why_refused(env_id, env_kwargs, error)):
            raise UsageError(told) from error
        raise RunError(f"{env_id}: cannot be made: {one_line(error)}") from error
    seconds, neighbours = time.monotonic() - began, Neighbours()
    try:
        policy = _watching_policy(env)
        reproducible, objective = _try_out(env, policy)
        better = better_dtype(env.observation_space, policy.shown)
        if beside_others:
            neighbours = _beside_another(env, policy, env_id, env_kwargs, reproducible)
        # If the environment has a compiled loop, it is compiled here, once for all workers. Should
        # that fail, the pool will report it.
        if (why := envs.recompiled(env_id)) is not None:
            notify(f"warning: {why}")
        envs.accelerate(env)
    except (UnsupportedSpace, gymnasium.error.Error):
        raise
    except failures() as error:
        raise RunError(f"{env_id}: {one_line(error)}") from error
    finally:
        close_env(env, env_id, warns=neighbours.conflict is None)
    warnings: list[str] = []
    if not reproducible:
        warnings.append(
            f"{env_id} does not repeat an episode from its seed and actions: learning curves will "
            "not be identical between runs, nor after a resume"
        )
    dtype, misfit = better or (None, "")
    if misfit:
        warnings.append(f"{env_id}: {misfit}")
    states = isinstance(policy.spec.observation, FiniteSpec)
    return Probe(
        observation_space=env.observation_space,
        action_space=env.action_space,
        reproducible=reproducible,
        warnings=tuple(warnings),
        objective=objective,
        obs_dtype=dtype,
        time_limit=time_limit(env),
        seconds=seconds,
        conflict=neighbours.conflict,
        only_one=neighbours.only_one,
        coarse=None if states else coarse_in_float32(policy.shown),
        clipped_to=clipped_to(env),
    )


def _watching_policy(env: gymnasium.Env[Any, Any]) -> WatchingPolicy:
    spec = make_policy("linear", env.observation_space, env.action_space).spec
    policy = WatchingPolicy(spec)
    policy.weights = np.random.default_rng(0).standard_normal(spec.n_weights)
    return policy


def _try_out(env: gymnasium.Env[Any, Any], policy: Policy) -> tuple[bool, ObjectiveSpec]:
    """Return whether an episode is reproducible, and what its steps tell of the reward."""
    objective = Objective(env)
    first = _play(env, policy, objective, seed=1)
    _play(env, policy, objective, seed=2)  # so that the second try has another history
    again = _play(env, policy, objective, seed=1)
    return again.text == first.text, objective.describe(again.episode.total_reward)


class _Played(NamedTuple):
    """A short episode, and everything that it returned as text, in which NaN equals itself."""

    episode: Episode
    text: str


def _play(env: gymnasium.Env[Any, Any], policy: Policy, objective: Objective, seed: int) -> _Played:
    seen = RunningMeanStd.zeros(policy.spec.observation.size)
    with np.errstate(all="ignore"):
        episode = rollout(env, policy, seed, STEPS, statistics=seen, objective=objective)
    told = (episode, seen.mean.tobytes(), seen.m2.tobytes(), seen.count)
    return _Played(episode, repr(told))


class _Turns(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Steps another environment after each step of the first."""

    def __init__(self, env: gymnasium.Env[Any, Any], other: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._other = other

    def reset(self, **details: Any) -> tuple[Any, dict[str, Any]]:
        result = self.env.reset(**details)
        self._other.reset(seed=2)
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        result = self.env.step(action)
        _, _, terminated, truncated, _ = self._other.step(copy.copy(action))
        if terminated or truncated:
            self._other.reset(seed=3)
        return result


def _beside_another(
    env: gymnasium.Env[Any, Any],
    policy: Policy,
    env_id: str,
    env_kwargs: dict[str, Any],
    reproducible: bool,
) -> Neighbours:
    """Make a second environment, and play an episode in turns with it."""
    with ExitStack() as opened:
        try:
            other = make_env(env_id, env_kwargs)
            opened.callback(close_env, other, env_id, warns=False)
            other.reset(seed=2)
        except failures() as error:
            reason = f"a second one beside the first fails ({one_line(error)})"
            return Neighbours(reason, only_one=not _lives_apart(env_id, env_kwargs))
        try:
            objective = Objective(env)
            alone = _play(env, policy, objective, seed=1)
            turns = _play(_Turns(env, other), policy, objective, seed=1)
            disturbed = reproducible and turns.text != alone.text
        except failures():
            disturbed = True
    return Neighbours("two in one process disturb each other" if disturbed else None)


def _lives_apart(env_id: str, env_kwargs: dict[str, Any]) -> bool:
    """Whether one can be made and reset in another process while this one has one."""
    apart = SubprocessGroup(GroupSpec(env_id, env_kwargs, seed=0, rollout_length=STEPS), [0])
    try:
        apart.begin("restart", [0], [np.zeros(0, np.int64)])
        apart.finish()
    except RolloutError:
        return False
    finally:
        apart.close()
    return True
