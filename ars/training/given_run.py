"""Arguments of the Python API that stand for a run, a policy or an environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ars.common.errors import UsageError
from ars.training.finished import Run
from ars.training.given_env import GivenEnv, is_given, registered
from ars.training.rebuild import chosen_policy
from ars.training.run_folder import CONFIG, ResolvedPolicy, read_json
from ars.training.trust import check_trust, foreign_modules
from envs import canonical_name
from policies import Policy, PolicyFile


def folder_of(run: Any) -> Any:
    """The folder of a run; other arguments are returned as they are, texts as paths.

    Raises: UsageError for several.
    """
    if isinstance(run, list | tuple):
        raise UsageError("`run`: several are given; take one after the other")
    if isinstance(run, Run):
        return run.folder
    return Path(run) if isinstance(run, str) and run else run


def check_alone(latest: bool, at: int | None) -> None:
    """Raises: UsageError where a policy is given, and is to be one of several."""
    if at is not None:
        raise UsageError(f"`at` {at}: a policy has no tape, give its run")
    if latest:
        raise UsageError("`latest`: a policy is one alone, give its run")


def name_or_given(env: str | GivenEnv | None) -> tuple[str | None, GivenEnv | None]:
    """An environment's name and None, or None and the environment."""
    return (env, None) if env is None or isinstance(env, str) else (None, env)


@contextmanager
def training_id(
    name: str | None, given: GivenEnv | None, folder: Path | None
) -> Iterator[str | None]:
    """The id of the environment to train on; one that was given is registered for the block."""
    config = None if folder is None else Path(str(folder)) / CONFIG
    stored = read_json(config).get("env_id") if config is not None and config.is_file() else None
    if name is not None and stored is not None and canonical_name(name) != stored:
        raise UsageError(f"`env` {name}: the run was started with {stored}")
    if given is None:
        yield name
        return
    if stored is not None and not (isinstance(stored, str) and is_given(stored)):
        raise UsageError(f"`env`: the run was started with {stored}, by its name")
    with registered(given, stored) as env_id:
        yield env_id


@contextmanager
def policy_in_env(
    run: str | Path | Run | Policy,
    latest: bool,
    at: int | None,
    env: str | GivenEnv | None,
    trust: bool,
) -> Iterator[ResolvedPolicy]:
    """The policy that `run` stands for, with the environment to run it in."""
    if isinstance(run, Run):
        env = run.env if env is None else env
    if isinstance(run, Policy):
        if env is None:
            raise UsageError("`env`: must be given, a policy does not know its environment")
        check_alone(latest, at)
        resolved = ResolvedPolicy(Path("policy"), PolicyFile(run, "", {}, {}), "the", "policy")
    else:
        resolved = chosen_policy(str(folder_of(run)), latest, at, trust)
    stored = resolved.file
    name, given = name_or_given(env)
    name = None if name is None else canonical_name(name)
    with nullcontext(name) if given is None else registered(given) as env_id:
        used = stored.env_id if env_id is None else env_id
        own = used == stored.env_id
        kwargs = stored.env_kwargs if own or is_given(stored.env_id) else {}
        # An environment that was given or named is the user's, what a file adds to it may not be.
        if env_id is None or foreign_modules("", kwargs):
            check_trust(resolved.path, stored.env_id, stored.env_kwargs, trust)
        if own:
            yield resolved
        else:
            file = PolicyFile(stored.policy, used, kwargs, stored.training)
            yield dataclasses.replace(resolved, file=file)
