"""Checks an environment before training: its spaces, and whether its episodes are reproducible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

import envs
from ars.common.errors import RunError, UsageError, one_line
from ars.rollout.episode import rollout
from ars.training.given_env import check_given
from ars.training.space_check import WatchingPolicy, better_dtype
from envs.objective import Objective, ObjectiveSpec
from envs.time_limit import time_limit
from policies import Policy, RunningMeanStd, UnsupportedSpace, make_policy

STEPS = 20


@dataclass(frozen=True)
class Probe:
    """What is known of an environment before training.

    Attributes:
        observation_space: of the environment.
        action_space: of the environment.
        warnings: for the user.
        objective: what is known of the reward.
        obs_dtype: a type that observations fit, if that of their space is none.
        time_limit: the environment's own, in steps; None if it has none.
    """

    observation_space: Any
    action_space: Any
    warnings: tuple[str, ...]
    objective: ObjectiveSpec
    obs_dtype: str | None = None
    time_limit: int | None = None


def probe(env_id: str, env_kwargs: dict[str, Any]) -> Probe:
    """Construct the environment once, read its spaces and play one short episode twice.

    Raises:
        UnknownEnvironment, gymnasium.error.Error: there is no such environment.
        UsageError, WrongOptions: it does not take `env_kwargs`.
        UnsupportedSpace: no policy supports its spaces.
        RunError: it cannot be made or fails at once.
    """
    check_given(env_id)
    try:
        env = envs.make(env_id, **env_kwargs)
    except (envs.UnknownEnvironment, envs.WrongOptions, gymnasium.error.Error):
        raise
    except Exception as error:
        if isinstance(error, TypeError) and env_kwargs:
            raise UsageError(f"`env_kwargs`: {env_id} refuses them: {one_line(error)}") from error
        raise RunError(f"{env_id}: cannot be made: {one_line(error)}") from error
    try:
        policy = _watching_policy(env)
        reproducible, objective = _try_out(env, policy)
        better = better_dtype(env.observation_space, policy.shown)
        # If the environment has a compiled loop, it is compiled here, once for all workers. Should
        # that fail, the pool will report it.
        envs.accelerate(env)
    except (UnsupportedSpace, gymnasium.error.Error):
        raise
    except Exception as error:
        raise RunError(f"{env_id}: {one_line(error)}") from error
    finally:
        env.close()
    warnings: list[str] = []
    if not reproducible:
        warnings.append(
            f"{env_id} does not repeat an episode from its seed and actions: learning curves will "
            "not be identical between runs"
        )
    dtype, misfit = better or (None, "")
    if misfit:
        warnings.append(f"{env_id}: {misfit}")
    spaces = env.observation_space, env.action_space
    return Probe(*spaces, tuple(warnings), objective, dtype, time_limit(env))


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
    return _play(env, policy, objective, seed=1) == first, objective.describe()


def _play(env: gymnasium.Env[Any, Any], policy: Policy, objective: Objective, seed: int) -> str:
    """Everything that a short episode returned, as text, in which NaN equals itself."""
    seen = RunningMeanStd.zeros(policy.spec.observation.size)
    with np.errstate(all="ignore"):
        episode = rollout(env, policy, seed, STEPS, statistics=seen, objective=objective)
    return repr((episode, seen.mean.tobytes(), seen.m2.tobytes(), seen.count))
