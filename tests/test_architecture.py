"""A file's folder decides what it may import; heavy packages are loaded where they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from paths import ROOT

from ars.__main__ import COMMANDS

# From the top down: a folder imports from the rows below its own, and from itself.
ORDER = (
    {"ars/api"},
    {"ars"},  # the commands
    {"ars/cli"},
    {"ars/reporting", "ars/tuning", "ars/watching"},
    {"ars/results"},
    {"ars/training"},
    {"ars/algorithms", "ars/distributed", "ars/exporting", "ars/importing", "ars/rendering"},
    {"ars/experience"},
    {"ars/rollout"},
    {"ars/learning", "ars/presets", "ars/search_spaces"},
    {"ars/common"},
    {"policies", "envs"},
)
RANKS = {folder: rank for rank, row in enumerate(ORDER) for folder in row}

# Where a module may need torch as soon as it is imported.
TORCH = {
    "ars/learning",
    "ars/exporting/torch_program.py",
    "ars/experience/gpu_storage.py",
    "policies/networks.py",
    "policies/parameters.py",
}

PACKAGES = ("ars", "envs", "policies")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def place(path: Path) -> str:
    """A file as it is written here: `ars/common/errors.py`."""
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def folder(path: Path) -> str:
    """The folder of `ORDER` that a file lies in. Raises: ValueError where it lies in none."""
    for parent in path.relative_to(ROOT).parents:
        if parent.as_posix() in RANKS:
            # Of `ars` itself only its files: another folder in it must be listed.
            if parent.as_posix() == "ars" and path.parent != ROOT / "ars":
                break
            return parent.as_posix()
    raise ValueError(f"{place(path)} lies in no folder of ORDER")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module or name that is imported, wherever in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, "a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_at_once(tree: ast.Module) -> Iterator[str]:
    """What is imported as soon as a file is, for types alone not counted."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)


def our_modules(names: Iterable[str]) -> set[str]:
    return {name for name in names if name in MODULES}


def upward(path: Path, source: str) -> list[str]:
    """The imports of a file that its folder does not allow."""
    own = folder(path)
    return [
        name
        for name in sorted(our_modules(imports(ast.parse(source))))
        # `ars` itself has the version alone, which all may ask for.
        if name != "ars"
        and (theirs := folder(MODULES[name])) != own
        and RANKS[theirs] <= RANKS[own]
    ]


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_go_one_way(path: Path) -> None:
    assert upward(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("place", "line", "refused"),
    [
        ("ars/training/trainer.py", "from ars.train import main", ["ars.train"]),
        ("ars/training/trainer.py", "import ars.cli.parser", ["ars.cli.parser"]),
        ("ars/rollout/pool.py", "def f():\n    from ars.distributed import pool", None),
        ("ars/algorithms/ars.py", "from ars.distributed.pool import RayPool", None),
        ("ars/common/errors.py", "import ars.learning.losses", ["ars.learning.losses"]),
        ("policies/linear.py", "import envs", ["envs"]),
        ("envs/bullet/base.py", "from policies import make_policy", ["policies"]),
        (
            "ars/training/trainer.py",
            "import ars.algorithms.base, policies, ars.training.config",
            [],
        ),
    ],
)
def test_an_import_that_goes_up_is_found(place: str, line: str, refused: list[str] | None) -> None:
    found = upward(ROOT / place, line)
    assert found == refused if refused is not None else found


@pytest.mark.parametrize("place", ["ars/stray.py", "ars/helpers/stray.py", "stray/stray.py"])
def test_a_file_outside_the_folders_is_found(place: str) -> None:
    path = ROOT / place
    if place == "ars/stray.py":  # a command
        assert folder(path) == "ars"
        return
    with pytest.raises(ValueError, match="lies in no folder"):
        folder(path)


def test_there_is_no_circle_of_imports() -> None:
    waits = {
        name: our_modules(imports(ast.parse(path.read_text()))) - {name, "ars"}
        for name, path in MODULES.items()
    }
    # A package's own list of what it offers is no part of a circle.
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    waits = {name: found - packages for name, found in waits.items()}
    while free := [name for name, found in waits.items() if not found & waits.keys()]:
        for name in free:
            del waits[name]
    assert not waits, f"import each other: {sorted(waits)}"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_heavy_packages_have_their_places(path: Path) -> None:
    tree = ast.parse(path.read_text())
    packages = {name.partition(".")[0] for name in imports(tree)}
    if folder(path) != "ars/distributed":
        assert "ray" not in packages
    if not place(path).startswith("envs/bullet/"):
        assert "pybullet" not in packages
    if folder(path) != "ars/results":
        assert "matplotlib" not in packages
    if place(path) != "ars/tuning/store.py":
        assert "optuna" not in packages
    if place(path) != "ars/training/trackers.py":
        assert not {"trackio", "wandb", "mlflow"} & packages
    at_once = {name.partition(".")[0] for name in loaded_at_once(tree)}
    assert not {"matplotlib", "optuna", "trackio", "wandb", "mlflow"} & at_once
    if folder(path) not in TORCH and place(path) not in TORCH:
        assert "torch" not in {name.partition(".")[0] for name in loaded_at_once(tree)}


@pytest.mark.parametrize(
    "name",
    [
        *(command.entry_point.partition(":")[0] for command in COMMANDS.values()),
        *("ars.__main__", "ars.algorithms", "envs", "policies"),
    ],
)
def test_importing_a_command_loads_nothing_heavy(name: str) -> None:
    code = (
        # By a call: no statement can import `ars.import`.
        f"import importlib, sys\nimportlib.import_module({name!r})\n"
        "print(sorted({'ray', 'torch', 'pybullet', 'matplotlib', 'rich', 'mujoco', 'tensorboard',"
        " 'PIL', 'imageio_ffmpeg', 'numba', 'onnx', 'onnxruntime', 'jinja2', 'trackio', 'wandb',"
        " 'mlflow', 'optuna', 'viser'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
