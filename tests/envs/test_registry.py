"""Names of environments, what is loaded for them, and what is printed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from paths import ROOT

import envs


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_nothing_is_printed_and_the_user_is_heard() -> None:
    result = run_python(
        "import ctypes, envs, gymnasium\n"
        "print('before', end=' ')\n"
        "ctypes.CDLL(None).printf(b'(in C) ')\n"
        "for name in envs.names():\n"
        "    env = envs.make(name, render_mode='rgb_array')\n"
        "    env.reset(seed=0); env.step(env.action_space.sample()); env.render()\n"
        "    print(name, end=' ')\n"
        "env.close()\n"
        "print('after')"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"before (in C) {' '.join(envs.names())} after\n"
    assert result.stderr == ""


def test_output_comes_back_after_an_exception() -> None:
    result = run_python(
        "import os\n"
        "from envs.bullet.client import quiet\n"
        "try:\n"
        "    with quiet():\n"
        "        os.write(1, b'unheard'); os.write(2, b'unheard')\n"
        "        raise KeyError\n"
        "except KeyError:\n"
        "    os.write(1, b'heard')"
    )
    assert (result.stdout, result.stderr) == ("heard", "")


def test_importing_the_table_loads_no_simulator() -> None:
    result = run_python(
        "import sys, envs; envs.table(), envs.names(), envs.resolve('Ant')\n"
        "print(sorted({'pybullet', 'torch', 'ray', 'mujoco'} & set(sys.modules)))"
    )
    assert result.stdout == "[]\n", result.stderr


def test_ids_of_others_resolve_without_being_made() -> None:
    assert envs.resolve("CartPole-v1") == "CartPole-v1"
    assert envs.resolve("pybullet_envs_gymnasium:AntBulletEnv-v0").endswith(":AntBulletEnv-v0")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("halfcheetah", "HalfCheetah"),
        ("ANT", "Ant"),
        ("half_cheetah", "HalfCheetah"),
        ("inverted-pendulum", "InvertedPendulum"),
        ("walker2d", "Walker2D"),
        ("cartpole-v1", "CartPole-v1"),
        ("Bullet/ant-v0", "bullet/Ant-v0"),
        ("small_worlds:identity-v0", "small_worlds:Identity-v0"),
        *((f"{name}BulletEnv-v0", name) for name in envs.names()),
        ("antbulletenv-v0", "Ant"),
        ("AntBulletEnv", "Ant"),
    ],
)
def test_a_name_may_be_typed_in_another_way_or_be_the_one_of_pybullet_envs(
    typed: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(gymnasium.registry, typed, raising=False)  # of the reference, if imported
    assert envs.canonical_name(typed) == name
    assert envs.resolve(typed) == envs.resolve(name)


def test_an_id_that_is_registered_is_never_taken_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = gymnasium.registry["CartPole-v1"]
    for env_id in ("AntBulletEnv-v0", "Ant-v5", "ANT-V5"):
        monkeypatch.setitem(gymnasium.registry, env_id, spec)
        assert envs.resolve(env_id) == env_id


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("HalfCheeta", "HalfCheetah"),
        ("HalfCheetah-v9", "HalfCheetah-v5"),
        ("CartPole", "CartPole-v1"),
        ("bullet/Antt-v0", "bullet/Ant-v0"),
        ("no such thing at all", "Humanoid"),
        ("no_such_module:Id-v0", "no_such_module"),
        ("math:Id-v0", "Id-v0"),
        ("", "HalfCheetah"),
    ],
)
def test_unknown_names_get_suggestions(wrong: str, near: str) -> None:
    for ask in (envs.resolve, envs.make):
        with pytest.raises(envs.UnknownEnvironment) as caught:
            ask(wrong)
        assert near in str(caught.value) and "\n" not in str(caught.value)


def test_a_module_may_bring_the_environment(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brought_along.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Brought-v0', entry_point=CartPoleEnv, max_episode_steps=3)\n"
    )
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('two\\nlines')\n")
    monkeypatch.syspath_prepend(tmp_path)
    env = make("brought_along:Brought-v0")
    assert env.spec.max_episode_steps == 3 and env.reset(seed=0)[0].shape == (4,)
    with pytest.raises(envs.UnknownEnvironment, match="two lines"):
        envs.make("broken_module:Brought-v0")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str) -> Callable[..., Any]:
        def make(*args: Any, **kwargs: Any) -> Any:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        return make

    for env_id, package, advice in [
        ("HalfCheetah-v5", "mujoco", r"gymnasium\[mujoco\]"),
        ("Ant", "pybullet", "pip install pybullet"),
    ]:
        monkeypatch.setattr(gymnasium, "make", lacks(package))
        with pytest.raises(gymnasium.error.DependencyNotInstalled, match=advice) as caught:
            envs.make(env_id)
        assert "\n" not in str(caught.value)


def test_mujoco_environments_print_and_write_nothing(tmp_path: Path) -> None:
    code = "import envs; envs.make('HalfCheetah-v5').close()"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []
