"""Run folders: where they are, what they contain, and what a RUN on a command line means."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ars.common.errors import RunError, UsageError, short_message
from ars.common.settings import counted, near
from ars.common.shell import quoted
from ars.common.shipped import shipped
from policies import FileError, PolicyFile, read_policy
from policies.file import read_plain

try:
    import fcntl
except ImportError:  # Windows has no such locks: the user must see to it
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.json"
EXPERIMENT = "experiment.json"  # of several runs, in the folder that theirs are in
STUDY = "study.json"  # of a search, likewise
PROGRESS = "progress.csv"
EVALUATIONS = "evaluations.csv"
TAPE = "tape.bin"
RESULT = "result.json"
LATEST_POLICY = "policy.safetensors"
BEST_POLICY = "best_policy.safetensors"
TRACKING = "tracking.json"  # by what a service for experiments knows the run
LOCK = ".lock"
LOCK_SECONDS = 2.0
LARGEST_JSON = 2**26  # bytes


@dataclass(frozen=True)
class ResolvedPolicy:
    """The policy that a RUN means.

    Attributes:
        path: of its file.
        file: what is in it.
        which: what it is, such as `best policy`.
        name: how the user knows the file: as its path, unless it was unpacked from another.
    """

    path: Path
    file: PolicyFile
    which: str
    name: str

    @property
    def description(self) -> str:
        """`best policy runs/…/best_policy.safetensors (iteration 7, 12,345 timesteps)`."""
        training = self.file.training
        iteration, timesteps = training.get("iteration"), training.get("timesteps")
        if not isinstance(iteration, int) or not isinstance(timesteps, int):
            return f"{self.which} {self.name}"
        return f"{self.which} {self.name} (iteration {iteration:,}, {timesteps:,} timesteps)"


def without_folder(place: str) -> str:
    """An absolute path without the folders before its name, which are nobody else's business."""
    return Path(place).name if Path(place).is_absolute() else place


def find_policy(run: str, latest: bool = False, setting: str = "run") -> ResolvedPolicy:
    """The policy of a run folder, its best (or latest), or of a policy file.

    Args:
        run: what the user gave.
        latest: take a folder's latest policy instead of its best.
        setting: the setting that it was given as, for messages.

    Raises:
        UsageError: there is no such RUN.
        FileError: its file is damaged.
    """
    path = Path(run)
    if path.is_dir():
        name = LATEST_POLICY if latest else BEST_POLICY
        if not (path / name).is_file() and (path / LATEST_POLICY).is_file():
            name = LATEST_POLICY
        if not (path / name).is_file() and (path / BEST_POLICY).is_file():
            raise UsageError(f"`latest`: {run} has no latest policy yet, only its best so far")
        if not (path / name).is_file():
            raise UsageError(
                f"`{setting}` {run}: a folder without {BEST_POLICY} or {LATEST_POLICY}"
                f"{one_of_those_in(path)}"
            )
        path = path / name
        which = "latest policy" if name == LATEST_POLICY else "best policy"
    elif path.is_file():
        if latest:
            raise UsageError(f"`latest`: {run} is one policy; a run folder has a latest one")
        if path.name in (CONFIG, PROGRESS, EVALUATIONS, TAPE, RESULT):
            raise UsageError(f"`{setting}` {run}: no policy; name its run folder, {path.parent}")
        which = "policy file"
    else:
        raise UsageError(
            f"`{setting}` {run}: no run folder, policy file or shipped policy of that name"
            + (near(run, shipped()) or f"; shipped are: {', '.join(shipped()) or 'none'}")
        )
    return ResolvedPolicy(path, read_policy(path), which, str(path))


def new_folder(env_id: str, name: str, run_dir: str | None) -> Path:
    """Make a run's folder: `run_dir`, or runs/ENV/NAME, numbered if taken.

    Raises:
        UsageError: `run_dir` holds a run already or cannot be written.
    """
    if run_dir is not None:
        check_run_dir(run_dir)
        path = Path(run_dir)
        _make(path, f"`run_dir` {run_dir}")
        return path
    base = Path("runs") / env_id.replace(":", "-").replace("/", "-") / name
    path, number = base, 1
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
            path = base.with_name(f"{base.name}-{number}")
        except OSError as error:
            raise _unwritable(str(path), error) from None


