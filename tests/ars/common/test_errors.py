"""Failures in one line: what was raised, and where in the user's code."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest

import envs
from ars.common.errors import (
    LONGEST_MESSAGE,
    RolloutError,
    carried,
    failures,
    one_line,
    with_place,
)

ROBOT = """\
import math
def fall():
    raise ValueError("it fell\\nover")
def slip():
    math.sqrt(-1)
def stumble():
    import json
    json.loads("no")
"""


@pytest.fixture
def robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "shaky_robot.py").write_text(ROBOT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("shaky_robot", None)
    return importlib.import_module("shaky_robot")


def caught(call: object) -> Exception:
    try:
        call()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("fall", "ValueError: it fell over (at shaky_robot.py:3)"),
        ("slip", "ValueError: math domain error (at shaky_robot.py:5)"),
        # Raised in Python's own library, called from here.
        (
            "stumble",
            "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (at shaky_robot.py:8)",
        ),
    ],
)
def test_an_error_names_the_users_file_and_line(name: str, line: str, robot: ModuleType) -> None:
    assert one_line(caught(getattr(robot, name))) == line


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "MemoryError"),
        (Mute(), "Mute: its message cannot be shown (RuntimeError)"),
        (ValueError("x" * 1_000_000), f"ValueError: {'x' * LONGEST_MESSAGE}..."),
    ],
)
def test_any_message_makes_one_short_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_an_environment_may_raise_anything_but_an_interrupt() -> None:
    class Panic(BaseException):
        pass

    assert issubclass(Panic, failures())
    assert issubclass(SystemExit, failures())
    assert not issubclass(KeyboardInterrupt, failures())


def test_elsewhere_the_path_is_whole(
    robot: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert one_line(caught(robot.fall)).endswith(f"(at {tmp_path / 'shaky_robot.py'}:3)")


def test_what_the_toolkit_or_its_packages_raise_has_no_place() -> None:
    for raised in (
        _without_this_file(lambda: envs.resolve("no such robot")),
        _without_this_file(lambda: envs.make("CartPole-v1").step(0)),
    ):
        assert "(at " not in one_line(raised)


def _without_this_file(call: object) -> Exception:
    error = caught(call)
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return error.with_traceback(traceback)


def test_a_place_is_named_once_however_often_an_error_is_raised_again(robot: ModuleType) -> None:
    first = caught(robot.fall)
    again = RolloutError(f"episode 3: {one_line(first)}")
    again.__cause__ = first
    assert one_line(again) == "episode 3: ValueError: it fell over (at shaky_robot.py:3)"
    assert with_place(str(again), again) == one_line(again)


def test_the_cause_of_an_error_has_a_place_too(robot: ModuleType) -> None:
    error = envs.UnknownEnvironment("it does not import")
    error.__cause__ = caught(robot.fall)
    assert with_place(str(error), error) == "it does not import (at shaky_robot.py:3)"


def test_an_error_may_be_its_own_cause() -> None:
    error = ValueError("the pole snapped")
    error.__cause__ = error
    assert one_line(error) == "ValueError: the pole snapped"


def test_between_processes_an_error_keeps_its_line_and_its_traceback(robot: ModuleType) -> None:
    sent = pickle.loads(pickle.dumps(carried(caught(robot.fall))))
    assert str(sent) == "ValueError: it fell over (at shaky_robot.py:3)"
    assert 'shaky_robot.py", line 3, in fall' in sent.details
