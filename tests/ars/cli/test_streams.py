"""stdout and stderr that are closed, full or cannot hold a sign cost no result and no traceback."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import SUPPORT

from ars.cli.exit import reporting
from ars.cli.streams import Output, spelled_out

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
TRAIN = ["ars.train", "CartPole-v1", "--n-workers", "0", "--n-iterations", "2"]
FEW = ["--n-directions", "2", "--eval-episodes", "1", "--run-dir"]


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("1 ± 2 · x…", "ascii", "1 +/- 2 - x..."),
        ("né", "ascii", "n\\xe9"),
        ("±", "latin-1", "+/-"),
        ("\udcff", "utf-8", "\\udcff"),
    ],
)
def test_signs_that_do_not_fit_are_spelled_out(text: str, encoding: str, shown: str) -> None:
    assert spelled_out(text, encoding) == shown


def test_only_what_does_not_fit_is_spelled_out() -> None:
    file = io.BytesIO()
    output = Output(io.TextIOWrapper(file, "latin-1", write_through=True))
    print("1 ± 2", file=output)
    print("1 ± 2…", file=output)
    assert file.getvalue().decode("latin-1") == "1 ± 2\n1 +/- 2...\n"


class Broken(io.StringIO):
    """Fails at every write."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.tries = number, 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise OSError(self.number, os.strerror(self.number))


def test_the_first_failure_is_kept_and_the_rest_is_silence() -> None:
    broken = Broken(errno.EIO)
    output = Output(broken)
    print("a", file=output)
    print("b", file=output, flush=True)
    assert output.reason() == "Input/output error"
    assert broken.tries == 1


def test_a_reader_that_went_away_ends_what_it_read_but_not_what_it_was_warned_of() -> None:
    with pytest.raises(BrokenPipeError):
        print("a", file=Output(Broken(errno.EPIPE)))
    print("a", file=Output(Broken(errno.EPIPE), raises_broken_pipe=False))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_failed_output_is_told_on_the_other_one(
    stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = io.StringIO()
    monkeypatch.setattr(sys, stream, Broken(errno.ENOSPC))
    monkeypatch.setattr(sys, "stderr" if stream == "stdout" else "stdout", other)
    with pytest.raises(SystemExit) as stopped, reporting():
        print("a", file=getattr(sys, stream))
    assert stopped.value.code == 1
    assert other.getvalue() == (
        f"error: {stream} cannot be written: No space left on device; everything else is done\n"
    )


def test_a_failure_keeps_its_status_where_it_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ars.common.errors import UsageError

    monkeypatch.setattr(sys, "stderr", Broken(errno.ENOSPC))
    with pytest.raises(SystemExit) as stopped, reporting():
        raise UsageError("no")
    assert stopped.value.code == 2


def run(command: list[str], redirection: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command under a shell that redirects its output."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", *command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@ON_LINUX
def test_json_that_goes_nowhere_ends_in_silence() -> None:
    done = run(["ars.evaluate", "InvertedPendulum", "--episodes", "1", "--json"], ">&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@ON_LINUX
@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (">/dev/full", 1, "error: stdout cannot be written: No space left on device"),
    ],
)
def test_a_training_whose_output_goes_nowhere_is_complete(
    redirection: str, status: int, said: str, tmp_path: Path
) -> None:
    done = run([*TRAIN, *FEW, str(tmp_path / "run")], redirection)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == (1 if said else 0)
    assert (tmp_path / "run" / "result.json").exists()
    assert (tmp_path / "run" / "progress.csv").read_text().startswith("iteration,")


@pytest.mark.parametrize("at", ["made", "step"])
def test_an_environment_that_closes_the_program_s_files_changes_nothing(
    at: str, tmp_path: Path
) -> None:
    more = ["--env-kwargs", f"at={at}", *FEW, str(tmp_path / "run")]
    command = [TRAIN[0], "rude_envs:ClosesFiles-v0", *TRAIN[2:], *more]
    done = run(command, "", PYTHONPATH=str(SUPPORT))
    assert (done.returncode, done.stderr) == (0, "")
    assert "run folder " in done.stdout and "  train on  " in done.stdout
    assert (tmp_path / "run" / "progress.csv").read_text().count("\n") == 3


def test_an_environment_that_sets_python_for_itself_changes_nothing(tmp_path: Path) -> None:
    more = ["--env-kwargs", "at=made", *FEW, str(tmp_path / "run")]
    command = [TRAIN[0], "rude_envs:Forgets-v0", *TRAIN[2:], *more]
    done = run(command, "", PYTHONPATH=str(SUPPORT), PYTHONWARNINGS="default")
    assert done.returncode == 0
    assert done.stderr.count("UserWarning: old") <= 3  # not at each of 40 steps


@ON_LINUX
def test_help_that_cannot_be_written_is_told() -> None:
    done = run(["ars.evaluate", "--help"], ">/dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_live_panel_is_drawn_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    command = [*TRAIN, *FEW, str(tmp_path / "run")]
    status, shown = on_a_terminal(command, PYTHONIOENCODING=encoding)
    assert status == 0
    said = shown.decode(encoding)
    assert ("+/-" if encoding == "ascii" else "±") in said
    assert "Traceback" not in said


def on_a_terminal(command: list[str], **env: str) -> tuple[int, bytes]:
    """Exit status and output of a command on a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "TERM": "xterm", **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b"".join(_pieces(ours))
        os.close(ours)
    return process.returncode, shown


def _pieces(terminal: int) -> Iterator[bytes]:
    with contextlib.suppress(OSError):  # how a terminal ends
        while piece := os.read(terminal, 1 << 16):
            yield piece