def check_run_dir(run_dir: str) -> None:
    """Raises: UsageError if `run_dir` can be no folder of a new run, as far as that is seen now."""
    if not run_dir:
        raise UsageError("`run_dir` '': must name a folder")
    if Path(run_dir).is_file():
        raise UsageError(f"`run_dir` {run_dir}: is a file; it must name a folder")
    refuse_taken(Path(run_dir))


def refuse_taken(folder: Path) -> None:
    """Raises: UsageError if a folder for a new run holds one, or a search."""
    holders = ((CONFIG, "run", "train"), (EXPERIMENT, "run", "train"), (STUDY, "search", "tune"))
    for name, held, goes in holders:
        if os.path.lexists(folder / name):
            raise UsageError(
                f"`run_dir` {folder}: holds a {held} already; choose another folder, or {goes} on "
                f"with `resume` {quoted(folder)}"
            )
    logs = (log for pattern in ("*", "*/*") for log in folder.glob(f"{pattern}/{PROGRESS}"))
    if any((log.parent / CONFIG).is_file() for log in logs):  # which other programs have too
        raise UsageError(f"`run_dir` {folder}: a folder of runs; name a new one in it")


def _make(path: Path, name: str) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)  # another run may be trying the same
    except OSError as error:
        raise _unwritable(name, error) from None


def _unwritable(name: str, error: OSError) -> UsageError:
    return UsageError(f"{name}: cannot be written ({error.strerror}); give another `run_dir`")


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock a run folder for the block; the system unlocks it however the process ends.

    Raises:
        RunError: another process has locked it, it cannot be written, or a file in it that a run
            writes to is none of its own.
    """
    try:
        for name in (LOCK, PROGRESS, EVALUATIONS, TAPE):
            _refuse_foreign(folder / name, stat.S_ISREG)
        _refuse_foreign(folder / "checkpoint", stat.S_ISDIR)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        # A killed run keeps its lock for a moment if it was just starting a child process.
        if not _acquired(handle, LOCK_SECONDS):
            raise RunError(f"{folder}: another process is training in this folder")
        if not _is_at(handle, folder / LOCK):  # removed with the run of the one who had it
            raise RunError(f"{folder}: its lock was removed while it was waited for; try again")
        yield
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def remove_unbegun(folder: Path) -> None:
    """Remove the folder of a run that never began: it holds nothing but what was asked for."""
    with suppress(OSError):
        names = {path.name for path in folder.iterdir()}
        if names <= {CONFIG, LOCK, TRACKING}:
            for name in names:
                (folder / name).unlink()
            folder.rmdir()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A block that only writes to a run folder. Raises: RunError that names it if it cannot."""
    try:
        yield
    except BrokenPipeError:  # of stdout
        raise
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror}") from error


def _refuse_foreign(path: Path, is_kind: Callable[[int], bool]) -> None:
    """Raises: RunError if something that a run writes to, if it exists, is elsewhere."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    what = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "of another kind"
    if is_kind(status.st_mode):
        if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
            return
        what = "a file that has another name elsewhere (a hard link)"
    raise RunError(
        f"{path}: is {what}; a run writes only to plain files in its folder: put a copy there"
    )


def _acquired(handle: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises: FileError that names the file."""
    content = read_plain(path, LARGEST_JSON)
    try:
        data = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: cannot be read ({short_message(error)})") from None
    if not isinstance(data, dict):
        raise FileError(f"{path}: not a JSON object")
    return data


def one_of_those_in(folder: Path) -> str:
    """What to name instead of a folder of runs, such as an experiment's."""
    found = [path for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/{BEST_POLICY}")]
    names = sorted(str(policy.parent.relative_to(folder)) for policy in found)
    if not names:
        return ""
    one = quoted(folder / names[0])
    return f"; it holds {counted(len(names), 'run')}: name one, for example {one}"
