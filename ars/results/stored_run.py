"""Runs as they lie in their folders, finished or not: which there are, and their curves."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.common.settings import counted
from ars.training.logger import read_table
from ars.training.run_folder import CONFIG, EVALUATIONS, PROGRESS, RESULT, STUDY, read_json
from policies import FileError
from policies.file import read_plain

Array = NDArray[np.float64]
Notify = Callable[[str], None]

# What a curve may run over: the columns of the logs.
AXES: Mapping[str, str] = {
    "timesteps": "timesteps",
    "episodes": "episodes",
    "time": "time_seconds",
}


class Curve(NamedTuple):
    """A learning curve: `x` (rising) and `y`, both float64 [n]."""

    x: Array
    y: Array


@dataclass(frozen=True)
class StoredRun:
    """A run in its folder.

    Attributes:
        folder: where its files are.
        config: what config.json holds.
        final_return: of the final evaluation, the mean return; None where the run has not ended.
        timesteps: when it ended.
        named: whether the user named it; else it was found below a folder.
        place: what the user knows its folder by.
    """

    folder: Path
    config: Mapping[str, Any]
    final_return: float | None = None
    timesteps: int | None = None
    named: bool = True
    place: str = ""

    @classmethod
    def open(cls, folder: Path, place: str | None = None) -> StoredRun:
        """The run in a folder. Raises: FileError if its files are not those of a run."""
        config = read_json(folder / CONFIG)
        for name, kind in (("env_id", str), ("algo", str), ("seed", int), ("config", dict)):
            found = config.get(name)
            if not isinstance(found, kind) or (isinstance(found, str) and not found.isprintable()):
                raise FileError(f"{folder / CONFIG}: not the configuration of a run (no {name})")
        final, timesteps = _final(folder / RESULT)
        return cls(folder, config, final, timesteps, place=place or str(folder))

    @property
    def env_id(self) -> str:
        """The environment's id."""
        env_id: str = self.config["env_id"]
        return env_id

    @property
    def algo(self) -> str:
        """The algorithm's name."""
        algo: str = self.config["algo"]
        return algo

    @property
    def seed(self) -> int:
        """The seed."""
        seed: int = self.config["seed"]
        return seed

    @property
    def eval_episodes(self) -> int | None:
        """Episodes of a scheduled evaluation; None if the configuration does not say."""
        run = self.config.get("run")
        found = run.get("eval_episodes") if isinstance(run, dict) else None
        return found if isinstance(found, int) else None

    @property
    def plays(self) -> bool:
        """Whether episodes were played in training, as far as is known."""
        return self.algo not in ALGORITHMS or bool(ALGORITHMS[self.algo].load().plays)

    @contextmanager
    def left_out_if_damaged(self, notify: Notify) -> Iterator[None]:
        """Read its files in the block; one found below a folder is only said to be damaged.

        Raises:
            FileError: it was named, and a file is damaged.
        """
        try:
            yield
        except FileError as error:
            if self.named:
                raise
            notify(f"left out: {error}")

    def curve(self, x: str, training: bool, notify: Notify) -> Curve:
        """The learning curve; empty where there is no row yet.

        Args:
            x: one of `AXES`.
            training: mean returns of training's own episodes instead of evaluations.
            notify: told what was left out.

        Raises:
            FileError: a log is damaged.
        """
        path = self.folder / (PROGRESS if training else EVALUATIONS)
        table = read_log(path, notify)
        if not table:
            return Curve(np.empty(0), np.empty(0))
        y = _numbers(path, table, "return_mean")
        if x == "timesteps" or training or (x == "time" and AXES[x] in table):
            along = _numbers(path, table, AXES[x])
        else:
            along = self._at_iterations(AXES[x], _numbers(path, table, "iteration"), notify)
        there = np.isfinite(along) & np.isfinite(y)
        # Deep algorithms may end no episode in an iteration: these have no return.
        if missing := int((~there & ~(np.isnan(y) & training)).sum()):
            notify(f"{path}: left out: {counted(missing, 'row')} without a finite return or {x}")
        along, y = along[there], y[there]
        if (np.diff(along) < 0).any():
            row = int(np.argmax(np.diff(along) < 0)) + 2
            raise FileError(f"{path}: not the log of one run: its {AXES[x]} go back at row {row}")
        return Curve(along, y)

    def _at_iterations(self, column: str, iterations: Array, notify: Notify) -> Array:
        """What progress.csv says after some iterations; 0 before the first one."""
        path = self.folder / PROGRESS
        table = read_log(path, notify)
        known = {0.0: 0.0}
        if table:
            rows = (_numbers(path, table, name).tolist() for name in ("iteration", column))
            known.update(zip(*rows, strict=True))
        return np.array([known.get(iteration, math.nan) for iteration in iterations.tolist()])


