"""`auto` is a Ray of this user's: others cannot have its token sent to an address of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ars.common.errors import RunError
from ars.distributed import own_cluster as module
from ars.distributed.own_cluster import own_cluster

ADDRESS = "10.0.0.1:6379"


@pytest.fixture(autouse=True)
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for /proc. Ray has found an address, however that came about."""
    from ray._private import services

    monkeypatch.setattr(services, "canonicalize_bootstrap_address_or_die", lambda addr: ADDRESS)
    monkeypatch.setattr(module, "_PROCESSES", tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return tmp_path


def add_process(processes: Path, address: str) -> None:
    process = processes / "12"
    process.mkdir()
    command = ["raylet/raylet", "--node-ip-address=10.0.0.1", f"--gcs-address={address}"]
    (process / "cmdline").write_text("\0".join(command))


def test_the_ray_of_ones_own_processes_is_taken(processes: Path) -> None:
    add_process(processes, ADDRESS)
    assert own_cluster() == ADDRESS


def test_another_users_is_refused(processes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_process(processes, ADDRESS)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(RunError, match=rf"at {ADDRESS} is another user's \(user id {owner}\)"):
        own_cluster()


def test_an_address_that_no_process_here_has_is_refused(processes: Path) -> None:
    add_process(processes, "10.0.0.1:63")
    with pytest.raises(RunError, match=f"no process of the Ray at {ADDRESS} runs here"):
        own_cluster()


def test_what_the_user_names_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ADDRESS)
    assert own_cluster() == ADDRESS


def test_where_there_is_none_the_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import services

    def find(addr: str) -> str:
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.setattr(services, "canonicalize_bootstrap_address_or_die", find)
    with pytest.raises(RunError, match="auto: no Ray is found here, or more than one"):
        own_cluster()
