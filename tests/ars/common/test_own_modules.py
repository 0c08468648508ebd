"""A user's own `envs`, `policies` and `ars` beside the toolkit's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROBOT = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv
{first}
gymnasium.register("MyRobot-v0", CartPoleEnv, max_episode_steps=20)
"""
# As the console script does: Python does not look in the current folder by itself.
CONSOLE_SCRIPT = (
    "-Pc",
    "import sys; sys.argv[0] = '/usr/bin/ars'; from ars.__main__ import main; main()",
)
AS_MODULE = ("-m", "ars")
MINE = "raise RuntimeError('a script of my own')"


def train(
    folder: Path, form: tuple[str, ...], env_id: str = "CartPole-v1", *words: str
) -> subprocess.CompletedProcess[str]:
    few = ("--n-iterations", "1", "--n-directions", "1", "--eval-episodes", "1")
    workers = () if "--n-workers" in words else ("--n-workers", "0")
    command = [sys.executable, *form, "train", env_id, *few, *workers, *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def trained(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.stderr == ""
    return done.returncode == 0 and "1 iteration done" in done.stdout


@pytest.mark.parametrize("form", [AS_MODULE, CONSOLE_SCRIPT], ids=["module", "script"])
def test_no_folder_or_file_of_a_packages_name_is_in_the_way(
    form: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "ars").mkdir()
    (tmp_path / "envs.py").write_text(MINE)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "__init__.py").write_text(MINE)
    assert trained(train(tmp_path, form, "CartPole-v1", "--run-dir", "ars"))
    assert trained(train(tmp_path, form, "CartPole-v1", "--run-dir", "policies"))
    assert trained(train(tmp_path, form))


@pytest.mark.parametrize("own", ["ars.py", "ars/__init__.py"])
def test_a_module_that_hides_the_package_from_python_does_not_from_the_console_script(
    own: str, tmp_path: Path
) -> None:
    (tmp_path / own).parent.mkdir(exist_ok=True)
    (tmp_path / own).write_text(MINE)
    assert train(tmp_path, AS_MODULE).returncode == 1
    assert trained(train(tmp_path, CONSOLE_SCRIPT))


@pytest.mark.parametrize("form", [AS_MODULE, CONSOLE_SCRIPT], ids=["module", "script"])
def test_a_robot_of_the_users_own_envs_is_found(form: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").write_text(MINE)  # not run
    (tmp_path / "envs" / "registry.py").write_text(MINE)  # the toolkit's wins
    (tmp_path / "envs" / "parts.py").write_text("")
    first = "import envs.parts\nfrom . import parts"
    (tmp_path / "envs" / "my_robot.py").write_text(ROBOT.format(first=first))
    assert trained(train(tmp_path, form, "envs.my_robot:MyRobot-v0"))


def test_workers_import_what_the_driver_does(tmp_path: Path) -> None:
    for name in ("ars.py", "policies.py"):
        (tmp_path / name).write_text(MINE)
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "my_robot.py").write_text(ROBOT.format(first=""))
    robot = "envs.my_robot:MyRobot-v0"
    assert trained(train(tmp_path, CONSOLE_SCRIPT, robot, "--n-workers", "1"))


def test_a_script_of_the_users_may_import_its_own_envs_after_the_toolkit(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "tools.py").write_text("answer = 42")

    def run(lines: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "script.py").write_text(lines)
        return subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    done = run("import ars, envs\nfrom envs.tools import answer\nprint(answer, envs.names()[0])")
    assert done.stdout == "42 HalfCheetah\n"
    (tmp_path / "envs" / "__init__.py").touch()
    last = run("import envs.tools\nimport ars").stderr.splitlines()[-1]
    own = tmp_path / "envs" / "__init__.py"
    assert last.startswith(f"ImportError: a module 'envs' of your own ({own}) was imported before")
    assert "import ars first" in last
