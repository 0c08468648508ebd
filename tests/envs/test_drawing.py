"""Whether an environment can be drawn is known without drawing it."""

from __future__ import annotations

import importlib.util
from typing import Any

import gymnasium
import pytest

import envs
from envs.drawing.possible import drawing_hint, registered_spec, why_not_drawn


class Draws(gymnasium.Env[Any, Any]):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None: ...


class TakesAll(Draws):
    def __init__(self, **kwargs: Any) -> None: ...


class TakesNoMode(Draws):
    def __init__(self, size: int = 3) -> None: ...


class NamesNoMode(Draws):
    metadata = {}  # noqa: RUF012


class HasNoMetadata(Draws):
    metadata = None  # type: ignore[assignment]


for _class in (Draws, TakesAll, TakesNoMode, NamesNoMode, HasNoMetadata):
    gymnasium.register(f"{_class.__name__}-v0", entry_point=_class)  # type: ignore[arg-type]
gymnasium.register("DrawsByFunction-v0", entry_point=lambda **details: Draws(**details))


@pytest.mark.parametrize(
    ("env_id", "reason"),
    [
        ("Draws-v0", None),
        ("some_module:Draws-v0", None),
        ("TakesAll-v0", None),
        ("DrawsByFunction-v0", None),
        ("TakesNoMode-v0", "its constructor must take render_mode=None"),
        ("NamesNoMode-v0", "its class names no rgb_array"),
        ("HasNoMetadata-v0", "its class names no rgb_array"),
    ],
)
def test_what_keeps_an_environment_from_being_drawn(env_id: str, reason: str | None) -> None:
    found = why_not_drawn(env_id)
    assert found is None if reason is None else str(found).startswith(reason)


@pytest.mark.parametrize("name", envs.names())
def test_every_robot_can_be_drawn(name: str) -> None:
    assert why_not_drawn(envs.resolve(name)) is None


@pytest.mark.parametrize(
    ("env_id", "extra"), [("CartPole-v1", "classic-control"), ("FrozenLake-v1", "toy-text")]
)
def test_pygame_is_missed_before_a_picture_is_wanted(
    env_id: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert why_not_drawn(env_id) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert why_not_drawn(env_id) == (
        f"needs pygame: pip install 'gymnasium[{extra}]' (from a checkout: pip install -e "
        f"'.[{extra}]')"
    )


@pytest.mark.parametrize(
    ("env_id", "text", "hint"),
    [
        ("Draws-v0", "got an unexpected keyword argument 'render_mode'", "must take render_mode"),
        ("CartPole-v1", "pygame is not installed, run ...", "gymnasium[classic-control]"),
        ("HalfCheetah-v5", "no context", "MUJOCO_GL=egl"),
    ],
)
def test_hints_say_what_helps(env_id: str, text: str, hint: str) -> None:
    assert hint in drawing_hint(registered_spec(env_id), RuntimeError(text))


def test_other_errors_get_no_hint() -> None:
    assert drawing_hint(registered_spec("Draws-v0"), OSError("libGL.so.1: no such file")) == ""
    assert drawing_hint(None, OSError("libGL.so.1: no such file")) == ""
