"""Imports go one way, and heavy packages are loaded only where they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    path for name in ("ars", "envs", "policies") for path in (ROOT / name).rglob("*.py")
)

# commands -> trainer -> algorithms -> workers -> rollout -> policies | envs
LAYERS = {
    "ars.errors": 0,
    "ars.stats": 0,
    "ars.noise": 0,
    "ars.options": 1,
    "ars.versions": 1,
    "ars.rollout": 1,
    "ars.deadlines": 1,
    "ars.nodes": 1,
    "ars.sweeper": 1,
    "ars.actor": 2,
    "ars.cluster": 2,
    "ars.tickets": 2,
    "ars.crew": 2,
    "ars.workers": 2,
    "ars.buffers": 2,
    "ars.device_memory": 2,
    "ars.returns": 2,
    "ars.losses": 2,
    "ars.trajectories": 2,
    "ars.optimizers": 2,
    "ars.groups": 2,
    "ars.vector": 2,
    "ars.algorithms.base": 3,
    "ars.algorithms.presets": 3,
    "ars.algorithms.deep": 3,
    "ars.algorithms.on_policy": 3,
    "ars.algorithms.actor_critic": 4,
    "ars.algorithms.ars": 4,
    "ars.algorithms.dqn": 4,
    "ars.algorithms.ppo": 4,
    "ars.algorithms.reinforce": 4,
    "ars.algorithms": 5,
    "ars.trainer": 6,
}

# What only the pool, `ars.workers`, imports.
RAY_USERS = {"ars.crew", "ars.cluster", "ars.actor"}

# What learns by gradients, or acts on images; importing a command loads none of it.
TORCH_USERS = {
    "ars.algorithms.actor_critic",
    "ars.algorithms.deep",
    "ars.algorithms.dqn",
    "ars.algorithms.on_policy",
    "ars.algorithms.ppo",
    "ars.algorithms.reinforce",
    "ars.device_memory",
    "ars.losses",
    "ars.optimizers",
    "policies.backprop",
    "policies.cnn",
    "policies.distributions",
    "policies.faces",
    "policies.initial",
    "policies.networks",
    "policies.parameters",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def test_there_is_something_to_check() -> None:
    assert {"ars.trainer", "ars.workers", "envs.bullet.base", "policies.io"} <= set(
        map(name_of, MODULES)
    )
    assert "ray" in packages(ROOT / "ars" / "cluster.py")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_packages_import_downwards_only(path: Path) -> None:
    forbidden = {"envs": {"ars", "policies"}, "policies": {"ars", "envs"}, "ars": set()}
    assert not packages(path) & forbidden[path.relative_to(ROOT).parts[0]]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_ray_torch_and_pybullet_have_their_places(path: Path) -> None:
    name = name_of(path)
    if name not in RAY_USERS:
        assert "ray" not in packages(path)
    if name not in TORCH_USERS:
        assert "torch" not in packages(path)
    if not name.startswith("envs.bullet"):
        assert "pybullet" not in packages(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_pool_knows_how_ray_is_used(path: Path) -> None:
    if name_of(path) not in RAY_USERS | {"ars.workers"}:
        assert not imports(path) & RAY_USERS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_loop_knows_no_command_and_the_rollout_no_loop(path: Path) -> None:
    layer = LAYERS.get(name_of(path))
    if layer is None:
        return
    for imported in imports(path):
        if imported in map(name_of, MODULES) and imported.startswith("ars"):
            if imported == "ars":
                continue
            assert imported in LAYERS or layer >= 6, f"{path} imports {imported}"
            assert LAYERS.get(imported, 0) <= layer, f"{path} imports {imported}"


@pytest.mark.parametrize("module", ["ars.train", "ars.evaluate", "ars.render", "envs", "policies"])
def test_importing_a_command_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "print(sorted({'ray', 'torch', 'pybullet', 'matplotlib', 'rich', 'mujoco', 'tensorboard',"
        " 'PIL', 'imageio_ffmpeg'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
