"""Whose code a file may run: a policy file or a run folder can name a module to be imported.

A new run that names a module is signed with a key of the user's, so that its folder is known again
wherever it is moved or copied to. What has no such signature, or lies where others can write, may
have come from elsewhere, and its module is imported only if the user says so each time.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ars.common.errors import UsageError
from ars.common.home import home_folder
from ars.common.own_modules import PACKAGES, ROOT
from ars.training.run_folder import CONFIG, EXPERIMENT, STUDY, read_json
from envs.wrapping import modules_of
from policies import FileError


class NotTrusted(UsageError):
    """A file names a module, and nothing says that it is the user's own."""


# Whose environments Gymnasium registers by itself.
KNOWN = ("gymnasium", "ale_py")
WRAPPERS = "gymnasium.wrappers"  # which do nothing but wrap
KEY_BYTES = 32


def foreign_modules(env_id: str, env_kwargs: Mapping[str, Any]) -> list[str]:
    """The modules that an environment's id and its wrappers name, but for the known ones.

    The settings of an experiment are taken for `env_kwargs` too, which they hold.
    """
    module = foreign_module(env_id)
    found = [] if module is None else [module]
    inner = env_kwargs.get("env_kwargs")
    for arguments in (env_kwargs, inner if isinstance(inner, Mapping) else {}):
        named = modules_of(arguments)
        found += [name for name in named if name != WRAPPERS and name not in found]
    return found


def foreign_module(env_id: str) -> str | None:
    """The module that an environment's id names, unless it is the toolkit's or Gymnasium's."""
    module, _, _ = env_id.rpartition(":")
    package = module.partition(".")[0]
    if not module or package in KNOWN:
        return None
    ours = ROOT.joinpath(*module.split("."))
    if package in PACKAGES and (ours.with_suffix(".py").is_file() or ours.is_dir()):
        return None
    return module


def signature(env_id: str, env_kwargs: Mapping[str, Any]) -> str | None:
    """What config.json says of the origin of a new run; None if it names no foreign module.

    None also where no key of the user's can be kept.
    """
    if not foreign_modules(env_id, env_kwargs):
        return None
    key = _key(make=True)
    return None if key is None else _signed(key, env_id, env_kwargs)


def check_trust(path: Path, env_id: str, env_kwargs: Mapping[str, Any], trust: bool) -> None:
    """Check that a policy file or a run folder may import the modules that it names.

    Args:
        path: the policy file, or the run folder.
        env_id: the id of the environment that it names.
        env_kwargs: the arguments that it gives it.
        trust: the user says that it may.

    Raises:
        NotTrusted: it may not; the message says which module would run.
    """
    modules = foreign_modules(env_id, env_kwargs)
    if not modules or trust:
        return
    why = _why_not(path, env_id, env_kwargs)
    if why is not None:
        raise NotTrusted(
            f"{path}: {would_run(env_id, modules)}, and {why}; add `trust` if you trust them"
        )


def _why_not(path: Path, env_id: str, env_kwargs: Mapping[str, Any]) -> str | None:
    folder = path if path.is_dir() else path.parent
    names = [name for name in (CONFIG, EXPERIMENT, STUDY) if (folder / name).exists()]
    config = folder / (names or [CONFIG])[0]
    for part in (folder, path, config):
        if part.exists() and not _only_ours(part):
            return f"others than you can write to {part}"
    key, stored = _key(make=False), None
    with suppress(FileError):
        stored = read_json(config).get("signature")
    if key is not None and hmac.compare_digest(
        str(stored).encode(), _signed(key, env_id, env_kwargs).encode()
    ):
        return None
    return "nothing says that it comes from a training of yours"


def would_run(env_id: str, modules: Sequence[str]) -> str:
    """What a file names, for a message: `its environment X would run the module Y (its file)`."""
    which = "module" if len(modules) == 1 else "modules"
    found = " and ".join(map(_found_module, modules))
    return f"its environment {env_id} would run the {which} {found}"


def _found_module(module: str) -> str:
    """The name of a module and its file, found without running any code."""
    package = module.partition(".")[0]
    name = module if package in PACKAGES else package  # whose package is the toolkit's
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            return f"{module} ({spec.origin})"
    return module


def _only_ours(path: Path) -> bool:
    """Whether nobody but this user, the system's administrator aside, can write to a path."""
    if not hasattr(os, "geteuid"):  # a system without such permissions
        return True
    status = path.stat()
    by_group = bool(status.st_mode & stat.S_IWGRP) and not _group_of_our_own(status.st_gid)
    return status.st_uid == os.geteuid() and not status.st_mode & stat.S_IWOTH and not by_group


def _group_of_our_own(gid: int) -> bool:
    """Whether a group is the one that many systems give to each user alone."""
    import grp
    import pwd

    try:
        group, name = grp.getgrgid(gid), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name}


def _signed(key: bytes, env_id: str, env_kwargs: Mapping[str, Any]) -> str:
    text = json.dumps([env_id, env_kwargs], sort_keys=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key(make: bool) -> bytes | None:
    """This user's key; None if there is none, or if others could have read it."""
    home, data = home_folder(), os.environ.get("XDG_DATA_HOME")
    if not data:
        if home is None:
            return None
        data = str(home / ".local" / "share")
    path = Path(data) / "ars" / "key"
    try:
        if make and not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_key(path)
        if not _only_ours(path) or path.stat().st_mode & 0o077:
            return None
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def _write_key(path: Path) -> None:
    """Write a new key, unless another process was first. Raises: OSError."""
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
