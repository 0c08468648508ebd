"""A user of a container may have no name, and so no home."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ars.common.home import home_folder
from ars.distributed.private_folder import _places
from ars.distributed.ray_environment import cluster_environment
from ars.training.trust import signature


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such users")
def test_one_without_a_home_can_do_all_but_sign(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert home_folder() is None
    assert signature("mine:Robot-v0", {}) is None
    assert "RAY_AUTH_MODE" not in cluster_environment()
    assert list(_places())
    assert not list(tmp_path.iterdir())  # nothing called ~ is made
