"""Policies to evaluate and render."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import save


@pytest.fixture(autouse=True, scope="session")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A key to sign runs with that is not the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


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
