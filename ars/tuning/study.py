"""A search for settings, in its folder: what is searched, how, and what may change on resume."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium

import envs
from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.common.settings import as_spelled, in_words, make_config, near, setting_names
from ars.search_spaces.base import Middle, Search, SearchTask, Suggests
from ars.training.config import DEFAULT_TIMESTEPS, TrainingConfig, WorkerConfig, parse_duration
from ars.training.display import Silent
from ars.training.dry_run import measured
from ars.training.experiment import plain_settings, share_processors, without_workers
from ars.training.preset_lines import preset_named_like
from ars.training.processes import job
from ars.training.resolve import given_kwargs, resolve_new
from ars.training.run import opened
from ars.training.run_folder import STUDY, lock, new_folder, read_json, writing
from ars.training.settings_file import NO_PRESET
from ars.training.trust import check_trust, signature
from ars.tuning.config import ENOUGH_TRIALS, FIRST_SEED, N_TRIALS, POINTS, TuneConfig
from ars.tuning.outcome import Tuned, tuned
from ars.tuning.store import JOURNAL, StoredTrial, TrialStore, import_optuna
from ars.tuning.trials import Points, Trial, Trials, TuneShow
from policies import FileError
from policies.file import write_json

# Of how long to search; one that is given on resume replaces both.
_STOPS = ("n_trials", "time_budget")
_MAY_CHANGE = (*_STOPS, "jobs")
_OF_THE_TASK = ("algo", "env_kwargs", *envs.OPTIONS)


@dataclass(frozen=True)
class Study:
    """A search: what it searches, and how.

    Attributes:
        env_id: the environment.
        algo: the algorithm.
        fixed: settings that are the same in every trial, `env_kwargs` among them.
        task: what the search space depends on.
        config: how long to search, and how to compare; no number in it is left open.
        commands: those that began the search and went on with it.
        workers: settings of where runs are trained, this time.
        signature: of a search of this user's that imports a module: see `trust`.
        folder: of the search; the runs of its trials are in folders below.
        began: by `time.monotonic`, when its time budget began.
    """

    env_id: str
    algo: str
    fixed: dict[str, Any]
    task: SearchTask
    config: TuneConfig
    commands: list[str]
    workers: dict[str, Any]
    signature: str | None = None
    folder: Path = Path()
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def new(cls, env_id: str, given: Mapping[str, Any], command: str) -> Study:
        """A new search in a new folder: `run_dir`, or runs/ENV/tune-ALGO.

        Args:
            env_id: as for `resolve_new`.
            given: settings by name: those of `TuneConfig`, `algo`, `env_kwargs` and those that
                `envs.make` takes, those of workers, and settings of the algorithm that are to be
                the same in every trial.
            command: what starts the search, to be recorded.

        Raises:
            UsageError, UnsupportedSpace, envs.UnknownEnvironment: it cannot be searched.
            RunError: the environment fails, or Optuna is not installed.
        """
        began = time.monotonic()
        import_optuna()
        own, given = _split(given, setting_names(TuneConfig))
        run_dir = given.pop("run_dir", None)
        # What its preset adds to the environment, a clock or pixels, belongs to the task.
        alone = resolve_new(env_id, {name: given[name] for name in _OF_THE_TASK if name in given})
        algo = alone.algo
        _refuse_unknown(algo, given)
        workers, given = without_workers(given)
        given = {name: value for name, value in given.items() if name not in envs.OPTIONS}
        given["env_kwargs"] = alone.env_kwargs
        name = envs.canonical_name(env_id)
        asked = make_config(TuneConfig, own)
        config = _complete(asked, name, algo)
        study = cls(
            name,
            algo,
            given,
            SearchTask(config.total_timesteps or 0),
            config,
            [command],
            workers,
            began=began,
        )
        if config.start_from_preset and preset_named_like(name, algo) is None:
            raise UsageError(f"`start_from_preset`: there is no preset for {name} and {algo}")
        with opened(study._resolved(study._middle()), Silent()) as (resolved, probed, algorithm, _):
            if config.time_budget is not None and asked.total_timesteps is None:
                jobs, more = share_processors(resolved, config.jobs, 10**6)
                processes = jobs * max(1, int(more.get("n_workers", 0)))
                speed = processes * measured(resolved, algorithm).steps_per_second
                longest = config.total_timesteps or 0
                config = _complete(_fitted(asked, speed, longest), name, algo)
            task = SearchTask(
                config.total_timesteps or 0,
                probed.time_limit,
                probed.objective.terms,
                isinstance(probed.action_space, gymnasium.spaces.Discrete),
                bool(algorithm.policy.spec.conv_layers),
            )
        names = setting_names(ALGORITHMS[algo].Config)
        fixed = {name: getattr(resolved.algorithm, name) for name in names if name in given}
        if resolved.env_kwargs:
            fixed["env_kwargs"] = resolved.env_kwargs
        study = replace(
            study,
            fixed=plain_settings(fixed),
            task=task,
            config=config,
            workers=plain_settings(workers),
            signature=signature(name, resolved.env_kwargs),
        )
        study._resolved(study._middle())
        if not study.ranges():
            raise UsageError("`env`: every setting that a search would try is given")
        return replace(study, folder=new_folder(name, f"tune-{algo}", run_dir))

    @classmethod
    def open(cls, folder: Path, given: Mapping[str, Any], command: str, trust: bool) -> Study:
        """A search to go on with.

        Args:
            folder: its folder.
            given: settings to change: `n_trials`, `time_budget`, `jobs` and those of workers;
                others must be as they were.
            command: what goes on with it, to be recorded.
            trust: as for `resolve_resumed`.

        Raises:
            UsageError: it is no search, or a setting may not change.
            FileError: its file is damaged.
            RunError: Optuna is not installed.
        """
        began = time.monotonic()
        import_optuna()
        if not (folder / STUDY).is_file():
            raise UsageError(f"`resume` {folder}: not the folder of a search (no {STUDY} in it)")
        data = read_json(folder / STUDY)
        try:
            task, algo = SearchTask(**data["task"]), data["algo"]
            stored = make_config(TuneConfig, data["config"])
            study = cls(
                data["env_id"],
                algo,
                dict(data["fixed"]),
                task,
                stored,
                [*data["commands"], command],
                {},
            )
            if algo not in ALGORITHMS or None in (stored.eval_timesteps, stored.total_timesteps):
                raise ValueError("it names no algorithm, or no timesteps")
            kwargs = dict(study.fixed.get("env_kwargs", {}))
            _check_stored(algo, study.fixed, "env_kwargs")
            study.ranges()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FileError(f"{folder / STUDY}: not the {STUDY} of a search ({error})") from None
        check_trust(folder, study.env_id, kwargs, trust)
        workers, given = without_workers(given)
        changed = study._changes(given)
        stops = {name: None for name in _STOPS if changed.keys() & set(_STOPS)}
        config = make_config(TuneConfig, {**dataclasses.asdict(stored), **stops, **changed})
        return replace(
            study,
            config=_complete(config, study.env_id, algo),
            workers=plain_settings(workers),
            signature=data.get("signature"),
            folder=folder,
            began=began,
        )

    def _changes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the settings given that change. Raises: UsageError for one that may not."""
        was = {
            "algo": self.algo,
            "env_id": self.env_id,
            **self.fixed,
            **dataclasses.asdict(self.config),
        }
        changed = {}
        if given.keys() & {"env_kwargs", *envs.OPTIONS}:  # in one place, as they are stored
            kwargs = {**self.fixed.get("env_kwargs", {}), **given_kwargs(given)}
            given = {n: value for n, value in given.items() if n not in envs.OPTIONS}
            given["env_kwargs"] = kwargs
        for name, value in given.items():
            if name in _MAY_CHANGE:
                changed[name] = value
                continue
            value = envs.canonical_name(value) if name == "env_id" else value
            value = as_spelled(value, ALGORITHMS) if name == "algo" else value
            if name not in was or plain_settings({name: value}) != plain_settings(
                {name: was[name]}
            ):
                then = f"with {in_words(was[name])}" if name in was else "without it"
                raise UsageError(
                    f"`{name}` {in_words(value)}: the search was begun {then}; on resume only "
                    "`n_trials`, `time_budget`, `jobs` and worker flags may change"
                )
        return changed

    def ranges(self) -> dict[str, str]:
        """What is searched, in words."""
        middle = Middle()
        self._space(middle)
        return middle.ranges

    @property
    def wrappers(self) -> list[str]:
        """The wrappers around the environment, which no preset names."""
        return list(self.fixed.get("env_kwargs", {}).get("wrappers", []))

    def search(self, show: TuneShow, trust: bool = False) -> Tuned:
        """Make trials until there are enough, or the time is used; returns what came of them.

        Args:
            show: hears of everything.
            trust: import the module that a run from elsewhere names.

        Raises:
            RunError: trial after trial fails, another process is at it, or the folder cannot be
                written.
            KeyboardInterrupt: the user interrupted; the trials under way are saved.
        """
        config = self.config
        assert config.eval_timesteps is not None and config.total_timesteps is not None
        points = Points(config.eval_timesteps, config.total_timesteps)
        seconds = None if config.time_budget is None else parse_duration(config.time_budget)
        with lock(self.folder), writing(self.folder):
            self._write()
            store = TrialStore(self.folder, config.seed, config.pruner, points.number)
            resolved = self._resolved(self._middle())
            jobs, workers = share_processors(resolved, config.jobs, 10**6)
            workers |= self.workers
            trials = Trials(
                store,
                points,
                lambda number: self.folder / f"trial-{number:03}",
                range(FIRST_SEED, FIRST_SEED + config.n_seeds),
                lambda trial, seed: self._job(trial, seed, workers, trust),
                self.workers.get("ray_address") is None,
                show,
            )

            def ask() -> StoredTrial | None:
                enough = config.n_trials is not None and len(store.rows()) >= config.n_trials
                return None if enough else store.ask(self._settings)

            deadline = None if seconds is None else self.began + seconds
            trials.run(store.unfinished(self._settings), ask, jobs, deadline)
            return tuned(self.folder, self.env_id, self.algo, store, self._preset)

    def _settings(self, number: int, suggests: Suggests) -> dict[str, Any]:
        """What a trial tries."""
        if number == 0 and self.config.start_from_preset:
            return {"preset": preset_named_like(self.env_id, self.algo)}
        return self._space(suggests)

    def _space(self, suggests: Suggests) -> dict[str, Any]:
        space = ALGORITHMS[self.algo].search_space
        if space is None:
            raise UsageError(f"`algo` {self.algo}: declares nothing to search")
        return space(Search(suggests, self.task, self.fixed))

    def _middle(self) -> dict[str, Any]:
        return self._space(Middle())

    def _given(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a trial's runs. Raises: FileError where a file names others."""
        try:
            _check_stored(self.algo, settings, "preset")
        except FileError as error:
            raise FileError(f"{self.folder / JOURNAL}: {error}") from None
        names = ("total_timesteps", "eval_timesteps", "eval_episodes")
        budget = {name: getattr(self.config, name) for name in names}
        start = {"preset": None, "init_from": NO_PRESET}  # a preset's would fit no other network
        return {"algo": self.algo, **start, **settings, **self.fixed, **budget}

    def _resolved(self, settings: Mapping[str, Any]) -> TrainingConfig:
        """A run of a trial. Raises: UsageError where its settings do not go together."""
        # A trial may leave what is the same in all of them without a meaning.
        return resolve_new(self.env_id, self._given(settings) | self.workers, strict=False)

    def _preset(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The preset that a trial's settings make."""
        given = self._given(settings)
        name, kwargs = given.pop("preset"), given.pop("env_kwargs", {})
        del given["init_from"]
        kwargs = {name: value for name, value in kwargs.items() if name != "wrappers"}
        preset = {**ALGORITHMS[self.algo].presets[name]} if name else {}
        preset.pop("init_from", None)
        return {**preset, **given, **({"env_kwargs": kwargs} if kwargs else {})}

    def _job(
        self, trial: Trial, seed: int, workers: Mapping[str, Any], trust: bool
    ) -> dict[str, Any]:
        """What the process of a trial's seed is told."""
        new = {**self._given(trial.stored.settings), "seed": seed, **workers}
        command = f"{self.commands[-1]}  # trial {trial.stored.number}, seed {seed}"
        return job(self.env_id, trial.place(seed), new, workers, command, trust)

    def _write(self) -> None:
        data = {
            "env_id": self.env_id,
            "algo": self.algo,
            "fixed": self.fixed,
            "task": dataclasses.asdict(self.task),
            "config": dataclasses.asdict(self.config),
            "commands": self.commands,
            **({} if self.signature is None else {"signature": self.signature}),
        }
        write_json(self.folder / STUDY, data)


def is_study(folder: Path) -> bool:
    """Whether a folder is that of a search."""
    return (folder / STUDY).is_file()


def algorithm_of_study(folder: Path) -> str:
    """The algorithm of a search. Raises: FileError."""
    return str(read_json(folder / STUDY).get("algo"))


def _split(given: Mapping[str, Any], names: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of some names, and the others."""
    ours = {name: value for name, value in given.items() if name in names}
    return ours, {name: value for name, value in given.items() if name not in names}


def _refuse_unknown(algo: str, given: Mapping[str, Any]) -> None:
    """Raises: UsageError for a setting that no search has."""
    names = [*setting_names(ALGORITHMS[algo].Config), *setting_names(WorkerConfig), *_OF_THE_TASK]
    for name in given:
        if name not in names:
            known = near(name, [*names, *setting_names(TuneConfig)])
            raise UsageError(f"`{name}`: is no setting of a search with {algo}{known}")


def _check_stored(algo: str, settings: Mapping[str, Any], also: str) -> None:
    """Check that a folder, which may be from elsewhere, decides settings of the algorithm alone."""
    entry = ALGORITHMS[algo]
    known = {*setting_names(entry.Config), also}
    if (unknown := next((name for name in settings if name not in known), None)) is not None:
        raise FileError(f"a search cannot try {unknown}")
    if settings.get("preset") is not None and settings["preset"] not in entry.presets:
        raise FileError(f"there is no preset {settings['preset']}")


def _complete(config: TuneConfig, env_id: str, algo: str) -> TuneConfig:
    """The configuration with the numbers that were left open. Raises: UsageError."""
    total = config.total_timesteps
    if total is None:
        preset = ALGORITHMS[algo].presets.get(preset_named_like(env_id, algo) or "", {})
        total = preset.get("total_timesteps", DEFAULT_TIMESTEPS)
    every = config.eval_timesteps or max(1, total // POINTS)
    if every > total:
        raise UsageError(f"`eval_timesteps` {every}: must be at most `total_timesteps` {total}")
    n_trials = config.n_trials
    if n_trials is None and config.time_budget is None:
        n_trials = N_TRIALS
    return replace(config, total_timesteps=total, eval_timesteps=every, n_trials=n_trials)


def _fitted(config: TuneConfig, steps_per_second: float, longest: int) -> TuneConfig:
    """The configuration with trainings so short that enough trials fit into its time budget.

    Args:
        config: without `total_timesteps`.
        steps_per_second: of all trainings together.
        longest: the timesteps of a training where there is time enough.
    """
    trials = min(ENOUGH_TRIALS, config.n_trials or ENOUGH_TRIALS)
    steps = parse_duration(config.time_budget or "") * steps_per_second
    each = round(steps / (trials * config.n_seeds), -3)
    total = min(longest, max(1000, int(each), config.eval_timesteps or 0))
    return replace(config, total_timesteps=total)
