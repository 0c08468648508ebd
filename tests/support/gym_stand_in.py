"""The little of the old Gym that PyBullet's own examples need to be imported and run.

Gym is no longer maintained and does not work with NumPy 2; `pkg_resources` has left setuptools.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import gymnasium


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module


@contextlib.contextmanager
def stand_in() -> Iterator[None]:
    """Let what is imported inside the block find a `gym`, and what is imported later not."""

    def register(*args: Any, **kwargs: Any) -> None:
        """Nothing is made by its id."""

    registration = _module(
        "gym.envs.registration",
        registry=_module("registry", env_specs={}),
        register=register,
        make=None,
        spec=None,
    )
    envs = _module("gym.envs", registration=registration)
    seeding = gymnasium.utils.seeding
    utils = _module("gym.utils", seeding=seeding)
    modules: dict[str, ModuleType] = {
        "gym": _module(
            "gym",
            Env=object,
            spaces=gymnasium.spaces,
            utils=utils,
            envs=envs,
            __version__="0.26.0",
        ),
        "gym.spaces": gymnasium.spaces,
        "gym.utils": utils,
        "gym.utils.seeding": seeding,
        "gym.envs": envs,
        "gym.envs.registration": registration,
        "pkg_resources": _module(
            "pkg_resources", parse_version=lambda text: [int(part) for part in text.split(".")]
        ),
    }
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    path = list(sys.path)  # the examples add folders of theirs
    sys.modules.update(modules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.path[:] = path
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)
