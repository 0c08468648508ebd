"""The registry of environments. A new environment needs a file and an entry here."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium

from envs.atari import make as view
from envs.clock import frequencies_in, with_clock, without_clock
from envs.errors import UnknownEnvironment, WrongOptions
from envs.packages import explain, one_line, silence_mujoco
from envs.suggestions import (
    is_stub,
    same_name,
    suggest,
    suggest_of_module,
    why_not_imported,
    without_old_ending,
)
from envs.wrapping import find, names_in, put_around

if TYPE_CHECKING:
    from envs.bullet.compiled.player import CompiledPlayer


class RegisteredEnv(NamedTuple):
    """One of the toolkit's environments.

    Attributes:
        name: its short name.
        id: its Gymnasium id.
        description: a one-line description.
        compiled: whether compiled code can run its episodes.
    """

    name: str
    id: str
    description: str
    compiled: bool


@dataclass(frozen=True)
class _Entry:
    entry_point: str
    description: str
    reward_threshold: float | None = None  # the return that counts as solved in the reference
    max_episode_steps: int = 1000
    namespace: str = "bullet"
    # Whether compiled code can run its episodes, which it can for all robots of the families that
    # `bullet.compiled.player` knows.
    compiled: bool = True


_TABLE = {
    "HalfCheetah": _Entry(
        "envs.bullet.locomotion:HalfCheetah",
        "two legs in a plane, runs and cannot fall",
        3000.0,
    ),
    "Hopper": _Entry("envs.bullet.locomotion:Hopper", "one leg in a plane, hops", 2500.0),
    "Walker2D": _Entry(
        "envs.bullet.locomotion:Walker2D",
        "two legs in a plane, walks",
        2500.0,
    ),
    "Ant": _Entry(
        "envs.bullet.locomotion:Ant",
        "four legs in space",
        2500.0,
    ),
    "Humanoid": _Entry("envs.bullet.locomotion:Humanoid", "a person of 17 joints in space"),
    "HumanoidFlagrun": _Entry(
        "envs.bullet.flagrun:HumanoidFlagrun", "the person runs to a flag that moves", 2000.0
    ),
    "HumanoidFlagrunHarder": _Entry(
        "envs.bullet.flagrun:HumanoidFlagrunHarder",
        "the same, hit by a cube, and up again after a fall",
    ),
    "InvertedPendulum": _Entry(
        "envs.bullet.pendulum:InvertedPendulum", "a pole on a cart, kept from falling", 950.0
    ),
    "InvertedPendulumSwingup": _Entry(
        "envs.bullet.pendulum:InvertedPendulumSwingup", "a pole on a cart, swung up", 800.0
    ),
    "InvertedDoublePendulum": _Entry(
        "envs.bullet.pendulum:InvertedDoublePendulum",
        "two poles on a cart, one on the other",
        9100.0,
    ),
    "Reacher": _Entry(
        "envs.bullet.manipulation:Reacher",
        "an arm in a plane, reaches for a point",
        18.0,
        150,
    ),
    "Pusher": _Entry(
        "envs.bullet.manipulation:Pusher", "an arm of 7 joints, a puck and its place", 18.0, 150
    ),
    "Thrower": _Entry(
        "envs.bullet.manipulation:Thrower", "an arm of 7 joints, a ball and a box", 18.0, 100
    ),
    "Minitaur": _Entry(
        "envs.bullet.minitaur:Minitaur", "a small robot on four legs", 15.0, compiled=False
    ),
    "Squash": _Entry(
        "envs.squash:Squash",
        "a ball and a paddle, seen as pixels",
        9.0,
        namespace="pixels",
        compiled=False,
    ),
    "LQR": _Entry(
        "envs.lqr:LQR",
        "a linear system with quadratic costs, whose best controller is known",
        max_episode_steps=300,
        namespace="control",
        compiled=False,
    ),
    "ObstacleCar": _Entry(
        "envs.car:ObstacleCar",
        "a car among obstacles, steered by its headlights to a station out of sight",
        max_episode_steps=500,
        namespace="driving",
        compiled=False,
    ),
    **{
        name: _Entry(
            f"envs.tabular.{module}:{name}",
            description,
            max_episode_steps=100,
            namespace="finite",
            compiled=False,
        )
        for name, (module, description) in {
            "GridWorld": ("grid_world", "the textbooks' grid of 4 by 3 cells, with two exits"),
            "RacingCar": ("graphs", "a car that goes fast and must not overheat"),
            "Rooms": ("graphs", "five rooms and the way out, through doors"),
            "SmallTree": ("graphs", "two decisions, to look ahead"),
            "SmallTreeCycle": ("graphs", "the same with a reward that comes again and again"),
            "Blackjack": ("blackjack", "21, against a dealer of whom one card is seen"),
        }.items()
    },
}

_COMPILED = {entry.entry_point for entry in _TABLE.values() if entry.compiled}


def _id(name: str) -> str:
    return f"{_TABLE[name].namespace}/{name}-v0"


for _name, _entry in _TABLE.items():
    gymnasium.register(
        _id(_name),
        entry_point=_entry.entry_point,
        reward_threshold=_entry.reward_threshold,
        max_episode_steps=_entry.max_episode_steps,
        # The environments check their own use; each wrapper would slow down every step.
        order_enforce=False,
        disable_env_checker=True,
    )


def names() -> list[str]:
    """Return the short names of the toolkit's environments."""
    return list(_TABLE)


