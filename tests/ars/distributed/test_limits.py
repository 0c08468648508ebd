"""Limits under which Ray would hang as it starts are named before."""

from __future__ import annotations

import sys

import pytest

from ars.common.errors import RunError
from ars.distributed.limits import check_limits

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RLIMIT_NOFILE", 40, "more than the 40 files that are allowed .ulimit -n.: raise it"),
        ("RLIMIT_AS", 500_000_000, r"the 500 MB of addresses allowed \(ulimit -v\)"),
        ("RLIMIT_NPROC", 60, r"some 210 threads, and this user may have 60 \(ulimit -u\)"),
        ("RLIMIT_NPROC", 211, r"may have 211 \(ulimit -u\)"),  # some run already
    ],
)
def test_a_limit_that_is_too_low_is_named(
    name: str, value: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    none, number = resource.RLIM_INFINITY, getattr(resource, name)
    limits = {number: (value, value)}
    monkeypatch.setattr(resource, "getrlimit", lambda asked: limits.get(asked, (none, none)))
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    monkeypatch.setattr("ars.distributed.limits._running", lambda: 5)
    with pytest.raises(RunError, match=f"`n_workers` 2: Ray .*{told}"):
        check_limits(2)
    limits[number] = none, none
    check_limits(2)
