"""What every registered command keeps; a new one is tested as soon as it is registered."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from ars.__main__ import COMMANDS, overview

HEAVY = {"ray", "torch", "pybullet", "rich", "matplotlib", "mujoco", "tensorboard", "PIL", "numba"}
HEAVY |= {"optuna"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_and_explains_itself(name: str) -> None:
    command = COMMANDS[name]
    assert f"{name} {command.argument} " in overview()
    assert command.description in overview() and not command.description.endswith(".")
    module, _, function = command.entry_point.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    code = (
        "import sys, atexit\n"
        f"import importlib\nmain = importlib.import_module({module!r}).{function}\n"
        f"atexit.register(lambda: print('loaded', *sorted({HEAVY} & set(sys.modules))))\n"
        "main(['--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
    assert f" {command.argument}" in done.stdout
    assert done.stdout.endswith("\nloaded\n")
