"""Rows of the fault matrix about files: runs killed while writing, and damaged or hostile files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import struct
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from faults.runs import (
    LENGTH,
    SLOW,
    CannotBeCaused,
    Fails,
    Lab,
    Training,
    copy,
    forked,
    identical,
    in_fork,
    is_clean,
    passes,
    require,
    resume_words,
    undisturbed,
    words,
)

FEW = ["--n-iterations", "5"]
N_DISTRIBUTED = 3  # kills of runs with two workers; few, because starting Ray takes seconds
FLIPS = 300  # bits flipped in each file, one at a time


def _next(env: str, folder: Path, *more: str, workers: int = 0) -> list[str]:
    """Return the command a user would give: resume the run, or start it if it had not begun."""
    if (folder / "config.json").exists():
        return resume_words(folder, workers=workers)
    return words(env, folder, *more, workers=workers)


def killed(lab: Lab) -> str:
    """Kill and resume runs repeatedly until they finish."""
    length = ["--n-iterations", "60"]
    began = time.monotonic()
    reference = undisturbed(lab, "Hopper", *length)
    whole = time.monotonic() - began
    moments = random.Random(time.time_ns())
    n_left, n_runs = lab.kills - N_DISTRIBUTED, 0
    while n_left > 0:
        n_runs += 1
        folder, status = lab.place / f"run{n_runs}", -signal.SIGKILL
        while status == -signal.SIGKILL:
            seconds = moments.uniform(0, whole) if n_left > 0 else None
            status, _, err = forked(_next("Hopper", folder, *length), seconds=seconds)
            n_left -= status == -signal.SIGKILL
        require(status == 0, f"exit status {status}: {err}")
        identical(folder, reference)
    _killed_with_workers(lab, moments)
    return f"{max(lab.kills, N_DISTRIBUTED)} kills, {n_runs + 1} runs"


def _killed_with_workers(lab: Lab, moments: random.Random) -> None:
    folder = lab.place / "distributed"
    for _ in range(N_DISTRIBUTED):
        with Training(folder, _next(SLOW, folder, *LENGTH, workers=2)) as run:
            run.wait_for(run.workers, "a worker")
            time.sleep(moments.uniform(0, 2))
            run.process.kill()
            run.end(-signal.SIGKILL)  # also checks that no process is left
    status, _, err = forked(_next(SLOW, folder, *LENGTH))
    require(status == 0, err)
    identical(folder, undisturbed(lab, SLOW, *LENGTH))


class DiesAt:
    """End the process at the n-th moment of its saves: before a call or halfway through a write.

    Args:
        moment: n.
        seen: file descriptor that takes a byte for each half of a write.
    """

    CALLS = ("open", "chmod", "fsync", "replace", "link", "unlink", "mkdir")

    def __init__(self, moment: int, seen: int) -> None:
        self._left, self._seen = moment, seen

    def arm(self) -> None:
        """Replace the functions that write files."""
        for name in self.CALLS:
            setattr(os, name, self._before(getattr(os, name)))
        plain = io.open

        def opened(path: Any, mode: str = "r", *arguments: Any, **details: Any) -> Any:
            file = plain(path, mode, *arguments, **details)
            return _Written(file, self._half) if set(mode) & set("wax+") else file

        io.open = opened  # type: ignore[assignment]  # which `Path.open` and others call

    def _half(self) -> None:
        with contextlib.suppress(BlockingIOError):  # many were seen
            os.write(self._seen, b".")
        self.tick()

    def tick(self) -> None:
        """Count a moment, and end the process if it is the n-th."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def ticking(*arguments: Any, **details: Any) -> Any:
            self.tick()
            return call(*arguments, **details)

        return ticking


class _Written:
    """A file that writes data in two halves."""

    def __init__(self, file: Any, before: Callable[[], None]) -> None:
        self._file, self._before = file, before

    def write(self, data: Any) -> int:
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            self._before()
            self._file.write(half)
            self._file.flush()
        return len(data)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def killed_inside_a_save(lab: Lab) -> str:
    """Kill a run at each moment of its writing; its files must load and the run resume exactly."""
    from ars.training import checkpoint
    from policies import read_policy

    length = ["--n-iterations", "2", "--save-freq", "1"]
    reference = undisturbed(lab, "Hopper", *length)
    moment = 0
    halves, seen = os.pipe()
    os.set_blocking(seen, False)
    while True:
        moment += 1
        folder = lab.place / f"run{moment}"
        status, _, err = forked(words("Hopper", folder, *length), DiesAt(moment, seen).arm)
        if status == 0:
            break
        require(status == -signal.SIGKILL, f"moment {moment}: {err}")
        if checkpoint.exists(folder):
            checkpoint.load(folder)
        for path in folder.glob("*policy.safetensors"):
            read_policy(path)
        status, _, err = forked(_next("Hopper", folder, *length))
        require(status == 0, f"moment {moment}: {err}")
        identical(folder, reference)
        shutil.rmtree(folder)
    identical(folder, reference)
    os.close(seen)
    n_halves = len(os.read(halves, 2**16))
    os.close(halves)
    require(n_halves > 0, "no write was seen")
    return f"{moment - 1} moments"


