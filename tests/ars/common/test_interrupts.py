"""Ctrl-C, SIGTERM and SIGHUP: when they are raised, and when they wait."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ars.common import interrupts, loading
from ars.common.interrupts import Interrupts

HERE = os.getpid()


@pytest.fixture(autouse=True)
def _not_under_nohup() -> Iterator[None]:
    """Under nohup SIGHUP is ignored, which programs respect and their children inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(number: int = signal.SIGINT) -> None:
    os.kill(HERE, number)
    time.sleep(0.01)  # a bytecode or two, in which Python calls the handler


def interrupted(by: Callable[[], object]) -> None:
    """Expect KeyboardInterrupt from `by`, or at the latest some moments after it."""

    def wait() -> None:
        by()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(0.01)

    stop = Interrupts()
    with stop.handled(), pytest.raises(KeyboardInterrupt), stop.allowed():
        wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_is_raised_where_it_is_allowed_and_waits_elsewhere(number: int) -> None:
    interrupted(lambda: send(number))
    stop, reached = Interrupts(), False
    with stop.handled():
        send(number)
        reached = True
        with pytest.raises(KeyboardInterrupt), stop.allowed():
            pytest.fail("the signal has come already")
    assert reached


def test_an_import_is_complete_before_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "takes_a_while.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\ndone = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    interrupted(lambda: importlib.import_module("takes_a_while"))
    assert sys.modules.pop("takes_a_while").done


def test_an_interrupt_that_a_destructor_loses_comes_again() -> None:
    class Loses:
        def __del__(self) -> None:
            send()

    interrupted(Loses)


def test_what_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert interrupts.numbers() == [signal.SIGINT, signal.SIGTERM]
    stop = Interrupts()
    with stop.handled(), stop.allowed():
        send(signal.SIGHUP)


def test_only_a_second_ctrl_c_insists() -> None:
    stop = Interrupts()
    with stop.handled(), stop.forceful(60.0):
        send(signal.SIGHUP)
        send(signal.SIGHUP)  # as a shell and the system both send it when a terminal closes
        send(signal.SIGTERM)
        assert not stop.forced
        with pytest.raises(KeyboardInterrupt):
            send()
        assert stop.forced


def test_what_hangs_is_waited_for_no_longer_than_it_is_given() -> None:
    stop = Interrupts()
    with stop.handled(), stop.forceful(0.1):
        send(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            threading.Event().wait(60.0)
        assert stop.forced


def test_a_wait_may_be_interrupted_where_its_surroundings_may_not() -> None:
    stop = Interrupts()
    with stop.handled():
        send()
        with pytest.raises(KeyboardInterrupt), interrupts.waiting():
            pytest.fail("need not wait")


def test_a_process_that_starts_is_not_interrupted_nor_left_half_told() -> None:
    code = (
        "import os, signal\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "from ars.common.interrupts import let_through\n"
        "let_through()\n"
        "print(os.getpgid(0) == os.getpid(), signal.getsignal(signal.SIGTERM).name)\n"
    )
    done = []

    def start() -> None:
        with interrupts.held_back():
            send()
            command = [sys.executable, "-c", code]
            done.append(subprocess.run(command, capture_output=True, text=True, check=False))

    interrupted(start)
    [process] = done
    assert (process.stdout, process.stderr) == ("True SIG_DFL\n", "")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


@pytest.mark.parametrize(
    ("argv", "orig_argv", "ours"),
    [
        (["-m"], ["python", "-m", "ars.train", "Ant"], True),
        (["-m"], ["python", "-W", "error", "-m", "ars"], True),
        (["-m"], ["python", "-mars.render"], True),
        (["/x/bin/ars", "train"], ["python", "/x/bin/ars", "train"], True),
        (["-m"], ["python", "-m", "my_project.train", "ars"], False),
        (["-m"], ["python", "-m", "arsenal"], False),
        (["/x/train.py"], ["python", "/x/train.py"], False),
        (["-c"], ["python", "-c", "import ars", "-m", "ars"], False),
        # A process that multiprocessing starts gets its parent's arguments.
        (["/x/bin/ars", "train"], ["python", "-c", "...", "--multiprocessing-fork"], False),
        ([], [], False),
    ],
)
def test_only_a_program_of_the_toolkit_is_guarded(
    argv: list[str], orig_argv: list[str], ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig_argv)
    assert loading._is_program() is ours


def test_importing_the_toolkit_leaves_signals_alone() -> None:
    code = (
        "import signal, ars.api\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


INTERRUPTS_AT = """
import os, signal, sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
sys.meta_path.insert(0, Interrupts())
"""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("ars.common.own_modules", "SIGINT"),
        ("argparse", "SIGTERM"),
        ("ars.training.evaluation", "SIGHUP"),
        ("numpy", "SIGINT"),
        ("numpy.linalg", "SIGTERM"),
    ],
)
def test_a_program_that_is_interrupted_while_it_loads_says_one_line(
    module: str, number: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS_AT)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "ars.evaluate", "Hopper", "--episodes", "100000"],
        env={**os.environ, "PYTHONPATH": path, "INTERRUPT_AT": module, "SIGNAL": number},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