def read_log(path: Path, notify: Notify) -> dict[str, list[str]]:
    """The columns of a log, which a run may be writing to; empty without a whole row.

    Raises: FileError.
    """
    if not path.exists():
        return {}
    data = read_plain(path)
    whole = data[: data.rfind(b"\n") + 1]
    try:
        table = read_table(path, whole) if whole else {}
    except FileError:
        end = whole.rstrip(b"\n").rfind(b"\n") + 1
        if not end:
            raise
        table, whole = read_table(path, whole[:end]), whole[:end]
    if len(whole) < len(data):
        notify(f"{path}: its last row is incomplete and left out")
    return table if any(table.values()) else {}


def _numbers(path: Path, table: Mapping[str, list[str]], name: str) -> Array:
    if name not in table:
        raise FileError(f"{path}: has no column {name}")
    try:
        return np.array([float(value or "nan") for value in table[name]])
    except ValueError as error:
        raise FileError(f"{path}: not a log of a run ({name}: {error})") from None


def _final(path: Path) -> tuple[float, int] | tuple[None, None]:
    """The mean return of a run's final evaluation and its timesteps, if it has ended."""
    if not path.exists():
        return None, None
    result = read_json(path)
    evaluation = result.get("final_evaluation")
    found = evaluation.get("return_mean") if isinstance(evaluation, dict) else None
    timesteps = result.get("timesteps")
    if (
        not (isinstance(found, int | float) and isinstance(timesteps, int))
        or not abs(found) <= sys.float_info.max  # nor is NaN
    ):
        raise FileError(f"{path}: not the result of a run (no return of its final evaluation)")
    return float(found), timesteps


def find_runs(words: Sequence[str | Path], notify: Notify) -> list[StoredRun]:
    """The runs that are meant: run folders, and every run folder below other folders.

    Args:
        words: what the user gave; also files that `ars share` wrote, and names of shipped runs.
        notify: told what is left out: what cannot be read below a folder, and repetitions.

    Raises:
        UsageError: there is no run there.
        FileError: the files of a run that was named are damaged.
    """
    found: dict[Path, StoredRun] = {}
    for word in words:
        path = _unpacked(Path(word))
        named = (path / CONFIG).is_file()
        folders = [path] if named else _run_folders(path, str(word), notify)
        for folder in folders:
            if (real := folder.resolve()) in found:
                if named:
                    notify(f"{folder}: is given twice and taken once")
                    found[real] = replace(found[real], named=True)
                continue
            try:
                place = str(folder if path == Path(word) else word)
                found[real] = replace(StoredRun.open(folder, place), named=named)
            except FileError as error:
                if named:
                    raise
                notify(f"left out: {error}")
    if not found:
        raise UsageError(f"`run` {' '.join(map(str, words))}: no run there that can be read")
    return list(found.values())


def _unpacked(path: Path) -> Path:
    """The folder of a shared or shipped run, or the path as it is. Raises: FileError."""
    if path.is_dir():
        return path
    from ars.training.shared_run import unpacked

    return Path(unpacked(str(path)))


def _run_folders(path: Path, word: str, notify: Notify) -> list[Path]:
    """The run folders below a folder, in the order of their names. Raises: UsageError."""
    if not path.exists() or not word:
        raise UsageError(f"`run` {word or repr(word)}: there is no run folder of that name")
    if not path.is_dir():
        parent = path.parent
        meant = f": {parent}" if (parent / CONFIG).is_file() else ""
        raise UsageError(
            f"`run` {word}: one file has no learning curve; give its run folder{meant}"
        )
    searches: list[Path] = []
    found = _walk(path, set(), None if (path / STUDY).is_file() else searches)
    folders = sorted(found, key=lambda folder: _natural(str(folder)))
    if not folders and searches:
        raise UsageError(f"`run` {word}: only searches are there; name one to see its trials")
    if not folders:
        raise UsageError(f"`run` {word}: no run folder, and none below it (no {CONFIG})")
    for search in searches:
        notify(f"left out: {search}: the trials of a search, unless it is named itself")
    return folders


def _walk(folder: Path, seen: set[Path], searches: list[Path] | None) -> Iterator[Path]:
    """Run folders, also behind links; nothing below a run folder is another one.

    Searches are added to `searches`, and their trials left out; not where it is None.
    """
    if (real := folder.resolve()) in seen:
        return
    seen.add(real)
    if (folder / CONFIG).is_file():
        yield folder
        return
    if searches is not None and (folder / STUDY).is_file():
        searches.append(folder)
        return
    try:
        below = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:  # a folder that cannot be read has no runs for us
        return
    for name in below:
        yield from _walk(folder / name, seen, searches)


def _natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts `s9` before `s10`."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", text)
        if part
    ]
