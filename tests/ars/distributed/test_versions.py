"""Which differences between two machines matter, and how they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ars.distributed.versions import Machine, cpu, machine, mismatch, other_kind

HERE = Machine(
    {"python": "3.11.7", "ars": "0.1.0", "code": "abc", "numpy": "2.4.6", "gymnasium": "1.4.0",
     "pybullet": "3.2.7", "mujoco": "3.1", "numba": "0.66.0", "torch": "2.9", "ray": "2.60.0"},
    "Some CPU 1",
    "glibc 2.36",
)  # fmt: skip


def other(**versions: str) -> Machine:
    return HERE._replace(versions={**HERE.versions, **versions})


def test_this_machine_matches_itself() -> None:
    assert mismatch(machine(), machine()) is None
    assert other_kind(machine(), machine()) is None
    assert {"python", "ars", "code", "numpy", "gymnasium", "pybullet"} <= machine().versions.keys()
    assert machine().cpu and machine().libc


def test_versions_that_decide_results_are_refused_with_both_sides() -> None:
    assert mismatch(HERE, other(numpy="2.1.0")) == "numpy 2.1.0 there, 2.4.6 here"
    assert mismatch(HERE, other(python="3.10.2", pybullet="3.2.5")) == (
        "python 3.10 there, 3.11 here; pybullet 3.2.5 there, 3.2.7 here"
    )
    assert mismatch(HERE, other(code="def")) == "code def there, abc here"


def test_a_missing_package_is_named() -> None:
    versions = {name: v for name, v in HERE.versions.items() if name != "gymnasium"}
    assert mismatch(HERE, HERE._replace(versions=versions)) == "gymnasium none there, 1.4.0 here"


def test_what_a_rollout_does_not_use_may_differ() -> None:
    assert mismatch(HERE, other(python="3.11.9", torch="2.4", ray="2.61")) is None
    versions = {name: v for name, v in HERE.versions.items() if name not in ("torch", "mujoco")}
    assert mismatch(HERE, HERE._replace(versions=versions)) is None
    assert mismatch(HERE, other(mujoco="3.2")) == "mujoco 3.2 there, 3.1 here"


def test_another_kind_of_processor_is_told_with_both_sides() -> None:
    assert other_kind(HERE, HERE._replace(cpu="CPU 2")) == "CPU 2 there, Some CPU 1 here"
    assert other_kind(HERE, HERE._replace(libc="musl 1.2")) == "musl 1.2 there, glibc 2.36 here"


def test_another_compiler_of_the_loop_is_told_and_not_refused() -> None:
    assert mismatch(HERE, other(numba="0.61.0")) is None
    assert other_kind(HERE, other(numba="0.61.0")) == "numba 0.61.0 there, numba 0.66.0 here"
    versions = {name: v for name, v in HERE.versions.items() if name != "numba"}
    assert other_kind(HERE, HERE._replace(versions=versions)) is None  # it plays without the loop


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            [
                "cpu family: 25",
                "model: 1",
                "model name: AMD EPYC",
                "flags: fpu avx2",
                "",
                "model: 2",
            ],
            "AMD EPYC, family 25, model 1",
        ),
        (["model name : Xeon", "flags : avx2 avx512f"], "Xeon, AVX-512"),
        (["CPU implementer\t: 0x41", "CPU part\t: 0xd0c"], "here, maker 0x41, part 0xd0c"),
    ],
)
def test_a_kind_of_processor_is_more_than_its_name(
    lines: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _: "\n".join(lines))
    monkeypatch.setattr("platform.machine", lambda: "here")
    assert cpu() == told