def table() -> list[RegisteredEnv]:
    """Return the toolkit's environments, for listing them."""
    return [
        RegisteredEnv(name, _id(name), entry.description, entry.compiled)
        for name, entry in _TABLE.items()
    ]


# The ids that a module registered when it was imported here.
_ids_of_modules: dict[str, set[str]] = {}


def canonical_name(env_id: str) -> str:
    """Return the name that the toolkit has for an environment, without constructing it.

    That is `env_id`, with `HalfCheetah` for `halfcheetah` and for `HalfCheetahBulletEnv-v0`, its
    name in `pybullet_envs`, and `CartPole-v1` for `cartpole-v1`.

    Args:
        env_id: a short name, a registered Gymnasium id, or `module:id`; letters may be capitals or
            not. The module is imported.

    Raises:
        UnknownEnvironment: there is no such environment or module.
    """
    if env_id in _TABLE:
        return env_id
    module, colon, registered = env_id.rpartition(":")
    before = set(gymnasium.registry)
    if colon:
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:  # a module may fail in any way
            reason = why_not_imported(module, registered, error)
            if (plain := _name_here(registered)) is not None:  # as of `gym:CartPole-v1`
                reason = f"{reason}; did you mean {plain}?"
            raise UnknownEnvironment(f"environment {env_id!r}: {reason}") from error
    new = _ids_of_modules.setdefault(module, gymnasium.registry.keys() - before)
    name = _name_here(registered, robots=not module)
    if name is None:
        hint = suggest_of_module(registered, module, new) if module else suggest(registered, _TABLE)
        raise UnknownEnvironment(f"unknown environment {env_id!r}; {hint}")
    return f"{module}{colon}{name}"


def resolve(env_id: str) -> str:
    """Return the Gymnasium id that `env_id` stands for, without constructing the environment.

    Args:
        env_id: as for `canonical_name`. A module remains part of the returned id, so that another
            process can resolve it too.

    Raises:
        UnknownEnvironment: there is no such environment or module.
    """
    name = canonical_name(env_id)
    return _id(name) if name in _TABLE else name


def _name_here(registered: str, robots: bool = True) -> str | None:
    """The name of an environment that can be made without importing a module; None for others.

    `robots`: whether the toolkit's own have their short names.
    """
    if _is_registered(registered):
        return registered
    ids = [spec.id for spec in gymnasium.registry.values() if not is_stub(spec)]
    short = same_name(without_old_ending(registered), _TABLE) if robots else None
    return short or same_name(registered, ids)


def _is_registered(env_id: str) -> bool:
    if not (env_id in gymnasium.registry or _is_atari(env_id)):
        return False
    return not is_stub(gymnasium.registry[env_id])


def _is_atari(registered: str) -> bool:
    """Whether an id is an Atari game; ale-py registers them when it is imported (0.1 s)."""
    with contextlib.suppress(ImportError):
        import ale_py

        # Otherwise the emulator prints a welcome message to stderr.
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return registered in gymnasium.registry


