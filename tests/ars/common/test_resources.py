"""What a container was given counts, whatever the machine has: its processors and its memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ars.common import resources
from ars.common.errors import RunError


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores without control groups; returns the folder of the groups."""
    cores = "ars.common.resources.os.sched_getaffinity"
    monkeypatch.setattr(cores, lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(resources, "_GROUPS", tmp_path)
    monkeypatch.setattr(resources, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(resources, "_MEMORY", tmp_path / "meminfo")
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


def test_memory_is_what_the_machine_or_the_smallest_group_has_left(machine: Path) -> None:
    assert resources.free_memory() == float("inf")
    (machine / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 5000000 kB\n")
    assert resources.free_memory() == 5_120_000_000
    (machine / "own").write_text("0::/job\n")
    write(machine / "job", memory__max="max", memory__current="1000000000")
    assert resources.free_memory() == 5_120_000_000
    write(machine / "job", memory__max="3000000000", memory__stat="anon 1\ninactive_file 500000000")
    assert resources.free_memory() == 2_500_000_000
    (machine / "own").write_text("5:memory:/docker/1f\n")
    write(machine / "memory", memory__limit_in_bytes="2000000000")
    write(machine / "memory", memory__usage_in_bytes="1500000000")
    assert resources.free_memory() == 500_000_000


def test_what_will_not_fit_is_refused_after_the_first_few(machine: Path) -> None:
    (machine / "meminfo").write_text("MemAvailable: 100000 kB\n")
    made = []
    with pytest.raises(RunError, match=r"^1000 arrays: about 0\.\d GB of memory more, and 0\.1 GB"):
        made += [np.ones(100_000) for _ in resources.within_memory(range(1000), "1000 arrays")]
    assert list(resources.within_memory(range(100), "small")) == list(range(100))
