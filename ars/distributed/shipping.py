"""What is sent to a cluster's nodes: the toolkit's code and the user's own module."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ars.common.own_modules import PACKAGES, own_folders
from ars.distributed.ray_environment import ONE_THREAD
from envs.wrapping import modules_of

_TOOLKIT = ("ars", "envs", "policies")
# What Numba has compiled is sent too: nodes with the same kind of processor need not compile it.
_NOT_SHIPPED = ("*.pyc", "*.tmp.*", ".*", "venv", "runs", "*.egg-info")


@contextmanager
def runtime_env(env_id: str, env_kwargs: Mapping[str, Any] = {}) -> Iterator[dict[str, Any]]:
    """What a cluster's nodes need besides Ray and the dependencies, to make an environment.

    The modules are copied to a folder of their own, so that nothing else in the current folder is
    sent. A job submitted with a working directory has brought the code with it.
    """
    found: dict[str, Any] = {"env_vars": dict(ONE_THREAD)}
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
    if (job.get("runtime_env") or {}).get("working_dir"):
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="ars-") as folder:
        for name in (*_TOOLKIT, *user_modules(env_id, env_kwargs)):
            _copy_module(name, Path(folder))
        for name in _top_level_modules(env_id, env_kwargs):
            _copy_own_folder(name, Path(folder))
        yield {**found, "working_dir": folder}


def _top_level_modules(env_id: str, env_kwargs: Mapping[str, Any]) -> list[str]:
    """Each `package` of `package.module:Id-v0` and of the wrappers that are named likewise."""
    modules = [env_id.rpartition(":")[0], *modules_of(env_kwargs)]
    return list(dict.fromkeys(module.partition(".")[0] for module in modules if module))


def user_modules(env_id: str, env_kwargs: Mapping[str, Any] = {}) -> list[str]:
    """The top-level modules that are needed, but for those installed like a dependency."""
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}
    found = []
    for name in _top_level_modules(env_id, env_kwargs):
        if name in (*_TOOLKIT, *sys.stdlib_module_names):
            continue
        path = _module_path(name)
        if path is not None and not installed & set(path.parents):
            found.append(name)
    return found


def _module_path(name: str) -> Path | None:
    """The file or folder of a top-level module; None if it is neither."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin).resolve() if spec.has_location and spec.origin else None


def _copy_module(name: str, folder: Path) -> None:
    path = _module_path(name)
    assert path is not None
    if path.is_dir():
        _copy_tree(path, folder / name)
    else:
        shutil.copy(path, folder)


def _copy_own_folder(package: str, folder: Path) -> None:
    """Copy the user's modules that are found in a toolkit's package, such as `envs.my_robot`."""
    if package not in PACKAGES:
        return
    for own in own_folders(package):
        for path in Path(own).iterdir():
            target = folder / package / path.name
            hidden = any(fnmatch(path.name, pattern) for pattern in _NOT_SHIPPED)
            if target.exists() or hidden or path.name == "__pycache__":
                continue
            if path.is_dir():
                _copy_tree(path, target)
            elif path.is_file():  # and no link to nowhere, such as an editor's lock
                shutil.copy(path, target)


def _copy_tree(path: Path, target: Path) -> None:
    ignore = shutil.ignore_patterns(*_NOT_SHIPPED)
    shutil.copytree(path, target, ignore=ignore, ignore_dangling_symlinks=True)
