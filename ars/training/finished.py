"""A run that has ended: its result, curves and policies, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import UsageError
from ars.training.given_env import GivenEnv
from ars.training.logger import read_table
from ars.training.run_folder import CONFIG, EVALUATIONS, PROGRESS, RESULT, find_policy, read_json
from policies import FileError, Policy

Column = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """A run that has ended, in its folder.

    Attributes:
        folder: where its files are.
        env: the environment that was given to `train` as an object, class or function; None if it
            was named.
        workers: the settings of its workers, with which it is resumed unless others are given;
            those that its folder names are not taken.
    """

    folder: Path
    env: GivenEnv | None = field(default=None, repr=False, compare=False)
    workers: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: str | Path, env: GivenEnv | None = None) -> Run:
        """The run in a folder.

        Args:
            folder: a run's folder, such as runs/HalfCheetah/ars-s0.
            env: the environment, if the run was given an object, class or function.

        Raises:
            UsageError: it is not the folder of a run.
        """
        if not (Path(folder) / CONFIG).is_file():
            raise UsageError(f"`folder` {folder}: not a run folder (no {CONFIG} in it)")
        return cls(Path(folder), env)

    @property
    def result(self) -> dict[str, Any]:
        """What result.json holds: the final evaluation, and what the run cost."""
        return read_json(self.folder / RESULT)

    @property
    def progress(self) -> dict[str, Column]:
        """The columns of progress.csv, one row per iteration: int64 or float64 [n_iterations].

        There are none before the first iteration has ended.
        """
        return _columns(self.folder / PROGRESS)

    @property
    def evaluations(self) -> dict[str, Column]:
        """The columns of evaluations.csv, one row per evaluation: int64 or float64 [n]."""
        return _columns(self.folder / EVALUATIONS)

    @property
    def policy(self) -> Policy:
        """The best evaluated policy."""
        return find_policy(str(self.folder)).file.policy

    @property
    def latest_policy(self) -> Policy:
        """The policy after the last iteration."""
        return find_policy(str(self.folder), latest=True).file.policy


def _columns(path: Path) -> dict[str, Column]:
    if not path.exists():  # the run has not begun to train
        return {}
    table = read_table(path)
    try:
        return {name: _column(values) for name, values in table.items()}
    except (ValueError, OverflowError) as error:
        raise FileError(f"{path}: not a log of a run ({error})") from None


def _column(values: list[str]) -> Column:
    try:
        return np.array([int(value) for value in values], np.int64)
    except ValueError:
        return np.array([float(value or "nan") for value in values])
