"""Environments: the toolkit's own, by short name, and every environment registered with Gymnasium.

    env = envs.make("HalfCheetah")              one of the toolkit's own, see `envs.table()`
    env = envs.make("CartPole-v1")              any registered Gymnasium id
    env = envs.make("some_module:Id-v0")        an id that `some_module` registers when imported
    env = envs.make("ALE/Pong-v5", pixels="atari")    an Atari game, see `envs.atari`
    env = envs.make("Hopper", wrappers=["module:Class"])    in wrappers, see `envs.wrapping`

The toolkit's environments are also registered with Gymnasium, under ids such as
`bullet/HalfCheetah-v0`. Importing this package loads no simulator; PyBullet is imported when the
first robot is made.
"""

from envs.errors import UnknownEnvironment, WrongOptions
from envs.registry import (
    OPTIONS,
    RegisteredEnv,
    accelerate,
    canonical_name,
    make,
    merge_kwargs,
    names,
    recompiled,
    resolve,
    table,
)

__all__ = [
    "OPTIONS",
    "RegisteredEnv",
    "UnknownEnvironment",
    "WrongOptions",
    "accelerate",
    "canonical_name",
    "make",
    "merge_kwargs",
    "names",
    "recompiled",
    "resolve",
    "table",
]
