"""The configuration of a training run."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.common.settings import LARGEST_SEED, setting
from ars.distributed.versions import cpu, libc, versions
from ars.training.run_folder import CONFIG
from ars.training.trackers import SERVICES
from policies.file import write_json

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_UNITS = {
    "d(?:ays?)?": 86_400,
    "h(?:(?:ou)?rs?)?": 3600,
    "m(?:in(?:ute)?s?)?": 60,
    "s(?:ec(?:ond)?s?)?": 1,
}
_DURATION = re.compile(r"\s*".join(rf"(?:{_NUMBER}\s*{unit})?" for unit in _UNITS))


def parse_duration(text: str) -> float:
    """Convert `90s`, `30m`, `1h30m`, `2 hours` or plain seconds to seconds. Raises: UsageError."""
    plain, parts = re.fullmatch(_NUMBER, text), _DURATION.fullmatch(text.strip().lower())
    seconds = float(text) if plain else 0.0
    if parts:
        seconds = sum(
            float(number) * unit
            for number, unit in zip(parts.groups(), _UNITS.values(), strict=True)
            if number
        )
    if not 0 < seconds < math.inf:
        raise UsageError(f"`time_budget` {text}: must be a time such as 90s, 30m, 8h or 1h30m")
    return seconds


def parse_workers(text: str) -> int | None:
    """Convert to a number of workers; None for `auto`. Raises: UsageError."""
    if text.lower() == "auto":
        return None
    if not re.fullmatch(r"\d{1,6}", text):
        raise UsageError(f"`n_workers` {text}: must be auto or a whole number from 0 to 999,999")
    return int(text)


DEFAULT_TIMESTEPS = 1_000_000


@dataclass(frozen=True)
class RunConfig:
    """When to stop, evaluate and save; all of it may change on resume."""

    total_timesteps: int | None = setting(
        None,
        "stop after the iteration that reaches this many environment steps (default: "
        f"{DEFAULT_TIMESTEPS:,}, unless another stop is given)",
        at_least=1,
    )
    n_iterations: int | None = setting(None, "stop after this many iterations", at_least=1)
    time_budget: str | None = setting(
        None, "stop after this time: 90s, 30m, 1h30m", parse=parse_duration
    )
    target_return: float | None = setting(
        None, "stop once a scheduled evaluation reaches this mean return"
    )
    eval_freq: int = setting(10, "iterations between evaluations", at_least=1)
    eval_timesteps: int | None = setting(
        None,
        "timesteps between evaluations, instead of `eval_freq`: after the iteration that reaches a "
        "multiple of them",
        at_least=1,
    )
    eval_episodes: int = setting(10, "episodes of an evaluation", at_least=1)
    save_freq: int = setting(10, "iterations between checkpoints", at_least=1)
    video_freq: int | None = setting(
        None,
        "iterations between films of an episode, drawn beside training into the run's videos/",
        at_least=1,
    )


# Settings that replace each other: where one of them is given, stored values of the others go.
STOPS = ("total_timesteps", "n_iterations", "time_budget", "target_return")
EVALUATION_GRIDS = ("eval_freq", "eval_timesteps")


@dataclass(frozen=True)
class WorkerConfig:
    """Where rollouts run, networks learn and runs are reported to; may change on resume.

    Only the device can change a result, in the last bits.
    """

    n_workers: str = setting(
        "auto",
        "worker processes; 0: this process, no Ray; auto: one per core of this machine, or of the "
        "cluster as nodes come and go, but 0 for algorithms that only evaluate in workers",
        parse=parse_workers,
    )
    ray_address: str | None = setting(
        None, "address of a Ray cluster (auto: the one that this machine is part of)"
    )
    env_processes: int = setting(
        0,
        "processes that share the `n_envs` environments, for slow ones; 0: this process",
        at_least=0,
    )
    device: str = setting(
        "auto",
        "where networks learn; auto: a GPU for images where there is one, else the CPU",
        choices=("auto", "cpu", "cuda"),
        also={"gpu": "cuda", "cuda:0": "cuda"},
    )
    track: str | None = setting(
        None,
        "report the run to a service for experiments too, on this machine or elsewhere as the "
        "service is set up",
        choices=tuple(SERVICES),
    )


@dataclass(frozen=True)
class TaskConfig:
    """What every algorithm needs for training; may not change on resume."""

    seed: int = setting(0, "seed of everything random in the run", at_least=0, at_most=LARGEST_SEED)
    on_nonfinite: str = setting(
        "stop", "what to do on a NaN or infinite reward or observation", choices=("stop", "exclude")
    )


@dataclass(frozen=True)
class TrainingConfig:
    """A training run, every setting resolved."""

    env_id: str
    env_kwargs: dict[str, Any]
    algo: str
    preset: str | None
    init_from: str | None
    task: TaskConfig
    algorithm: Any  # an instance of its Config
    run: RunConfig
    workers: WorkerConfig
    folder: Path | None = None  # of the run to resume; None for a new run
    commands: list[str] = field(default_factory=list)
    signature: str | None = None  # of a run of this user's that imports a module: see `trust`
    # Said to the user at the start: what was decided for them.
    notes: list[str] = field(default_factory=list, compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that decide the results; a checkpoint is resumed only with the same ones."""
        return {
            "env_id": self.env_id,
            "env_kwargs": self.env_kwargs,
            "algo": self.algo,
            **dataclasses.asdict(self.task),
            # Through JSON, which turns tuples into lists as in the stored settings.
            **json.loads(json.dumps(dataclasses.asdict(self.algorithm))),
        }

    @property
    def chosen_workers(self) -> dict[str, Any]:
        """The settings of workers that are not the defaults; the folder does not give them back."""
        defaults, chosen = dataclasses.asdict(WorkerConfig()), dataclasses.asdict(self.workers)
        return {name: value for name, value in chosen.items() if value != defaults[name]}

    @property
    def weighs_rewards(self) -> bool:
        """Whether terms of the reward are weighed while training."""
        return bool(getattr(self.algorithm, "reward_weights", ()))

    @property
    def budget_seconds(self) -> float | None:
        """The time budget in seconds."""
        return None if self.run.time_budget is None else parse_duration(self.run.time_budget)

    @property
    def n_workers(self) -> int | None:
        """The number of workers; None for one per core, of the cluster if there is one."""
        number = parse_workers(self.workers.n_workers)
        if number is not None:
            return number
        only_evaluates = not ALGORITHMS[self.algo].trains_in_pool
        return 0 if only_evaluates and self.workers.ray_address is None else None

    @property
    def schedules(self) -> list[str]:
        """The settings that fall to 0 at the horizon."""
        names = [field.name for field in dataclasses.fields(self.algorithm)]
        linear = [n for n in names if f"{n}_schedule" in names]
        return [n for n in linear if getattr(self.algorithm, f"{n}_schedule") == "linear"]

    @property
    def horizon(self) -> int | None:
        """The timesteps by which `schedules` have fallen; None where there are none."""
        return self.algorithm.horizon if self.schedules else None

    def within(self, time_limit: int | None) -> TrainingConfig:
        """This configuration with the episode lengths that an environment's time limit gives."""
        return dataclasses.replace(self, algorithm=self.algorithm.within(time_limit))

    def write(self, folder: Path) -> None:
        """Write config.json: the settings, the commands, the versions and the machine."""
        data = {
            "env_id": self.env_id,
            "env_kwargs": self.env_kwargs,
            "algo": self.algo,
            "preset": self.preset,
            "init_from": self.init_from,
            **dataclasses.asdict(self.task),
            "config": dataclasses.asdict(self.algorithm),
            "run": dataclasses.asdict(self.run),
            "workers": dataclasses.asdict(self.workers),
            "commands": self.commands,
            **({} if self.signature is None else {"signature": self.signature}),
            "versions": versions(),
            "platform": {
                "system": platform.platform(),
                "cpu": cpu(),
                "libc": libc(),
            },
        }
        write_json(folder / CONFIG, data)
