"""Environments given from Python: an object, a class or a function that makes one.

Each is registered with Gymnasium for as long as it is used, under an id such as `python/Cart-v0`,
so that everything else works as with names. Config and policy files keep that id: it says where
the environment came from, and that it has to be given again.
"""

from __future__ import annotations

import inspect
import itertools
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

import gymnasium

from ars.common.errors import UsageError
from envs import canonical_name
from envs.time_limit import time_limit

Env = gymnasium.Env[Any, Any]
GivenEnv = Env | type[Env] | Callable[..., Env]

NAMESPACE = "python"
ONLY_HERE = (
    "is known to this program alone and stays in this process; for more, register it in a module "
    "and name it, as module:Id-v0"
)
_KNOWN_PACKAGES = "gymnasium", "envs", "ale_py"
_registry_lock = threading.Lock()


@contextmanager
def registered(given: GivenEnv, env_id: str | None = None) -> Iterator[str]:
    """Register an environment with Gymnasium for the block; yields its id.

    Args:
        given: an environment, its class, or a function that makes one; the latter two are called
            with the run's `env_kwargs`.
        env_id: the id in the run that is resumed; None: a new one, made from the name.

    Raises:
        UsageError: `given` is none of these, or another call of this process uses `env_id`.
    """
    if isinstance(given, type):
        usable = issubclass(given, gymnasium.Env)
    else:
        usable = isinstance(given, gymnasium.Env) or callable(given)
    if not usable:
        raise UsageError(
            f"`env` {given!r}: must be a name, a Gymnasium environment, its class, or a function "
            "that makes one"
        )
    with _registry_lock:
        env_id = _free_id(_name(given)) if env_id is None else env_id
        if env_id in gymnasium.registry:
            raise UsageError(f"`env` {env_id}: is in use by another call in this process")
        gymnasium.register(env_id, entry_point=_creator(given), disable_env_checker=True)
    try:
        yield env_id
    finally:
        del gymnasium.registry[env_id]


def check_given(env_id: str) -> None:
    """Raises: UsageError where the environment of this id has to be given from Python again."""
    if is_given(env_id) and env_id not in gymnasium.registry:
        raise UsageError(
            f"{env_id}: its environment was given from Python; go on from Python (ars.api) and "
            "give it again, as env=..."
        )


def wrapper_names(wrappers: Any) -> list[str]:
    """Wrappers as a run stores them; classes and functions by where they can be found again.

    Raises:
        UsageError: a class or function is in no module that can be imported.
    """
    given = wrappers if isinstance(wrappers, list | tuple) else [wrappers]
    return [one if isinstance(one, str) else _place_of(one) for one in given]


def _place_of(wrapper: Any) -> str:
    module, name = getattr(wrapper, "__module__", ""), getattr(wrapper, "__qualname__", "")
    found = getattr(sys.modules.get(module), name, None)
    if found is not wrapper or module == "__main__":
        raise UsageError(
            f"`wrappers` {wrapper!r}: must be in a module that can be imported, to be found by "
            "other processes and later; or give `env` as a function that makes it wrapped"
        )
    return f"{module}:{name}"


def is_given(env_id: str) -> bool:
    """Whether an id is that of an environment given from Python."""
    return env_id.startswith(f"{NAMESPACE}/")


def only_here(env_id: str) -> bool:
    """Whether the calling program alone knows an environment: it was given, or registered by it.

    Every process knows Gymnasium's, the toolkit's, those of packages that announce theirs to
    Gymnasium, and those that are named with their module.
    """
    spec = gymnasium.registry.get(env_id)
    if spec is None or is_given(env_id):
        return is_given(env_id)
    if not isinstance(spec.entry_point, str):
        return True
    package = _package(spec.entry_point)
    announced = (_package(plugin.module) for plugin in entry_points(group="gymnasium.envs"))
    return package not in _KNOWN_PACKAGES and package not in announced


def check_known_elsewhere(env_id: str) -> None:
    """Raises: UsageError where other processes do not know the environment."""
    if only_here(canonical_name(env_id)):
        raise UsageError(f"`env` {env_id}: {ONLY_HERE}")


def _package(place: str) -> str:
    return re.split(r"[.:]", place, maxsplit=1)[0]


def _name(given: GivenEnv) -> str:
    if isinstance(given, gymnasium.Env):
        name = type(given.unwrapped).__name__
    else:
        given = getattr(given, "func", given)  # of a functools.partial
        name = getattr(given, "__name__", type(given).__name__)
    return re.sub(r"\W", "", name) or "Env"


def _free_id(name: str) -> str:
    for number in itertools.count(1):
        env_id = f"{NAMESPACE}/{name}{'' if number == 1 else f'-{number}'}-v0"
        if env_id not in gymnasium.registry:
            return env_id
    raise AssertionError("there is always a next number")


def _creator(given: GivenEnv) -> Callable[..., Env]:
    """A function that makes the environment, as Gymnasium calls it."""

    def create(**kwargs: Any) -> Env:
        if isinstance(given, gymnasium.Env):
            mode = kwargs.pop("render_mode", given.render_mode)
            if kwargs:
                raise TypeError(f"an environment that is made already takes no {', '.join(kwargs)}")
            return Opaque(_check_render_mode(given, mode), keep_open=True)
        mode = kwargs.get("render_mode")
        if mode is not None and not _accepts(given, "render_mode"):
            del kwargs["render_mode"]
            env = _check_render_mode(given(**kwargs), mode)
        else:
            env = given(**kwargs)
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"made a {type(env).__name__}, not a gymnasium.Env")
        return env if env.unwrapped is env else Opaque(env)

    if isinstance(given, type):
        create.metadata = given.metadata  # type: ignore[attr-defined]  # Gymnasium looks there
    return create


def _accepts(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # it is not written in Python
        return True
    kinds = {parameter.kind for parameter in parameters.values()}
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds


def _check_render_mode(env: Env, mode: str | None) -> Env:
    if env.render_mode != mode:
        raise TypeError(
            f"the environment given draws nothing this way: its render_mode is {env.render_mode}, "
            f"and must be {mode}"
        )
    return env


class Opaque(gymnasium.Env[Any, Any]):
    """Hides an environment's wrappers from Gymnasium's `make`, which adds its own.

    `keep_open`: the environment belongs to the user, who closes it.
    """

    def __init__(self, env: Env, keep_open: bool = False) -> None:
        self._env, self._keep_open = env, keep_open
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.metadata, self.render_mode = env.metadata, env.render_mode
        self._max_episode_steps = time_limit(env)  # where `time_limit` looks

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a new episode."""
        return self._env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        return self._env.step(action)

    def render(self) -> Any:
        """Draw: returns a picture, or None if the environment has a window."""
        return self._env.render()

    def close(self) -> None:
        """Close the environment, unless the user keeps it open."""
        if not self._keep_open:
            self._env.close()
