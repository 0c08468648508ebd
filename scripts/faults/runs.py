"""Helpers for the rows of the fault matrix: training runs to disturb, and checks of the outcome.

A `Training` is the real command in a session of its own, so that leftover processes can be found.
`forked` runs the same command in a fork of this process, which saves the seconds that starting
Python takes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

# Untrained Hoppers and CartPoles fall within about 20 steps, so an iteration takes milliseconds.
SMALL = ["--n-directions", "3", "--eval-freq", "2", "--eval-episodes", "2", "--save-freq", "3"]
SLOW = "faulty_envs:Slow-v0"
LENGTH = ["--n-iterations", "40", "--rollout-length", "50"]  # of a slow run to disturb
LEFT_SECONDS = 10.0  # after a run, by when its processes must have ended
RUN_TIMEOUT = 240.0  # seconds; a run that takes longer is considered hung


class Lab(NamedTuple):
    """The folders and options of a row.

    Attributes:
        place: folder for the row's files.
        references: folder of undisturbed runs, shared by all rows.
        kills: number of kills in row 19.
        iterations: number of iterations in row 27.
        minutes: length of the row "long".
    """

    place: Path
    references: Path
    kills: int
    iterations: int
    minutes: float


class Fails(Exception):
    """A requirement of a row is not met."""


class CannotBeCaused(Exception):
    """The fault cannot be caused on this machine; the message says why."""


def require(condition: object, message: str) -> None:
    """Raise `Fails` with a message unless a condition is true."""
    if not condition:
        raise Fails(message)


class Training:
    """A process of `python -m ars.train`.

    Args:
        folder: the run folder.
        words: the command-line arguments.
        patch: Python code to run first.
        prefix: words before the command, such as `ip netns exec NAME`.
    """

    def __init__(
        self, folder: Path, words: Sequence[str], patch: str = "", prefix: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._texts = [folder.with_name(f"{folder.name}.{time.time_ns()}.{n}") for n in "12"]
        code = f"{patch}\nfrom ars.train import main\nmain()"
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
        with self._texts[0].open("w") as out, self._texts[1].open("w") as err:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-c", code, *words],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                # A shell makes processes in the background ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    @property
    def out(self) -> str:
        """Stdout so far."""
        return self._texts[0].read_text()

    @property
    def err(self) -> str:
        """Stderr so far."""
        return self._texts[1].read_text()

    def left(self) -> list[int]:
        """Return the living processes of the run's session."""
        from processes import session_processes

        return session_processes(self.process.pid)

    def workers(self) -> list[int]:
        """Return the worker processes."""
        found = []
        for pid in self.left():
            with contextlib.suppress(OSError):
                if b"ray::RolloutWorker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
        """Wait until a condition is true. Raises: Fails if it takes too long or the run ends."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = self.process.poll() is not None
            require(not ended, f"the run ended before {what}: {self.out[-300:]}{self.err[-300:]}")
            require(time.monotonic() < deadline, f"no sign of this in {seconds:.0f} s: {what}")
            time.sleep(0.01)

    def wait_for_rows(self, rows: int) -> None:
        """Wait until a number of iterations have been logged."""
        self.wait_for(lambda: self.rows() >= rows, f"iteration {rows}")

    def rows(self) -> int:
        """Return the number of iterations logged so far."""
        path = self.folder / "progress.csv"
        return path.read_text().count("\n") - 1 if path.exists() else 0

    def end(self, status: int = 0, seconds: float = RUN_TIMEOUT) -> Training:
        """Wait for the end and check the exit status and that no process is left. Raises: Fails."""
        from processes import wait_until

        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Fails(f"the run did not end within {seconds:.0f} s") from None
        found = self.process.returncode
        require(found == status, f"exit status {found} instead of {status}: {self.err[-300:]}")
        require(
            wait_until(lambda: not self.left(), LEFT_SECONDS),
            f"processes {self.left()} are alive {LEFT_SECONDS:.0f} s after the end",
        )
        return self

    def end_clean(self, *words: str, status: int = 1, seconds: float = RUN_TIMEOUT) -> Training:
        """Wait for an end with one line with all `words`; a checkpoint must be readable."""
        from ars.training import checkpoint

        self.end(status, seconds)
        is_clean(self.err, *words)
        if checkpoint.exists(self.folder):
            checkpoint.load(self.folder)
        return self


def is_clean(err: str, *words: str) -> None:
    """Check that stderr is one line that contains all `words`. Raises: Fails."""
    require(err.count("\n") == 1, f"stderr is not one line: {err[-300:]}")
    for word in words:
        require(word in err, f"not named: {word!r}, in: {err.strip()}")


def identical(folder: Path, reference: Path) -> None:
    """Check that policies, logs except times, and the final evaluation are equal. Raises: Fails."""
    from learners import outcome

    found, wanted = outcome(folder), outcome(reference)
    differ = [name for name in wanted if found[name] != wanted[name]]
    require(not differ, f"other bytes than the undisturbed run: {', '.join(differ)}")


def words(env: str, folder: Path, *more: str, workers: int | str = 0) -> list[str]:
    """Return the arguments of a small run."""
    return [env, "--run-dir", str(folder), "--n-workers", str(workers), *SMALL, *more]


def resume_words(folder: Path, *more: str, workers: int | str = 0) -> list[str]:
    """Return the arguments that resume a run."""
    return ["--resume", str(folder), "--n-workers", str(workers), *more]


def undisturbed(lab: Lab, env: str, *more: str) -> Path:
    """Return the folder of the same run in one process, undisturbed; do not write to it."""
    folder = lab.references / hashlib.sha256(repr((env, more)).encode()).hexdigest()[:16]
    if not (folder / "result.json").exists():
        status, _, err = forked(words(env, folder, *more))
        require(status == 0, f"the undisturbed run failed: {err}")
    return folder


def all_ready(n_workers: int) -> str:
    """Return a patch that lets a run wait for all its workers before it begins."""
    return f"""
