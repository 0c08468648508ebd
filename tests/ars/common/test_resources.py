"""A container's quota of processors counts, whatever the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ars.common import resources


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores without control groups; returns the folder of the groups."""
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(resources, "_GROUPS", tmp_path)
    monkeypatch.setattr(resources, "_OWN_GROUPS", tmp_path / "own")
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_without_a_quota_all_cores_count(machine: Path) -> None:
    assert resources.n_processors() == 8
    (machine / "own").write_text("0::/job\n")
    write(machine / "job", cpu__max="max 100000")
    assert resources.n_processors() == 8


@pytest.mark.parametrize(
    ("quota", "n"), [("50000 100000", 1), ("150000 100000", 2), ("3200000 100000", 8), ("50000", 1)]
)
def test_a_quota_is_rounded_up_and_never_more_than_the_cores(
    machine: Path, quota: str, n: int
) -> None:
    (machine / "own").write_text("0::/job\n")
    write(machine / "job", cpu__max=quota)
    assert resources.n_processors() == n


def test_the_smallest_quota_on_the_way_to_the_outermost_group_counts(machine: Path) -> None:
    (machine / "own").write_text("0::/slice/job\n")
    write(machine / "slice", cpu__max="200000 100000")
    write(machine / "slice" / "job", cpu__max="400000 100000")
    assert resources.n_processors() == 2


@pytest.mark.parametrize("seen_as_outermost", [True, False])
def test_groups_of_version_1_count_too(machine: Path, seen_as_outermost: bool) -> None:
    (machine / "own").write_text("5:memory:/docker/1f\n4:cpu,cpuacct:/docker/1f\n0::/\n")
    folder = machine / "cpu" if seen_as_outermost else machine / "cpu" / "docker" / "1f"
    write(folder, cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000")
    assert resources.n_processors() == 1
    write(folder, cpu__cfs_quota_us="-1")
    assert resources.n_processors() == 8
