"""The program `ars`: its overview, its forms, and its commands as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pictures import refusal

import ars
from ars import __main__ as overview
from ars.cli.program import command_line, hint, program


def test_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    overview.main([])
    said = capsys.readouterr().out
    assert "HalfCheetah" in said
    folder = Path(ars.__file__).parent
    have_main = {path.stem for path in folder.glob("*.py") if "\ndef main(" in path.read_text()}
    assert set(overview.COMMANDS) == have_main - {"__main__"}
    presets = "CartPole-v1, ALE/Pong-v5, ObstacleCar, Squash"
    assert f"  reinforce         {presets}\n" in said
    for name in overview.COMMANDS:
        assert f"python -m ars.{name} " in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rende"], "rende: no command of that name (did you mean render?)"),
        (
            ["HalfCheetah"],
            f"HalfCheetah: no command of that name; there are {', '.join(overview.COMMANDS)}",
        ),
        (["--verson"], "unknown argument --verson (did you mean --version?)"),
        (["render"], "the following arguments are required: RUN"),
    ],
)
def test_wrong_words(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(overview.main, words, capsys) == (2, f"error: {told}")


@pytest.mark.parametrize(
    ("called", "form", "recorded"),
    [
        ("/usr/bin/ars", "ars render", "ars train Ant --seed 3"),
        ("C:/x/Scripts/ars.exe", "ars render", "ars train Ant --seed 3"),
        ("/x/ars/__main__.py", "python -m ars render", "python -m ars train Ant --seed 3"),
        ("/x/ars/train.py", "python -m ars.render", "python -m ars.train train Ant --seed 3"),
        ("/x/notebook.py", "python -m ars.render", "notebook.py train Ant --seed 3"),
    ],
)
def test_the_form_the_user_chose_is_the_form_of_the_hints(
    called: str, form: str, recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "train", "Ant", "--seed", "3"])
    assert program("render") == form
    assert hint("render", Path("my  runs/a")) == f"{form} 'my  runs/a'"
    assert hint("render", Path("-rf"), "--latest") == f"{form} ./-rf --latest"
    assert command_line() == recorded


def test_a_command_by_its_name_is_the_command(cheetah: Path) -> None:
    by_name = run("-m", "ars", "evaluate", cheetah, "--episodes", 2, "--json")
    assert by_name.stdout == run("-m", "ars.evaluate", cheetah, "--episodes", 2, "--json").stdout
    assert run("-m", "ars", "evaluate", "--help").stdout.startswith("usage: python -m ars evaluate")


def run(*words: object, **details: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, text=True, capture_output=True, timeout=60, **details)


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'gymnasium', 'PIL', 'rich', 'ray', 'torch', 'pybullet'}"
    code = f"import sys, ars.evaluate, ars.render; print({heavy} & set(sys.modules))"
    assert run("-c", code).stdout == "set()\n"
    for name in ("evaluate", "render"):
        shown = run("-m", f"ars.{name}", "--help")
        assert shown.returncode == 0
        assert shown.stdout.startswith(f"usage: python -m ars.{name}")


def test_only_json_on_stdout(cheetah: Path) -> None:
    done = run("-m", "ars.evaluate", cheetah, "--episodes", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: episodes are cut at 40 steps")
    assert len(json.loads(done.stdout)["returns"]) == 2


def test_a_reader_that_went_away_is_no_traceback(cheetah: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ars.evaluate", str(cheetah), "--episodes", "1"]
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
