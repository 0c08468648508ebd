"""A look at an environment before training: its spaces, and whether it repeats itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

import envs
from ars.common.errors import RunError, UsageError, one_line
from ars.rollout.episode import rollout
from ars.training.given_env import check_given
from envs.objective import Objective, ObjectiveSpec
from policies import Policy, RunningMeanStd, UnsupportedSpace, make_policy

STEPS = 20


@dataclass(frozen=True)
class Probe:
    """An environment's spaces, what is known of its reward, and what to warn of."""

    observation_space: Any
    action_space: Any
    warnings: tuple[str, ...]
    objective: ObjectiveSpec


def probe(env_id: str, env_kwargs: dict[str, Any]) -> Probe:
    """Construct the environment once, read its spaces and play one short episode twice.

    Raises: UnsupportedSpace; envs.WrongOptions; UsageError where it does not take `env_kwargs`;
    RunError where it cannot be made or fails at once.
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
        repeats, objective = _repeats(env)
        # Where there is a loop to compile, it is compiled here, once for all the workers to come.
        # Should that fail, whoever plays will say so.
        envs.accelerate(env)
    except (UnsupportedSpace, gymnasium.error.Error):
        raise
    except Exception as error:
        raise RunError(f"{env_id}: {one_line(error)}") from error
    finally:
        env.close()
    warnings: list[str] = []
    if not repeats:
        warnings.append(
            f"{env_id} does not repeat an episode from its seed and actions: learning curves will "
            "not be identical between runs"
        )
    return Probe(env.observation_space, env.action_space, tuple(warnings), objective)


def _repeats(env: gymnasium.Env[Any, Any]) -> tuple[bool, ObjectiveSpec]:
    """Whether an episode repeats itself, and what its steps tell of the reward."""
    objective = Objective(env)
    policy = make_policy("linear", env.observation_space, env.action_space)
    policy.weights = np.random.default_rng(0).standard_normal(policy.spec.n_weights)
    first = _play(env, policy, objective, seed=1)
    _play(env, policy, objective, seed=2)  # another history
    return _play(env, policy, objective, seed=1) == first, objective.describe()


def _play(env: gymnasium.Env[Any, Any], policy: Policy, objective: Objective, seed: int) -> str:
    """All that a short episode gave, as text: NaN is then equal to itself."""
    seen = RunningMeanStd.zeros(policy.spec.observation.size)
    with np.errstate(all="ignore"):
        episode = rollout(env, policy, seed, STEPS, statistics=seen, objective=objective)
    return repr((episode, seen.mean.tobytes(), seen.m2.tobytes(), seen.count))
