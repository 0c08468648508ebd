"""The rows of docs/results.csv: runs that have ended, and the settings they were trained with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium

import envs
from ars.algorithms import ALGORITHMS
from ars.common.settings import in_words
from ars.training.config import RunConfig
from ars.training.resolve import resolve_new
from ars.training.stored_settings import current_settings, without_idle_horizon
from policies import FileError
from policies.file import write_atomically


class RunName(NamedTuple):
    """One run: its preset is the environment's."""

    environment: str
    algorithm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.environment} {self.algorithm} seed {self.seed}"


class Measured(NamedTuple):
    """A run that has ended, and how good its best policy is.

    Attributes:
        environment, algorithm, seed: which.
        timesteps: of training.
        return_mean, return_std, return_min: over new episodes of the best policy.
        metres: the mean of the same episodes; None for a robot that does not travel.
        flags: likewise, of those reached; None where there are none.
        minutes: that training took.
        settings: see `settings_in`.
        version: of the toolkit.
    """

    environment: str
    algorithm: str
    seed: int
    timesteps: int
    return_mean: float
    return_std: float
    return_min: float
    metres: float | None
    flags: float | None
    minutes: float
    settings: str
    version: str

    @property
    def name(self) -> RunName:
        """Which run it was."""
        return RunName(*self[:3])

    @property
    def is_current(self) -> bool:
        """Whether it was trained with the settings of today."""
        return self.settings == settings_today(self.environment, self.algorithm)


def read_rows(path: Path) -> dict[RunName, Measured]:
    """The rows of a file; none if there is no file. Raises: FileError if it is damaged."""
    if not path.exists():
        return {}
    try:
        rows = [_measured(cells) for cells in csv.DictReader(io.StringIO(path.read_text()))]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: damaged ({error!r})") from None
    return {row.name: row for row in rows}


def _measured(cells: Mapping[str, str]) -> Measured:
    numbers = ("return_mean", "return_std", "return_min", "minutes")
    return Measured(
        **{
            **cells,
            **{name: int(cells[name]) for name in ("seed", "timesteps")},
            **{name: float(cells[name]) for name in numbers},
            **{name: float(cells[name]) if cells[name] else None for name in ("metres", "flags")},
        }  # type: ignore[arg-type]
    )


def write_rows(path: Path, rows: Iterable[Measured]) -> None:
    """Write a file of rows in the order of their seeds, complete or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Measured._fields)
    for row in sorted(rows, key=lambda row: row.name):
        writer.writerow(f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row)
    write_atomically(path, text.getvalue().encode())


# What decides a run's result beside the settings of its algorithm, and what it is by default.
_OF_THE_RUN = (
    *("total_timesteps", "n_iterations", "time_budget", "target_return"),
    *("eval_freq", "eval_timesteps", "eval_episodes"),
)
_OF_THE_TASK: Mapping[str, Any] = {"env_kwargs": {}, "init_from": None, "on_nonfinite": "stop"}


def settings_in(config: Mapping[str, Any]) -> str:
    """What a config.json has that is no default, by name: `step_size=0.04 var_floor=0.01`.

    So a setting that is added later, and is off, makes no difference. The length of episodes by
    default is the environment's limit.
    """
    kind, run = ALGORITHMS[config["algo"]].Config, asdict(RunConfig())
    defaults = {
        **asdict(kind().within(_limit(config["env_id"]))),
        **{name: run[name] for name in _OF_THE_RUN},
        **_OF_THE_TASK,
    }
    found = {
        **without_idle_horizon(kind, current_settings(kind, config["config"])),
        **{name: config["run"].get(name) for name in _OF_THE_RUN},
        **{name: config.get(name, off) for name, off in _OF_THE_TASK.items()},
    }
    return " ".join(
        f"{name}={_word(value)}"
        for name, value in sorted(found.items())
        if value != _stored(defaults.get(name))
    )


@cache
def settings_today(environment: str, algorithm: str) -> str:
    """The same of a run that would begin now."""
    config = resolve_new(environment, {"algo": algorithm}).within(_limit(environment))
    data = {
        "env_id": config.env_id,
        "env_kwargs": config.env_kwargs,
        "init_from": config.init_from,
        "algo": config.algo,
        "config": asdict(config.algorithm),
        "run": asdict(config.run),
    }
    return settings_in(_stored(data))


def difference(config: Mapping[str, Any]) -> str:
    """How a config.json differs from a run that would begin now; empty if it does not."""
    theirs = settings_in(config).split()
    ours = settings_today(config["env_id"], config["algo"]).split()
    there = " ".join(word for word in theirs if word not in ours)
    here = " ".join(word for word in ours if word not in theirs)
    return f"{there or 'defaults'} there, {here or 'defaults'} now" if there or here else ""


def _limit(environment: str) -> int | None:
    return gymnasium.spec(envs.resolve(environment)).max_episode_steps


def _stored(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value))


def _word(value: Any) -> str:
    text = in_words(value) if isinstance(value, list) else str(value)
    return text.replace(" ", ",")