def make(
    env_id: str,
    pixels: str | None = None,
    wrappers: str | Sequence[str] = (),
    clock: float | Sequence[float] = (),
    **kwargs: Any,
) -> gymnasium.Env[Any, Any]:
    """Make an environment with its usual time limit.

    Args:
        env_id: as for `resolve`.
        pixels: preprocessing of an Atari game, "atari" or "pong"; see `envs.atari`.
        wrappers: put around it, the first one named innermost; see `envs.wrapping`.
        clock: frequencies, in hertz, of a clock in the observations; see `envs.clock`.
        **kwargs: for `gymnasium.make` and the environment, such as `render_mode`.

    Raises:
        UnknownEnvironment: there is no such environment or module.
        WrongOptions: `pixels`, one of its options or `clock` does not fit the environment, or a
            wrapper cannot be used.
        RuntimeError: a wrapper fails.
        gymnasium.error.DependencyNotInstalled: a required package is missing; the one-line message
            says how to install it.
    """
    canonical, around = resolve(env_id), find(names_in(wrappers))
    frequencies = frequencies_in(clock)
    _refuse_fifos(kwargs)
    kwargs.setdefault("disable_env_checker", True)
    spec = gymnasium.registry[canonical.rpartition(":")[2]]
    if str(spec.entry_point).startswith("gymnasium.envs.mujoco"):
        silence_mujoco()
    try:
        if pixels is not None:
            env = view(spec, canonical, pixels, kwargs)
        else:
            env = gymnasium.make(canonical, **kwargs)
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        reason = explain(spec, error)
        raise gymnasium.error.DependencyNotInstalled(f"environment {env_id!r} {reason}") from error
    env = put_around(env, around)
    return with_clock(env, frequencies) if frequencies else env


def _refuse_fifos(kwargs: Mapping[str, Any]) -> None:
    """Raises: WrongOptions for a model's file that would be waited for forever."""
    for name, value in kwargs.items():
        if isinstance(value, str) and (name.endswith("file") or value.endswith((".xml", ".urdf"))):
            path = Path(os.path.expanduser(value))
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise WrongOptions(f"`env_kwargs` {name}={value}: is not a regular file")


# Arguments that `make` uses itself instead of passing them to the environment.
OPTIONS = ("pixels", "wrappers", "clock")


def merge_kwargs(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments for `make`: the defaults, overridden by those given.

    The defaults are dropped if `pixels` is given and differs from theirs.
    """
    same_view = given.get("pixels", defaults.get("pixels")) == defaults.get("pixels")
    return {**defaults, **given} if same_view else dict(given)


def accelerate(env: gymnasium.Env[Any, Any]) -> tuple[CompiledPlayer | None, str | None]:
    """Return a player that runs whole episodes of `env` in compiled code, if there is one.

    Its episodes are the same bit for bit. The first call on a machine compiles for some seconds.

    Returns:
        The player, or None. If `env` has compiled code that cannot be used here, the second value
        is a message that says why; otherwise None.
    """
    robot = env.unwrapped
    known = f"{type(robot).__module__}:{type(robot).__qualname__}" in _COMPILED
    if not known or env.render_mode is not None:
        return None, None
    limited = without_clock(env)
    if not isinstance(limited, gymnasium.Wrapper):
        return None, None
    if limited.env is not robot:
        return None, (
            f"{type(robot).__name__} runs at about half its speed in {type(limited).__name__}: its "
            "compiled loop knows no wrappers"
        )
    try:
        from envs.bullet.compiled.player import CompiledPlayer

        return CompiledPlayer(env), None
    except Exception as error:  # compiled code is optional
        return None, (
            f"{type(robot).__name__} runs at half its speed, with the same results: "
            f"its compiled loop cannot be used here ({one_line(error)})"
        )


def recompiled(env_id: str) -> str | None:
    """Why the compiled loop of an environment is compiled at every start; None if it is kept."""
    entry = next((_TABLE[row.name] for row in table() if env_id in (row.name, row.id)), None)
    if entry is None or not entry.compiled:
        return None
    with contextlib.suppress(Exception):  # whatever is wrong, `accelerate` tells it
        from envs.bullet.compiled.jit import has_cache

        if not has_cache():
            return (
                "compiling takes about half a minute at each start, as no folder for Numba's cache "
                "can be written: set NUMBA_CACHE_DIR to one that can"
            )
    return None
