"""Policies to evaluate and render."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pictures import save

from ars.cli import life_sign


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
