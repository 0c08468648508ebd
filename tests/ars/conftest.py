"""Policies to evaluate and render."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import save

from ars.cli import life_sign


@pytest.fixture(autouse=True, scope="session")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A key to sign runs with that is not the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def no_life_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of a command that is slow because the machine is busy."""
    monkeypatch.setattr(life_sign, "FIRST", math.inf)


@pytest.fixture
def square(tmp_path: Path) -> Path:
    return save(tmp_path / "square.safetensors")


@pytest.fixture
def cheetah(tmp_path: Path) -> Path:
    return save(tmp_path / "cheetah.safetensors", "HalfCheetah")


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
