"""Wrappers that a user names, put around an environment one after the other.

    envs.make("CartPole-v1", wrappers=["my_wrappers:Reward", "gymnasium.wrappers:ClipAction"])

Each is `module:Class`, a class derived from `gymnasium.Wrapper`, or `module:function`, a function
that takes the environment and returns it wrapped. Both are called with the environment alone, the
first one named with the environment itself, time limit included.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium

from envs.errors import WrongOptions
from envs.suggestions import near_names, why_not_imported

OPTION = "wrappers"  # of `envs.make`

Env = gymnasium.Env[Any, Any]
Wrap = Callable[[Env], Env]


def names_in(given: Any) -> list[str]:
    """The names of wrappers, from what a user or a file gives. Raises: WrongOptions."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple):
        raise WrongOptions(f"`wrappers` {given!r}: must be names such as module:Class")
    for name in names:
        module, colon, attribute = name.rpartition(":") if isinstance(name, str) else ("", "", "")
        if not (module and attribute.isidentifier()):
            package, _, last = ("" if colon else attribute).rpartition(".")
            hint = f" (did you mean {package}:{last}?)" if package else ""
            raise WrongOptions(f"`wrappers` {name}: must be module:Class{hint}")
    return list(names)


def modules_of(env_kwargs: Mapping[str, Any]) -> list[str]:
    """The modules that arguments of `envs.make` name in their wrappers, whatever else they are."""
    given = env_kwargs.get(OPTION)
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple):
        return []
    found = (name.rpartition(":")[0] for name in names if isinstance(name, str))
    return list(dict.fromkeys(found))


def find(names: Iterable[str]) -> list[tuple[str, Wrap]]:
    """Wrappers by their names. Raises: WrongOptions if there is none of a name."""
    return [(name, _find(name)) for name in names]


def _find(name: str) -> Wrap:
    module, _, attribute = name.rpartition(":")
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module may fail in any way
        reason = why_not_imported(module, attribute, error)
        raise WrongOptions(f"`wrappers` {name}: {reason}") from error
    named = vars(found)
    if attribute not in named:
        ours = [
            known
            for known, one in named.items()
            if _is_wrapper(one) or (inspect.isfunction(one) and one.__module__ == module)
        ]
        near = near_names(attribute, ours) or (ours if len(ours) <= 3 else [])
        hint = f"; did you mean {' or '.join(f'{module}:{one}' for one in near)}?" if near else ""
        raise WrongOptions(f"`wrappers` {name}: {module} has no {attribute}{hint}")
    wrap = named[attribute]
    if not (_is_wrapper(wrap) or inspect.isfunction(wrap)):
        raise WrongOptions(
            f"`wrappers` {name}: is no wrapper; it must be a class derived from gymnasium.Wrapper, "
            "or a function that takes an environment and returns it wrapped"
        )
    missing = _arguments_missing(wrap)
    if missing:
        raise WrongOptions(
            f"`wrappers` {name}: needs {', '.join(missing)}; name a function of your own that "
            "takes the environment alone and gives them"
        )
    return wrap  # type: ignore[no-any-return]


def _is_wrapper(found: Any) -> bool:
    abstract = (
        gymnasium.Wrapper,
        gymnasium.ObservationWrapper,
        gymnasium.RewardWrapper,
        gymnasium.ActionWrapper,
    )
    return (
        isinstance(found, type) and issubclass(found, gymnasium.Wrapper) and found not in abstract
    )


def _arguments_missing(wrap: Any) -> list[str]:
    """The arguments that a wrapper needs besides the environment."""
    try:
        parameters = list(inspect.signature(wrap).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in optional
    ]


def put_around(env: Env, wrappers: Iterable[tuple[str, Wrap]]) -> Env:
    """An environment in its wrappers, closed again if one of them fails.

    Raises:
        WrongOptions: one returns no environment.
        RuntimeError: one fails; the message names it.
    """
    inner = env
    try:
        for name, wrap in wrappers:
            try:
                env = wrap(inner)
            except Exception as error:
                said = " ".join(str(error).split())
                raise RuntimeError(
                    f"wrapper {name} fails with {type(error).__name__}{said and f': {said}'}"
                ) from error
            if not isinstance(env, gymnasium.Env):
                raise WrongOptions(
                    f"`wrappers` {name}: made an object of type {type(env).__name__}, not an "
                    "environment"
                )
            inner = env
    except BaseException:
        inner.close()
        raise
    return env