from ars.distributed.pool import RayPool
submit = RayPool.submit
def patient(pool, *given):
    while len(pool.pids()) < {n_workers}:
        pool._pump()
    RayPool.submit = submit
    return submit(pool, *given)
RayPool.submit = patient
"""


# Forks


def forked(
    command: Sequence[str], before: Callable[[], None] = lambda: None, seconds: float | None = None
) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr of `python -m ars.train` in a fork.

    Args:
        command: the command-line arguments.
        before: called in the child first.
        seconds: after which the child is killed, with status -9.
    """

    def train() -> None:
        from ars.train import main

        main(command)

    return in_fork(train, before, seconds)


def in_fork(
    action: Callable[[], None],
    before: Callable[[], None] = lambda: None,
    seconds: float | None = None,
) -> tuple[int, str, str]:
    """The same as `forked` for any function."""
    _load()
    sys.stdout.flush()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            _child(action, before, (out.fileno(), err.fileno()))
        try:
            if seconds is not None:
                _wait(pid, seconds)
                os.kill(pid, signal.SIGKILL)  # without effect if it has ended (a zombie)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except KeyboardInterrupt:
            os.kill(pid, signal.SIGINT)
            os.waitpid(pid, 0)
            raise
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return status, texts[0], texts[1]


def _wait(pid: int, seconds: float) -> None:
    """Wait so long, or until a child ends."""
    process = os.pidfd_open(pid)
    try:
        select.select([process], [], [], seconds)
    finally:
        os.close(process)


def _child(action: Callable[[], None], before: Callable[[], None], files: tuple[int, int]) -> None:
    import traceback

    status = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C in a terminal reaches only the parent, which passes it on
        for number, file in enumerate(files, start=1):
            os.dup2(file, number)
        before()
        action()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@functools.cache
def _load() -> None:
    """Import and compile what a run needs, so that forks do not have to."""
    import envs

    for name in ("cli.console", "training.resolve", "training.env_check", "training.trainer"):
        importlib.import_module(f"ars.{name}")
    with contextlib.closing(envs.make("Hopper")) as env:
        envs.accelerate(env)


# Clusters


@contextlib.contextmanager
def raylets(folder: Path | None = None) -> Iterator[Any]:
    """Start a Ray cluster on this machine; commands run inside the block find its token.

    Args:
        folder: Ray's; a private one if none is given.
    """
    from raylets import Raylets

    from ars.distributed import ray_environment

    values = ray_environment.DRIVER | ray_environment.local_environment() | {"PYTHONPATH": ""}
    with ray_environment.environment(values):
        found = Raylets(folder)
        try:
            yield found
        finally:
            found.close()


def children(pid: int) -> list[int]:
    """Return the living children of a process."""
    from processes import parent

    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if parent(int(path.name)) == pid:
                found.append(int(path.name))
    return found


def passes(*tests: str) -> str:
    """Run tests of the suite that cause the fault themselves; return a summary. Raises: Fails."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    last = done.stdout.strip().rpartition("\n")[2]
    require(done.returncode == 0, f"pytest {' '.join(tests)}: {last}")
    return f"pytest: {last.strip('= ')}"


def copy(folder: Path, other: Path) -> Path:
    """Copy a run folder, replacing `other`; return `other`."""
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(folder, other)
    return other
