"""One setting, many seeds: runs that differ in their seed alone, trained side by side and resumed.

Each seed is a run like any other, in a folder and in a process of its own, so that nothing that
happens to one can reach another: not even an environment that ends its process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ars.algorithms import ALGORITHMS
from ars.common.errors import RunError, UsageError
from ars.common.resources import n_processors
from ars.common.settings import LARGEST_SEED, counted, setting, setting_names
from ars.training.config import TrainingConfig, WorkerConfig, parse_workers
from ars.training.processes import job
from ars.training.resolve import overridden, resolve_new, resolve_resumed
from ars.training.run_folder import (
    BEST_POLICY,
    CONFIG,
    EXPERIMENT,
    RESULT,
    lock,
    new_folder,
    read_json,
    writing,
)
from ars.training.seed_processes import Show, Team
from ars.training.stored_settings import raisable_settings, without_idle_horizon
from ars.training.trust import check_trust, signature
from policies import FileError
from policies.file import write_json


@dataclass(frozen=True)
class SeedsConfig:
    """How many seeds to train, and how many at a time."""

    n_seeds: int | None = setting(
        None,
        "train as many seeds, from `seed` on, as one experiment; each has a run folder and a time "
        "budget of its own",
        at_least=1,
        at_most=10_000,
    )
    jobs: int | None = setting(
        None,
        "seeds that train at a time (default: as many as this machine has processors for)",
        at_least=1,
        at_most=10_000,
    )


class Outcome(NamedTuple):
    """How a seed ended: what its result.json holds, or why it failed."""

    seed: int
    folder: Path
    result: dict[str, Any] | None
    error: str | None = None


@dataclass
class Experiment:
    """Runs that differ in their seed alone.

    Attributes:
        folder: of the experiment; the runs are in it.
        config: the settings of one of its runs, resolved.
        seeds: of the runs.
        left: those of them that have not ended since the settings last changed.
        given: the settings of a run that has not begun, by name.
        changed: the settings to change in one that has.
        commands: those that began the experiment and went on with it.
        workers: where runs are trained, this time.
        signature: of an experiment of this user's that imports a module: see `trust`.
    """

    folder: Path
    config: TrainingConfig
    seeds: list[int]
    left: list[int]
    given: dict[str, Any]
    changed: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    workers: dict[str, Any] = field(default_factory=dict)
    signature: str | None = None

    @classmethod
    def new(cls, env_id: str, given: Mapping[str, Any], n_seeds: int, command: str) -> Experiment:
        """A new experiment in a new folder: `run_dir`, or runs/ENV/ALGO-seeds0-4.

        Args:
            env_id: as for `resolve_new`.
            given: settings by name; `seed` is the first seed's.
            n_seeds: how many.
            command: what starts the experiment, to be recorded.

        Raises:
            UsageError, envs.UnknownEnvironment: as for `resolve_new`.
        """
        given = dict(given)
        run_dir = given.pop("run_dir", None)
        config = resolve_new(env_id, given, command)
        first = config.task.seed
        seeds = list(range(first, first + n_seeds))
        resolve_new(env_id, {**given, "seed": seeds[-1]}, command)  # is not too large
        workers, given = without_workers(plain_settings(given))
        name = f"{config.algo}-seeds{seeds[0]}-{seeds[-1]}"
        folder = new_folder(config.env_id, name, run_dir)
        signed = signature(config.env_id, given)
        return cls(folder, config, seeds, list(seeds), given, {}, [command], workers, signed)

    @classmethod
    def open(cls, folder: Path, given: Mapping[str, Any], command: str, trust: bool) -> Experiment:
        """An experiment to go on with.

        Args:
            folder: its folder.
            given: settings to change, as for `resolve_resumed`: all runs go on with them.
            command: what goes on with it, to be recorded.
            trust: as for `resolve_resumed`.

        Raises:
            UsageError: as for `resolve_resumed`.
            FileError: its file is damaged.
        """
        if "seed" in given:
            raise UsageError("`seed`: an experiment keeps its seeds")
        data = _read(folder)
        check_trust(folder, data["env_id"], data["given"], trust)
        workers, changes = without_workers(given)
        changed = overridden(data["changed"], changes)
        begun = (folder / f"s{seed}" for seed in data["seeds"])
        place = next((place for place in begun if (place / CONFIG).is_file()), None)
        if place is not None:
            config = resolve_resumed(place, changed | workers, command, trust)
        else:
            new = overridden(data["given"], changed) | workers
            new["seed"] = data["seeds"][0]
            config = resolve_new(data["env_id"], new, command, strict=False)
        workers, changed = plain_settings(workers), plain_settings(changed)
        left = data["seeds"] if changes else data["left"]
        commands = [*data["commands"], command]
        return cls(
            folder,
            config,
            data["seeds"],
            list(left),
            data["given"],
            changed,
            commands,
            workers,
            data.get("signature"),
        )

    def place(self, seed: int) -> Path:
        """The run folder of a seed."""
        return self.folder / f"s{seed}"

    def train(self, show: Show, jobs: int | None = None, trust: bool = False) -> list[Outcome]:
        """Train every seed that is left, `jobs` at a time; returns how each of all has ended.

        Args:
            show: hears of everything.
            jobs: how many at a time; None: as many as there are processors for.
            trust: import the module that a run from elsewhere names.

        Raises:
            RunError: another process is at it, or the folder cannot be written.
            KeyboardInterrupt: the user interrupted; every run under way is saved.
        """
        with lock(self.folder):
            self._write()
            jobs, workers = share_processors(self.config, jobs, len(self.left))
            self.workers = workers | self.workers
            team = Team(lambda seed: self._job(seed, trust), self._ended, show)
            team.train(list(self.left), jobs)
        return [self._outcome(seed, team.errors.get(seed)) for seed in self.seeds]

    def _job(self, seed: int, trust: bool) -> dict[str, Any]:
        """What the process of a seed is told."""
        # The horizon that another seed keeps since its start is also that of one that begins now.
        algorithm = self.config.algorithm
        used = without_idle_horizon(type(algorithm), asdict(algorithm))
        kept = {name: used[name] for name in raisable_settings(type(algorithm)) if name in used}
        new = kept | overridden(self.given, self.changed) | {"seed": seed} | self.workers
        changed, command = self.changed | self.workers, f"{self.commands[-1]}  # seed {seed}"
        return job(self.config.env_id, self.place(seed), new, changed, command, trust)

    def _ended(self, seed: int) -> None:
        """A seed has ended well."""
        self.left.remove(seed)
        self._write()

    def _outcome(self, seed: int, error: str | None) -> Outcome:
        path = self.place(seed) / RESULT
        if error is None and not path.is_file():
            error = "it has no result"
        return Outcome(seed, self.place(seed), None if error else read_json(path), error)

    def _write(self) -> None:
        data = {
            "env_id": self.config.env_id,
            "algo": self.config.algo,
            "seeds": self.seeds,
            "left": self.left,
            "given": self.given,
            "changed": self.changed,
            "commands": self.commands,
            **({} if self.signature is None else {"signature": self.signature}),
        }
        with writing(self.folder):
            write_json(self.folder / EXPERIMENT, data)


def is_experiment(folder: Path) -> bool:
    """Whether a folder is that of an experiment."""
    return (folder / EXPERIMENT).is_file()


class Member(NamedTuple):
    """One run of an experiment."""

    seed: int
    folder: Path


def members(folder: Path, notify: Callable[[str], None]) -> tuple[str, str, list[Member]]:
    """The environment and the algorithm of an experiment, and its runs that have a policy.

    The seeds of others are told.

    Raises:
        UsageError: none has one.
        FileError: its file is damaged.
    """
    data = _read(folder)
    runs = [Member(seed, folder / f"s{seed}") for seed in data["seeds"]]
    without = [run for run in runs if not (run.folder / BEST_POLICY).is_file()]
    runs = [run for run in runs if run not in without]
    if not runs:
        raise UsageError(f"`run` {folder}: no run of this experiment has a policy yet")
    if without:
        seeds = ", ".join(str(run.seed) for run in without)
        notify(
            f"{folder}: left out, without a policy yet: "
            f"{'seed' if len(without) == 1 else 'seeds'} {seeds}"
        )
    return data["env_id"], data["algo"], runs


def algorithm_of(folder: Path) -> str:
    """The algorithm of an experiment. Raises: FileError."""
    return str(_read(folder)["algo"])


def _read(folder: Path) -> dict[str, Any]:
    path = folder / EXPERIMENT
    data = read_json(path)
    kinds = {
        "env_id": str,
        "algo": str,
        "seeds": list,
        "left": list,
        "given": dict,
        "changed": dict,
        "commands": list,
    }
    for name, kind in kinds.items():
        if not isinstance(data.get(name), kind):
            raise FileError(f"{path}: damaged ({name} is {data.get(name)!r})")
    if data["algo"] not in ALGORITHMS:
        raise FileError(f"{path}: damaged (algo is {data['algo']!r})")
    seeds = data["seeds"]
    if not seeds or not all(type(seed) is int and 0 <= seed <= LARGEST_SEED for seed in seeds):
        raise FileError(f"{path}: damaged (seeds are {seeds!r})")
    if any(seed not in seeds for seed in data["left"]):
        raise FileError(f"{path}: damaged (left are {data['left']!r})")
    return data


def without_workers(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of workers, which no file keeps, and the others."""
    names = setting_names(WorkerConfig)
    workers = {name: value for name, value in given.items() if name in names}
    return workers, {name: value for name, value in given.items() if name not in names}


