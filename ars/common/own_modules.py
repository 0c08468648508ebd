"""Lets the toolkit's packages coexist with a user's own `envs`, `policies` and `ars`.

Reinforcement-learning projects often have a folder `envs/` of their own, and Python searches the
current folder first. So that neither hides the other:

- `envs` and `policies` always mean the toolkit's, whatever else has these names. A user's own
  `envs.py` or `envs/__init__.py` is not run.
- `envs.my_robot` is looked for in the toolkit's `envs` and then in a folder `envs/` anywhere on
  `sys.path`, the current folder included. Of two modules of one name the toolkit's wins.

The same holds for `policies`. `ars` itself is already imported when this module runs: a file
`ars.py` or a folder `ars/` with an `__init__.py` hides it from `python -m` and from scripts beside
it, but not from the console script `ars`, which looks in the current folder last.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("envs", "policies")


class OwnModules:
    """A finder for `sys.meta_path` that follows the rules above."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module in one of the packages; None for any other module."""
        package, _, rest = name.partition(".")
        if package not in PACKAGES or "." in rest:
            return None
        if not rest:
            return PathFinder.find_spec(name, [str(ROOT)], target)
        return PathFinder.find_spec(name, [*(path or ()), *own_folders(package)], target)


def own_folders(package: str) -> list[str]:
    """The user's folders on `sys.path` that have the name of one of the toolkit's packages."""
    folders = (Path(entry or os.getcwd()).resolve() / package for entry in sys.path)
    return [str(path) for path in dict.fromkeys(folders) if path.is_dir() and path.parent != ROOT]


def install() -> None:
    """Apply the rules above to every import from now on in this process.

    Raises:
        ImportError: another module with the name of one of the packages is already loaded.
    """
    for package in PACKAGES:
        loaded = sys.modules.get(package)
        file = getattr(loaded, "__file__", None)
        if loaded is not None and (file is None or Path(file).resolve().parents[1] != ROOT):
            raise ImportError(
                f"a module {package!r} of your own ({file or 'a folder'}) was imported before ars, "
                f"which has a package of that name: import ars first; {package}.NAME then finds "
                "your modules too"
            )
    if OwnModules not in sys.meta_path:
        sys.meta_path.insert(0, OwnModules)


def look_in_current_folder() -> None:
    """Search the current folder last: `python -m` has it first, the console script not at all."""
    here = os.getcwd()
    if "" not in sys.path and here not in sys.path:
        sys.path.append(here)