def disk_full(lab: Lab) -> None:
    """Fill up a file system of 1 MB, then enlarge it."""
    length = ["--n-iterations", "2500", "--save-freq", "100", "--rollout-length", "5"]
    length += ["--eval-freq", "500"]
    disk = lab.place / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        raise CannotBeCaused(f"needs the right to mount a file system ({done.stderr.strip()})")
    try:
        folder = disk / "run"
        with Training(lab.place / "words", words("Hopper", folder, *length)) as run:
            run.folder = folder
            run.end_clean("cannot be written", "No space left on device")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        status, _, err = forked(resume_words(folder))
        require(status == 0, err)
        identical(folder, undisturbed(lab, "Hopper", *length))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Damaged and hostile files


def _readers(folder: Path) -> dict[Path, Callable[[Path], object]]:
    """Return every file that a run reads again, and its reader."""
    from ars.training import checkpoint
    from policies import read_policy
    from policies.file import read_arrays

    state = folder / checkpoint.FOLDER / checkpoint.CURRENT
    return {
        folder / "policy.safetensors": read_policy,
        folder / "best_policy.safetensors": read_policy,
        state: lambda path: read_arrays(path, "checkpoint"),
    }


def _refused(path: Path, read: Callable[[Path], object], what: str) -> None:
    from policies import FileError

    try:
        read(path)
    except FileError as error:
        require(str(path) in str(error), f"{what}: the file is not named: {error}")
        require("\n" not in str(error), f"{what}: not one line: {error}")
    else:
        raise Fails(f"{what}: {path.name} was read")


def damaged(lab: Lab) -> str:
    """Truncate files at many places and flip bits at many others; then try the commands."""
    folder = copy(undisturbed(lab, "Hopper", *FEW), lab.place / "run")
    places = random.Random(time.time_ns())
    n_damages = 0
    for path, read in _readers(folder).items():
        whole = path.read_bytes()
        for data in [*_cuts(whole), *_flips(whole, places)]:
            path.write_bytes(data)
            _refused(path, read, "damaged")
            n_damages += 1
        path.write_bytes(whole)
        read(path)
    for name in ("checkpoint/state.safetensors", "config.json", "progress.csv"):
        run = copy(folder, lab.place / "damaged")
        path = run / name
        path.write_bytes(path.read_bytes()[:-40])
        status, _, err = forked(resume_words(run, "--n-iterations", "7"))
        require(status == 1, f"{name}: exit status {status}")
        is_clean(err, str(path))
    return f"{n_damages} damages"