def plain_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that were found valid, as JSON has them: paths as texts, arrays as lists."""

    def plain(value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value.tolist()

    return dict(json.loads(json.dumps(dict(given), default=plain)))


def share_processors(
    config: TrainingConfig, jobs: int | None, n_seeds: int
) -> tuple[int, dict[str, Any]]:
    """How many seeds train at a time, and with how many workers each where none were asked for."""
    processors = n_processors()
    if "n_workers" in config.chosen_workers:
        each = max(1, parse_workers(config.workers.n_workers) or 0)
        return jobs or max(1, min(n_seeds, processors // each)), {}
    if config.workers.ray_address is not None:  # each takes the whole cluster
        return jobs or 1, {}
    each = max(1, config.workers.env_processes)
    jobs = jobs or max(1, min(n_seeds, processors // each))
    if not ALGORITHMS[config.algo].trains_in_pool:
        return jobs, {}
    workers = processors // max(1, min(jobs, n_seeds))
    return jobs, {"n_workers": "0" if workers < 2 else str(workers)}


def failure(outcomes: Sequence[Outcome], how_to_resume: str) -> RunError | None:
    """An error that names the seeds that failed, and why the first did; None if none did."""
    errors = [outcome for outcome in outcomes if outcome.error is not None]
    if not errors:
        return None
    seeds = ", ".join(str(outcome.seed) for outcome in errors)
    return RunError(
        f"{len(errors)} of {counted(len(outcomes), 'seed')} failed ({seeds}), "
        f"seed {errors[0].seed} with: {errors[0].error}; to try again: {how_to_resume}"
    )
