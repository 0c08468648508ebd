"""Suggestions for error messages about unknown environments."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import sys
from collections.abc import Collection, Iterable, Set
from pathlib import Path

import gymnasium
from gymnasium.envs.registration import EnvSpec

from envs.packages import one_line

CLOSE = 0.8  # similarity (difflib's ratio) above which a match is suggested without further advice


def is_stub(spec: EnvSpec) -> bool:
    """Whether Gymnasium keeps an id only to say where the environment has moved."""
    return callable(spec.entry_point) and spec.entry_point.__module__ == "gymnasium.envs"


def same_name(word: str, known: Iterable[str]) -> str | None:
    """Return the only one of `known` that differs at most in capitals, dashes and underscores."""
    same = [name for name in known if _folded(name) == _folded(word)]
    return same[0] if len(same) == 1 else None


def _folded(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()


def without_old_ending(env_id: str) -> str:
    """`HalfCheetahBulletEnv-v0`, the name of the same robot in `pybullet_envs` -> `HalfCheetah`."""
    return re.sub(r"BulletEnv(-v\d+)?$", "", env_id, flags=re.IGNORECASE)


def suggest(registered: str, ours: Collection[str]) -> str:
    """Return a suggestion for an unknown id.

    Args:
        registered: the unknown id.
        ours: the short names of the toolkit's environments.
    """
    atari = registered.startswith("ALE/") or "NoFrameskip" in registered
    if atari and importlib.util.find_spec("ale_py") is None:
        return "Atari games need ale-py: pip install ale-py (from a checkout: -e '.[atari]')"
    if own := _own_module(registered):
        return own
    specs = gymnasium.registry.values()
    # Ours have short names; their ids are for those who wrote one.
    others = [spec for spec in specs if "/" in registered or _package(spec) != "envs"]
    known = [*_newest(others), *ours]
    # Another version of the same name tells all; what is merely similar would be noise beside it.
    same = [name for name in known if _unversioned(name) == _unversioned(registered)]
    near = same or near_names(without_old_ending(registered), known)
    if not near:
        return f"choose from {', '.join(ours)}, any registered Gymnasium id, or module:Id-v0"
    text = f"did you mean {' or '.join(near)}?"
    ratio = difflib.SequenceMatcher(None, registered.lower(), near[0].lower()).ratio()
    return text if same or ratio >= CLOSE else f"{text} One of your own is module:Id-v0"


def _unversioned(name: str) -> str:
    return _folded(re.sub(r"-v\d+$", "", name))


def _own_module(word: str) -> str | None:
    """A suggestion where a word begins as a module of the user does: `cart_env.py`, `cart_env`."""
    if word.endswith(".py"):
        file = Path(word)
        return f"name its environment too, as {file.stem}:Id-v0, in the folder where {file.name} is"
    module, _, rest = word.partition(".")
    if not (module.isidentifier() and os.path.isfile(f"{module}.py")):
        return None
    env_id = rest or "Id-v0"
    return f"did you mean {module}:{env_id if re.search(r'-v[0-9]+$', env_id) else env_id + '-v0'}?"


def suggest_of_module(registered: str, module: str, new: Set[str]) -> str:
    """Return a suggestion for an unknown id of a module.

    Args:
        registered: the unknown id.
        module: its name; it has been imported.
        new: the ids that it registered then; none if something else had imported it.
    """
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if file is not None and Path(__file__).parent in Path(file).parents:
        return (
            f"{module} is the toolkit's own module, which hides yours of that name: give yours "
            "another, such as envs/my_robot.py and envs.my_robot:MyRobot-v0"
        )
    package = module.partition(".")[0]
    ids = [spec.id for spec in gymnasium.registry.values() if _package(spec) == package]
    ids += sorted(new - set(ids))
    if near := near_names(registered, ids) or ids[:3]:
        return f"did you mean {' or '.join(f'{module}:{env_id}' for env_id in near)}?"
    text = f"{module} registers no environment with Gymnasium"
    for name, kind in vars(loaded).items():
        if isinstance(kind, type) and issubclass(kind, gymnasium.Env) and kind.__module__ == module:
            call = f'gymnasium.register("{name}-v0", entry_point="{module}:{name}")'
            return f"{text}; add to it: {call}"
    if "gym" in sys.modules:
        return f"{text}, the successor of gym: register it with gymnasium.register"
    return f"{text} (gymnasium.register)"


def _package(spec: EnvSpec) -> str:
    origin = spec.entry_point  # None of one that has a vector_entry_point alone
    name = origin if isinstance(origin, str) else getattr(origin, "__module__", "")
    return re.split(r"[.:]", name)[0]


def _newest(specs: Iterable[EnvSpec]) -> list[str]:
    """Return the latest version of every usable id."""
    newest: dict[tuple[str | None, str], EnvSpec] = {}
    for spec in specs:
        if is_stub(spec):
            continue
        key = spec.namespace, spec.name
        if key not in newest or (spec.version or 0) >= (newest[key].version or 0):
            newest[key] = spec
    return [spec.id for spec in newest.values()]


def near_names(word: str, known: Iterable[str]) -> list[str]:
    """The known names that are nearly a word, capitals or not."""
    folded = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(word.lower(), folded, n=3, cutoff=0.6)
    return [folded[match] for match in matches]


def why_not_imported(module: str, registered: str, error: BaseException) -> str:
    """Return why the module of `module:Id-v0` cannot be imported, and what to do about it."""
    if not module:
        return f"name a module before the colon, as module:{registered}"
    plain = re.sub(r"^.*[/\\]|\.py$|:+$", "", module)
    if plain != module:
        return f"name the module without folders and .py, as {plain}:{registered}, where it lies"
    reason = one_line(error)
    if isinstance(error, SystemExit):
        reason = f"it tried to end the program: {reason}"
    text = f"module {module!r} does not import ({reason})"
    package = module.partition(".")[0]
    own = package in ("ars", "envs", "policies")  # these are never missing, what is in them may be
    top = ".".join(module.split(".")[: 2 if own else 1])
    if not isinstance(error, ModuleNotFoundError) or error.name != top:
        return text
    if package == "ars":
        return f"{text}; ars is the toolkit's own package: put yours elsewhere, such as in envs/"
    where = top.replace(".", "/")
    return f"{text}; run it in the folder where {where} is, or set PYTHONPATH to that folder"