def _cuts(data: bytes) -> Iterator[bytes]:
    for length in range(0, len(data), max(1, len(data) // 100)):
        yield data[:length]


def _flips(data: bytes, places: random.Random) -> Iterator[bytes]:
    for _ in range(FLIPS):
        flipped = bytearray(data)
        flipped[places.randrange(len(data))] ^= 1 << places.randrange(8)
        yield bytes(flipped)


class _Pickled:
    """Creates a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._canary),)


def hostile(lab: Lab) -> str:
    """Files that would run code, fill the memory or write elsewhere if they were trusted."""
    folder = copy(undisturbed(lab, "Hopper", *FEW), lab.place / "run")
    whole = copy(folder, lab.place / "whole")
    canary = lab.place / "canary"
    files = _hostile_files(canary)

    def read_all() -> None:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path, read in _readers(folder).items():
            for what, data in files.items():
                path.write_bytes(data)
                _refused(path, read, what)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used
        require(grown < 32 << 10, f"{grown} KB of memory for files of a few")

    status, _, err = in_fork(read_all)
    require(status == 0, err.strip().rpartition("\n")[2])
    for what, data in files.items():
        run = copy(whole, lab.place / "hostile")
        (run / "checkpoint" / "state.safetensors").write_bytes(data)
        status, _, err = forked(resume_words(run, "--n-iterations", "7"))
        require(status == 1, f"{what}: exit status {status}")
        is_clean(err, "state.safetensors")
    require(not canary.exists(), "something ran, or was written where a name said")
    return f"{len(files)} kinds"


def _hostile_files(canary: Path) -> dict[str, bytes]:
    import numpy as np
    from safetensors.numpy import save

    bomb, objects = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.npy", bytes(64 << 20))
    np.savez(objects, weights=np.array([_Pickled(canary)], object))
    names = {f"../{canary.name}": np.zeros(3), str(canary): np.zeros(3)}

    def safetensors(header: Any, data: bytes = b"") -> bytes:
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    huge = {"weights": {"dtype": "F64", "shape": [1 << 40], "data_offsets": [0, 8 << 40]}}
    shared = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
    deep = b'{"__metadata__":{"ars":"' + b"[" * 100_000 + b'"}}'
    return {
        "pickle": pickle.dumps(_Pickled(canary)),
        "object array": objects.getvalue(),
        "zip bomb": bomb.getvalue(),
        "../ names": save(names, metadata={"ars": '{"sha256": "0"}'}),
        "a header of 2**63 bytes": struct.pack("<Q", 1 << 63),
        "an array of 8 TB": safetensors(huge),
        "a thousand names for one array": safetensors({str(i): shared for i in range(1000)}),
        "deep JSON": struct.pack("<Q", len(deep)) + deep,
    }


def of_another(lab: Lab) -> None:
    """Edit the checkpoint (with a valid checksum), config.json and the policy."""
    from ars.training import checkpoint
    from policies import file as policy_io
    from policies import read_policy

    folder = undisturbed(lab, "Hopper", *FEW)
    stored = checkpoint.load(folder)
    arrays, document = stored.arrays, stored.values
    other, state = lab.place / "run", Path(checkpoint.FOLDER) / checkpoint.CURRENT

    def resumed(run: Path, *named: str) -> None:
        status, _, err = forked(resume_words(run, "--n-iterations", "7"))
        require(status in (1, 2), f"{named}: exit status {status}")
        is_clean(err, *named)

    for name, value in {"env_id": "Ant", "policy": "mlp", "seed": 3, "algo": "x"}.items():
        run = copy(folder, other)
        edited = {**document, "run": {**document["run"], name: value}}
        policy_io.write_arrays(run / state, "checkpoint", arrays, edited)
        resumed(run, "checkpoint", name, str(value))
    for name, value in {"env_id": "Ant", "seed": 3, "algo": "x"}.items():
        run = copy(folder, other)
        path = run / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
        resumed(run, name, str(value))
    policy = read_policy(folder / "policy.safetensors")
    run = copy(folder, other)
    version, policy_io.FORMAT_VERSION = policy_io.FORMAT_VERSION, 99
    policy_io.write_arrays(run / state, "checkpoint", arrays, document)
    policy_io.save_policy(run / "policy.safetensors", policy)
    policy_io.FORMAT_VERSION = version
    resumed(run, "state.safetensors", "version 99")
    _refused(run / "policy.safetensors", read_policy, "version 99")
    run = copy(folder, other)
    shutil.copy(run / "policy.safetensors", run / state)
    resumed(run, "not a checkpoint file")


# Arguments


def two_runs(lab: Lab) -> None:
    """Start and resume a run in the folder of a running one, which must not be affected."""
    reference = undisturbed(lab, SLOW, *LENGTH)
    folder = lab.place / "run"
    with Training(folder, words(SLOW, folder, *LENGTH)) as run:
        run.wait_for_rows(1)
        second: list[tuple[Sequence[str], int, str]] = [
            (words(SLOW, folder, *LENGTH), 2, "holds a run already"),
            (resume_words(folder), 1, "another process is training in this folder"),
        ]
        for command, status, named in second:
            found, _, err = forked(command)
            require(run.process.poll() is None, "the first run had ended")
            require(found == status, f"exit status {found}: {err}")
            is_clean(err, named)
        run.end()
    identical(folder, reference)


def bad_flags(lab: Lab) -> str:
    """Use unusable arguments, in the command itself and in the test suite without Ray."""
    for given, named in (
        (["Hopper", "--n-directions", "4", "--n-top", "5"], "--n-top 5: must be at most"),
        (["Hopper", "--step-size", "nan"], "--step-size nan: must be a finite number"),
        (["Hoper"], "did you mean Hopper"),
        (["Hopper", "--n-workers", "-1"], "--n-workers -1: must be auto or a whole number"),
    ):
        folder = lab.place / "run"
        with Training(folder, [*given, "--run-dir", str(folder)]) as run:
            run.end(2)
        is_clean(run.err, named)
        require(not folder.exists(), "a folder was made")
    return passes("tests/ars/cli/test_wrong_words.py", "-k", "unusable_arguments") + (
        "; --n-workers 0 is this process alone"
    )
