"""What others put into a run folder is not written through, waited for or shown as it is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hopper_runs import train
from paths import OLD_RUNS

import ars.evaluate
import ars.train
from ars.api import Run
from ars.common.errors import RunError
from ars.training.run_folder import lock, new_folder, read_json
from policies import FileError
from policies.file import write_atomically

WRITTEN_IN_PLACE = ("progress.csv", "evaluations.csv", "tape.bin", ".lock")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(OLD_RUNS["ars-course"], tmp_path / "run")
    (tmp_path / "run" / "tape.bin").touch()
    (tmp_path / "run" / ".lock").touch()
    return tmp_path / "run"


def refused(*words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        ars.train.main([*words, "--n-workers", "0"])
    assert stopped.value.code == 1


def symlink(path: Path, target: Path) -> None:
    path.symlink_to(target)


@pytest.mark.parametrize("name", WRITTEN_IN_PLACE)
@pytest.mark.parametrize("link", [symlink, Path.hardlink_to], ids=["symbolic", "hard"])
def test_a_file_that_lies_elsewhere_is_not_written_to(
    name: str,
    link: Callable[[Path, Path], None],
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (run / name).unlink()
    link(run / name, precious)
    refused("--resume", str(run))
    assert precious.read_text() == "kept"
    err = capsys.readouterr().err
    assert err.startswith(f"error: {run / name}: is a")
    assert err.endswith("a run writes only to plain files in its folder: put a copy there\n")


def test_a_lock_that_was_removed_while_it_was_waited_for_is_none(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acquired(*_: object) -> bool:
        (run / ".lock").unlink()
        return True

    monkeypatch.setattr("ars.training.run_folder._acquired", acquired)
    with pytest.raises(RunError, match="its lock was removed while it was waited for"), lock(run):
        pass


def test_a_file_is_no_run_dir(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ars.train.main(["CartPole-v1", "--run-dir", str(run / "config.json")])
    assert "is a file; it must name a folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", WRITTEN_IN_PLACE)
def test_a_fifo_is_not_waited_for(name: str, run: Path) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises(RunError, match=f"{name}: is of another kind"), lock(run):
        pass


def test_a_checkpoint_folder_that_lies_elsewhere_is_not_written_to(
    run: Path, tmp_path: Path
) -> None:
    (run / "checkpoint").rename(tmp_path / "elsewhere")
    (run / "checkpoint").symlink_to(tmp_path / "elsewhere")
    refused("--resume", str(run))
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["state.safetensors"]


def test_links_wait_in_a_folder_for_a_new_run_in_vain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run" / "progress.csv").symlink_to(tmp_path / "precious")
    refused("CartPole-v1", "--run-dir", str(tmp_path / "run"))
    assert (tmp_path / "precious").read_text() == "kept"
    assert "progress.csv: is a symbolic link" in capsys.readouterr().err


def test_what_is_replaced_as_a_whole_may_have_been_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "policy").symlink_to(tmp_path / "precious")
    write_atomically(tmp_path / "policy", b"new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "policy").read_bytes() == b"new"


def test_a_configuration_is_a_regular_file(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "config.json").unlink()
    os.mkfifo(run / "config.json")
    with pytest.raises(SystemExit):
        ars.train.main(["--resume", str(run)])
    assert "not a run folder" in capsys.readouterr().err
    with pytest.raises(FileError, match=r"config\.json: not a regular file"):
        read_json(run / "config.json")
    with pytest.raises(FileError, match="not a regular file"):
        read_json(Path("/dev/zero"))


def test_a_configuration_of_gigabytes_is_not_read(run: Path) -> None:
    with (run / "config.json").open("r+b") as file:
        file.truncate(1 << 40)  # of nothing
    with pytest.raises(FileError, match=r"config\.json: of 1,099,511,627,776 bytes"):
        read_json(run / "config.json")


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_keep_the_user_s_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        folder = train(tmp_path / "run", "--n-iterations", "1", env="CartPole-v1")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.is_file()}
    assert modes.pop(".lock") & mask == 0
    assert set(modes.values()) == {0o666 & ~mask}


# What files say is shown without what a terminal would obey


HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e"


@pytest.mark.parametrize("place", ["n_top", "env_id", "time_budget"])
def test_a_file_s_words_do_not_move_the_terminal_s_cursor(
    place: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "config.json"
    data = json.loads(path.read_text())
    holder = {"n_top": data["config"], "env_id": data, "time_budget": data["run"]}[place]
    holder[place] = HOSTILE
    path.write_text(json.dumps(data))
    with pytest.raises(SystemExit):
        ars.train.main(["--resume", str(run), "--n-workers", "0"])
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert (out + err).replace("\n", "").isprintable()
    assert "\\x1b]0;owned\\x07" in err


def test_a_hint_about_workers_is_printable_and_short(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "config.json"
    data = json.loads(path.read_text())
    data["workers"]["ray_address"] = HOSTILE * 1000
    path.write_text(json.dumps(data))
    ars.train.main(["--resume", str(run), "--n-workers", "0", "--n-iterations", "4"])
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert max(map(len, out.splitlines())) < 2100


# Logs


def changed(run: Path, edit: Callable[[bytes], bytes], name: str = "progress.csv") -> None:
    path = run / name
    path.write_bytes(edit(path.read_bytes()))


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "a number": lambda log: log.replace(b"1", b"7", 1),
    "a header": lambda log: log.replace(b"timesteps", b"timestamps", 1),
    "no UTF-8": lambda log: log.replace(b"1", b"\xff", 1),
    "a row less": lambda log: b"".join(log.splitlines(keepends=True)[:-1]),
}


@pytest.mark.parametrize("name", ["progress.csv", "evaluations.csv"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_log_that_was_edited_is_told_of(
    edit: Callable[[bytes], bytes], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "run", "--n-iterations", "4", env="CartPole-v1")
    changed(folder, edit, name)
    before = (folder / name).read_bytes()
    refused("--resume", str(folder), "--n-iterations", "6")
    err = capsys.readouterr().err
    assert err.startswith(f"error: {folder / name}: ")
    assert err.endswith("; cannot go on\n")
    assert (folder / name).read_bytes() == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda log: log.replace(b"timesteps", b"timestepz", 1),
            "the timesteps of its last row is",
        ),
        (lambda log: log.replace(b"iteration", b"iterat\xffon", 1), "not a log of a run"),
        (lambda log: log.replace(b",", b";", 1), "not a log of a run"),
    ],
)
def test_without_digests_a_log_has_to_end_as_the_checkpoint_does(
    edit: Callable[[bytes], bytes], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "tape.bin").unlink()
    changed(run, edit)
    refused("--resume", str(run))
    assert f"progress.csv: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("log", [b"\xff\n", b"a,b\n1\n", b"a,a\n1,2\n", b"a\nx\n"])
def test_a_log_that_is_none_is_named_from_python(log: bytes, run: Path) -> None:
    (run / "progress.csv").write_bytes(log)
    with pytest.raises(FileError, match=r"progress\.csv: not a log of a run"):
        Run.open(run).progress  # noqa: B018  # a property


def test_a_log_without_a_row_has_no_columns(run: Path) -> None:
    (run / "progress.csv").write_bytes(b"")  # as of a run that ended in its first iteration
    assert Run.open(run).progress == {}


# Two runs at once


def test_a_folder_that_another_run_takes_in_the_meantime_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*arguments: Any) -> Path:
        folder = new_folder(*arguments)
        monkeypatch.undo()
        train(folder, "--n-iterations", "1", env="CartPole-v1")
        return folder

    monkeypatch.setattr("ars.training.run.new_folder", overtaken)
    with pytest.raises(SystemExit) as stopped:
        train(tmp_path / "run", "--n-iterations", "2", env="CartPole-v1")
    assert stopped.value.code == 2
    assert json.loads((tmp_path / "run" / "result.json").read_text())["iterations"] == 1
