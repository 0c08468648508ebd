"""Checks an environment before training: its spaces, and whether its episodes are reproducible."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator

import envs
from ars.common.errors import RunError, UsageError, one_line
from ars.common.settings import as_words, near
from ars.rollout.episode import rollout
from ars.training.given_env import check_given
from envs.objective import Objective, ObjectiveSpec
from policies import Policy, RunningMeanStd, UnsupportedSpace, make_policy

STEPS = 20


@dataclass(frozen=True)
class Probe:
    """An environment's spaces, warnings for the user, and what is known of the reward."""

    observation_space: Any
    action_space: Any
    warnings: tuple[str, ...]
    objective: ObjectiveSpec


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
        if isinstance(error, TypeError) and (told := _about_kwargs(env_id, env_kwargs, error)):
            raise UsageError(told) from error
        raise RunError(f"{env_id}: cannot be made: {one_line(error)}") from error
    try:
        reproducible, objective = _try_out(env)
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
    return Probe(env.observation_space, env.action_space, tuple(warnings), objective)


def _about_kwargs(env_id: str, env_kwargs: dict[str, Any], error: TypeError) -> str | None:
    """What is wrong with the keyword arguments, if it is they that were refused."""
    # Only what Python itself says; Gymnasium adds all arguments to it, and the constructor's name
    # means nothing to the user.
    said = one_line(error).removeprefix("TypeError: ").split(" was raised from ")[0]
    takes = _parameters(env_id)
    match = re.search(r"unexpected keyword argument '(\w+)'", said)
    if match and match[1] in env_kwargs:
        hint = near(match[1], takes) or (f"; it takes {', '.join(takes)}" if takes else "")
        return f"`env_kwargs` {match[1]}: {env_id} does not take it{hint}"
    match = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", said)
    if match and match[1] in env_kwargs:
        return f"`env_kwargs` {match[1]}: is set by the toolkit itself"
    missing = re.findall(r"'(\w+)'", said) if re.search(r"missing \d+ required", said) else []
    if missing and set(missing) <= set(takes):
        return f"{env_id}: needs `env_kwargs` {' '.join(f'{name}=...' for name in missing)}"
    if env_kwargs:
        return f"`env_kwargs` {' '.join(as_words(env_kwargs))}: {env_id} refuses them: {said}"
    return None


def _parameters(env_id: str) -> list[str]:
    """The names of the arguments that an environment's constructor takes, as far as is known."""
    entry_point = gymnasium.registry[envs.resolve(env_id).rpartition(":")[2]].entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    try:
        parameters = inspect.signature(creator).parameters.values() if creator else ()
    except (TypeError, ValueError):  # it is not written in Python
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [parameter.name for parameter in parameters if parameter.kind in named]
    return [name for name in names if name not in ("self", "render_mode")]


def _try_out(env: gymnasium.Env[Any, Any]) -> tuple[bool, ObjectiveSpec]:
    """Return whether an episode is reproducible, and what its steps tell of the reward."""
    objective = Objective(env)
    policy = make_policy("linear", env.observation_space, env.action_space)
    policy.weights = np.random.default_rng(0).standard_normal(policy.spec.n_weights)
    first = _play(env, policy, objective, seed=1)
    _play(env, policy, objective, seed=2)  # so that the second try has another history
    return _play(env, policy, objective, seed=1) == first, objective.describe()


def _play(env: gymnasium.Env[Any, Any], policy: Policy, objective: Objective, seed: int) -> str:
    """Everything that a short episode returned, as text, in which NaN equals itself."""
    seen = RunningMeanStd.zeros(policy.spec.observation.size)
    with np.errstate(all="ignore"):
        episode = rollout(env, policy, seed, STEPS, statistics=seen, objective=objective)
    return repr((episode, seen.mean.tobytes(), seen.m2.tobytes(), seen.count))
