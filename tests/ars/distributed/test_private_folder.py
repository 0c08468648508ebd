"""Ray's folder can be entered by one user alone, wherever it has to be made."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ars.common.errors import RunError
from ars.distributed import private_folder
from ars.distributed.private_folder import make_private_folder, open_folder


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path that all may enter."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder).resolve()


def chosen(monkeypatch: pytest.MonkeyPatch, *places: Path) -> Path:
    """The folder made if these places are all there are."""
    monkeypatch.setattr(private_folder, "_places", lambda: iter(places))
    return make_private_folder()


def test_it_is_made_where_temporary_files_are_wanted(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(place))
    folder = make_private_folder()
    assert folder.parent == place
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trouble", ["too long", "open to others", "gone", "full"])
def test_it_is_made_elsewhere_where_that_cannot_be(
    place: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    (place / "a").mkdir()
    good, bad = place / "a", place / ("b" * 60 if trouble == "too long" else "b")
    if trouble != "gone":
        bad.mkdir()
    if trouble == "open to others":
        bad.chmod(0o777)
    if trouble == "full":
        usage = shutil.disk_usage

        def disk_usage(folder: Path) -> object:
            return usage(folder)._replace(free=1000) if folder == bad else usage(folder)

        monkeypatch.setattr("ars.distributed.private_folder.shutil.disk_usage", disk_usage)
    monkeypatch.setenv("RAY_TMPDIR", str(bad))
    monkeypatch.setenv("TMPDIR", str(good))
    assert make_private_folder().parent == good


def test_where_there_is_no_place_each_is_named_with_its_trouble(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, wide = place / ("b" * 60), place / "c"
    for folder in (far, wide):
        folder.mkdir()
    wide.chmod(0o777)
    with pytest.raises(RunError, match="set TMPDIR to a folder of your own") as info:
        chosen(monkeypatch, far, wide)
    told = str(info.value)
    assert f"{far}: its path is too long for sockets; {wide}: others can write to it" in told
    assert "\n" not in told


def test_a_folder_is_open_if_others_can_replace_what_is_on_the_way_to_it(place: Path) -> None:
    inner = place / "a" / "b"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        folder.chmod(0o755)
    assert open_folder(inner) is None
    inner.chmod(0o777)
    assert open_folder(inner) == inner
    inner.parent.chmod(0o1777)  # as /tmp: others cannot rename what is in it
    assert open_folder(inner) == inner
    inner.parent.chmod(0o775)
    assert open_folder(inner) == inner.parent
    inner.parent.chmod(0o700)
    assert open_folder(inner) is None  # nobody gets there


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_folder_of_another_user_is_open(place: Path) -> None:
    inner = place / "a"
    inner.mkdir()
    os.chown(inner, 4242, 4242)
    assert open_folder(inner) == inner
    place.chmod(0o700)
    assert open_folder(inner) is None
