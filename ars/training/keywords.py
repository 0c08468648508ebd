"""From keywords, as Python gives them, to one `TrainingConfig`."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.common.settings import _plain_type, near
from ars.training.config import RunConfig, TaskConfig, TrainingConfig, WorkerConfig
from ars.training.resolve import resolve_new, resolve_resumed, stored_algorithm
from envs.atari import VIEWS

# What is a keyword, and no field of a configuration.
OTHERS = ("algo", "preset", "env_kwargs", "pixels", "init_from", "run_dir")


def plan_from_keywords(
    env_id: str | None, settings: Mapping[str, Any], folder: Path | None = None
) -> TrainingConfig:
    """The plan of a new run, or of one to go on with.

    Args:
        env_id: the environment's name; None for the one of the run in `folder`.
        settings: every other keyword; None means not given.
        folder: of the run to go on with, or None.

    Raises:
        UsageError: naming the setting; envs.UnknownEnvironment; policies.FileError.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    algo = settings.get("algo", "ars" if folder is None else stored_algorithm(folder))
    _check_choice("algo", algo, ALGORITHMS)
    if "pixels" in settings:
        _check_choice("pixels", settings["pixels"], VIEWS)
    kinds = _kinds(algo)
    _check_names(settings, kinds, algo)
    given = {name: _as_setting(value, kinds.get(name)) for name, value in settings.items()}
    if "env_kwargs" in given:
        given["env_kwargs"] = _as_json(given["env_kwargs"])
    if folder is not None:
        if env_id is not None:
            given["env_id"] = env_id
        return resolve_resumed(folder, given, _call(None, {"resume": str(folder), **settings}))
    if env_id is None:
        raise UsageError('`env`: name an environment, for example train("HalfCheetah")')
    return resolve_new(env_id, given, _call(env_id, settings))


def _kinds(algo: str) -> dict[str, Any]:
    """The type of every setting that is a field of a configuration."""
    configs = (TaskConfig, WorkerConfig, RunConfig, ALGORITHMS[algo].Config)
    return {
        name: _plain_type(hint)
        for config in configs
        for name, hint in typing.get_type_hints(config).items()
    }


def _check_choice(name: str, value: Any, known: Mapping[str, Any]) -> None:
    if value not in known:
        raise UsageError(
            f"`{name}` {value}: must be one of {', '.join(known)}{near(str(value), known)}"
        )


def _check_names(settings: Mapping[str, Any], kinds: Mapping[str, Any], algo: str) -> None:
    for name in settings:
        if name in kinds or name in OTHERS:
            continue
        owners = [
            other
            for other, algorithm in ALGORITHMS.items()
            if name in {field.name for field in dataclasses.fields(algorithm.Config)}
        ]
        if owners:
            raise UsageError(
                f"`{name}`: a setting of `algo` {', '.join(owners)}; this run's algorithm is {algo}"
            )
        raise UsageError(f"`{name}`: no setting of that name{near(name, [*kinds, *OTHERS])}")


def _as_setting(value: Any, kind: Any) -> Any:
    """A keyword's value in the type that the setting has, where it means the same.

    NumPy's numbers, 1e6 for a million, 8 for the text "8", a path for its text.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        return str(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if typing.get_origin(kind) is tuple and isinstance(value, int | float | np.ndarray):
        return tuple(np.atleast_1d(value).tolist())
    return value


def _as_json(env_kwargs: Any) -> dict[str, Any]:
    """What config.json and the policy files will give back."""
    try:
        found = json.loads(json.dumps(env_kwargs, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"`env_kwargs`: must be made of what JSON can hold ({error})") from None
    if not isinstance(found, dict):
        raise UsageError(f"`env_kwargs` {env_kwargs!r}: must be a dict")
    return found


def _call(env_id: str | None, settings: Mapping[str, Any]) -> str:
    """The call, for config.json."""
    words = [] if env_id is None else [repr(env_id)]
    words += [f"{name}={value!r}" for name, value in settings.items()]
    return f"ars.api.train({', '.join(words)})"
