"""What environments do to the process: folder, signals and the program's end stay the user's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from processes import alive, wait_until
from rude_envs import Unclosable

from ars.common.errors import one_line
from ars.common.host import (
    at_home,
    close_env,
    from_home,
    hosting,
    make_env,
    our_signals,
    take_back_at_every_step,
    take_back_signals,
)
from ars.common.reaper import VARIABLE

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to start in, and the signals as they were."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield tmp_path
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in NUMBERS]


def test_the_folder_is_the_user_s_again_after_the_block(place: Path) -> None:
    with hosting():
        make_env("rude_envs:Moves-v0", {"at": "made"})
        assert Path.cwd() == place / "elsewhere"
        with at_home():
            assert Path.cwd() == place
        assert Path.cwd() == place / "elsewhere"
        assert from_home(Path("runs")) == place / "runs"
    assert Path.cwd() == place


def test_every_environment_is_made_in_the_same_folder(place: Path) -> None:
    with hosting():
        for _ in range(3):  # each moves relative to where it is
            make_env("rude_envs:Moves-v0", {"at": "made"})
            assert Path.cwd() == place / "elsewhere"
        with hosting():
            make_env("rude_envs:Moves-v0", {"at": "made"})
        assert Path.cwd() == place / "elsewhere"


def test_signals_are_ours_again_after_making_and_after_the_block() -> None:
    before = handlers()
    with hosting():
        env = make_env("rude_envs:TakesSignals-v0", {"at": "made"})
        assert handlers() == before
        env.unwrapped.act()  # type: ignore[attr-defined]
        assert handlers() != before
        take_back_signals()
        assert handlers() == before
        env.unwrapped.act()  # type: ignore[attr-defined]
    assert handlers() == before


def test_one_that_takes_signals_later_is_watched() -> None:
    before = handlers()
    with hosting():
        env = make_env("rude_envs:TakesSignals-v0", {"at": "reset"})
        env.reset(seed=1)
        assert handlers() != before
        assert take_back_signals() and not take_back_signals()
        take_back_at_every_step(env)
        env.reset(seed=1)
        assert handlers() == before


def test_in_a_block_others_may_be_ours() -> None:
    before = handlers()
    ours: dict[int, Any] = {number: lambda *_: None for number in NUMBERS}
    with hosting():
        with our_signals(ours):
            take_back_signals()
            assert handlers() == list(ours.values())
        take_back_signals()
        assert handlers() == before


def test_an_exit_past_python_raises_where_environments_are_hosted() -> None:
    with hosting(), pytest.raises(SystemExit):
        os._exit(7)


def test_other_threads_children_and_other_times_may_end() -> None:
    def status_of_child() -> int:
        pid = os.fork()
        if not pid:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert threading.active_count() == 1, "only then a fork is safe"
    with hosting():
        assert status_of_child() == 7
        with hosting(may_exit=True):
            assert status_of_child() == 7
    assert status_of_child() == 7


def test_what_fails_in_closing_is_told_once() -> None:
    said: list[str] = []
    with hosting(said.append):
        for _ in range(3):
            close_env(Unclosable(), "Unclosable-v0")
        close_env(Unclosable(), "Other-v0", warns=False)
    (line,) = said
    told = "Unclosable-v0: its close() failed: AttributeError: there never was a viewer"
    assert line.startswith(told)


def test_threads_that_host_at_the_same_time_do_not_end_each_others_care() -> None:
    said: dict[str, list[str]] = {"first": [], "second": []}
    began, left = threading.Event(), threading.Event()

    def second() -> None:
        with hosting(said["second"].append):
            began.set()
            left.wait()
            close_env(Unclosable(), "Second-v0")
            marks.append(os.environ.get(VARIABLE))

    marks: list[str | None] = []
    thread = threading.Thread(target=second)
    with hosting(said["first"].append):
        thread.start()
        began.wait()
    left.set()
    thread.join()
    assert (len(said["first"]), len(said["second"])) == (0, 1)
    assert marks[0] is not None and VARIABLE not in os.environ


def test_what_fails_in_closing_does_not_hide_what_failed_before() -> None:
    said: list[str] = []

    def fail_and_close() -> None:
        try:
            raise ValueError("the cause")
        finally:
            close_env(Unclosable(), "Unclosable-v0")

    with hosting(said.append), pytest.raises(ValueError, match="the cause"):
        fail_and_close()
    assert not said


def test_an_exit_is_a_failure_in_words() -> None:
    assert one_line(SystemExit()) == "it tried to end the program (SystemExit)"
    assert one_line(SystemExit("bye\nnow")) == "it tried to end the program (SystemExit: bye now)"


STARTS_PROGRAMS = """
import subprocess, sys
from ars.common.host import hosting
with hosting():
    for own_session in (False, True):
        print(subprocess.Popen(["sleep", "60"], start_new_session=own_session).pid, flush=True)
    print(subprocess.Popen(["true"]).wait(), flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("is_killed", [False, True])
def test_programs_that_environments_start_end_with_this_process(is_killed: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", STARTS_PROGRAMS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stderr
        *pids, _ = (int(process.stdout.readline()) for _ in range(3))
        assert all(alive(pid) for pid in pids)
        if is_killed:
            process.kill()
        process.communicate("\n")
    assert wait_until(lambda: not any(alive(pid) for pid in pids))
