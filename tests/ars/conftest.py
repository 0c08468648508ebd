"""Policies to evaluate and render."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import save


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
