"""Training from Python."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

from ars.algorithms import ALGORITHMS
from ars.api.warn import warn
from ars.cli.closing import summary
from ars.cli.console import open_display
from ars.cli.seeds import open_seeds_display
from ars.cli.seeds import summary as summary_of_seeds
from ars.cli.streams import output
from ars.common.errors import UsageError
from ars.common.host import hosting
from ars.common.settings import make_config
from ars.training.callbacks import Callback, Callbacks, as_raised
from ars.training.config import TrainingConfig, WorkerConfig
from ars.training.config_file import settings_in, with_file
from ars.training.display import Silent
from ars.training.experiment import Experiment, SeedsConfig, failure, is_experiment
from ars.training.finished import Run
from ars.training.given_env import (
    ONLY_HERE,
    GivenEnv,
    check_known_elsewhere,
    is_given,
    only_here,
    wrapper_names,
)
from ars.training.given_run import folder_of, name_or_given, training_id
from ars.training.resolve import resolve_new, resolve_resumed
from ars.training.run import run_training
from ars.training.seed_processes import SilentShow


def train(
    env: str | GivenEnv | None = None,
    *,
    run_dir: str | Path | None = None,
    resume: str | Path | Run | None = None,
    config: str | Path | Run | None = None,
    on_iteration: Callback | None = None,
    on_evaluation: Callback | None = None,
    verbose: bool = True,
    trust: bool = False,
    **settings: Any,
) -> Run:
    """Train a policy.

    Args:
        env: a robot (`"HalfCheetah"`), a Gymnasium id (`"CartPole-v1"`), `"module:Id-v0"`; or an
            environment object, its class or a function that makes one. These last three stay in
            this process: `n_workers` is 0. An object serves only algorithms that use one
            environment at a time (`algo="ars"`). So does an id that this program alone has
            registered.
        run_dir: the run's folder; None: runs/ENV/ALGO-sSEED, numbered if taken.
        resume: a run, or its folder, to go on with; `env` is needed only if it was given as an
            object, class or function.
        config: settings: a run, its folder or its config.json, to train it again, or a file of
            TOML or YAML; other arguments override them.
        on_iteration: called with each row of progress.csv as a dict; if it returns True, the run
            is saved, stops after this iteration and can be resumed.
        on_evaluation: the same with each row of evaluations.csv.
        verbose: show the progress of training, as the command does.
        trust: believe a run or a file of settings from elsewhere, and import the module that it
            names.
        **settings: those of `python -m ars.train --help`, with underscores: `algo`, `preset`,
            `seed`, `total_timesteps`, `n_workers`, `env_kwargs` (a dict), `wrappers` (a list of
            "module:Class", classes or functions), `step_size`, `init_from` (as `load`'s `run`) ...

    Returns:
        The run: its folder, result, curves and policies.

    Raises:
        UsageError: arguments that cannot be used; the message names the setting in backticks.
        UnknownEnvironment: there is no such environment.
        WrongOptions: it does not take `clock`, `pixels` or `wrappers` as they are.
        UnsupportedSpace: no policy supports the environment's spaces.
        RunError: anything else failed; the message says how to go on.
        KeyboardInterrupt: the user interrupted; the message says what is saved and how to go on.

    >>> def good_enough(row):
    ...     return row["return_mean"] >= 12
    >>> few = {"n_directions": 4, "n_workers": 0, "verbose": False}
    >>> run = train("CartPole-v1", on_iteration=good_enough, **few)
    >>> run.result["stopped"]
    'stopped by a callback'
    >>> run = train(resume=run, n_iterations=9, verbose=False)
    >>> run.progress["iteration"].tolist()
    [1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if isinstance(resume, Run):
        env = resume.env if env is None else env
        settings = {**resume.workers, **settings}
    elif resume is not None and (resume == "" or not isinstance(resume, str | Path)):
        raise UsageError(f"`resume` {resume!r}: must be a run or its folder")
    if "env_id" in settings:
        raise UsageError("`env_id`: there is no such setting (did you mean env?)")
    if "n_seeds" in settings:
        raise UsageError("`n_seeds`: there is no such setting of one run; `train_seeds` has it")
    env, settings = _with_config(config, env, plain(settings), trust)
    name, given = name_or_given(env)
    folder = folder_of(resume)
    if run_dir is not None:
        settings["run_dir"] = str(run_dir)
    with hosting(), training_id(name, given, folder) as env_id:
        resolved = _resolve(env_id, folder, settings, trust)
        if only_here(resolved.env_id):
            resolved = _in_process(resolved, is_object=isinstance(given, gymnasium.Env))
        how_to_resume = partial(_how_to_resume, "" if given is None else "env, ")
        with open_display(resolved, translate=str) if verbose else nullcontext(Silent()) as display:
            callbacks = Callbacks(display, on_iteration, on_evaluation)
            stop, place = callbacks.stop_reason, settings.get("run_dir")
            path, result = as_raised(run_training, resolved, callbacks, how_to_resume, place, stop)
        if verbose:
            print(summary(resolved.env_id, result, resolved.weighs_rewards), file=output())
    return Run(path, given, resolved.chosen_workers)


def train_seeds(
    env: str | None = None,
    n_seeds: int | None = None,
    *,
    jobs: int | None = None,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    config: str | Path | Run | None = None,
    verbose: bool = True,
    trust: bool = False,
    **settings: Any,
) -> list[Run]:
    """Train several runs that differ in their seed alone, each in a process of its own.

    Args:
        env: as for `train`, but only by name.
        n_seeds: how many, from `seed` on.
        jobs: how many train at a time; None: as many as this machine has processors for.
        run_dir: the experiment's folder; None: runs/ENV/ALGO-seeds0-4, numbered if taken.
        resume: the folder of an experiment to go on with, instead of `env` and `n_seeds`.
        config: as for `train`; a file may have `n_seeds` and `jobs` too. The first seed is its
            seed unless `seed` is given.
        verbose: show the progress of training, as the command does.
        trust: as for `train`.
        **settings: as for `train`.

    Returns:
        The runs, in the order of their seeds.

    Raises:
        UsageError, UnknownEnvironment: as for `train`.
        RunError: a seed failed, which did not stop the others; the message names it.
        KeyboardInterrupt: the user interrupted; every run under way is saved.

    >>> few = {"n_iterations": 2, "n_directions": 4, "verbose": False}
    >>> [run.folder.name for run in train_seeds("CartPole-v1", 2, **few)]
    ['s0', 's1']
    """
    given = plain(settings)
    if run_dir is not None:
        given["run_dir"] = str(run_dir)
    env, given = _with_config(config, env, given, trust)
    in_file = given.pop("n_seeds", None), given.pop("jobs", None)
    n_seeds = in_file[0] if n_seeds is None else n_seeds
    jobs = in_file[1] if jobs is None else jobs
    words = [f"{name}={value!r}" for name, value in given.items()]
    if resume is not None:
        alone = env is None and n_seeds is None and config is None
        if not alone or not is_experiment(Path(resume)):
            raise UsageError(f"`resume` {resume}: must be the folder of an experiment, by itself")
        call = f"ars.api.train_seeds({', '.join([f'resume={str(resume)!r}', *words])})"
        experiment = Experiment.open(Path(resume), given, call, trust)
    else:
        if not isinstance(env, str) or n_seeds is None:
            raise UsageError('`env`: name an environment, and `n_seeds`: train_seeds("Hopper", 5)')
        check_known_elsewhere(env)
        n_seeds = make_config(SeedsConfig, {"n_seeds": n_seeds, "jobs": jobs}).n_seeds
        call = f"ars.api.train_seeds({', '.join([repr(env), str(n_seeds), *words])})"
        experiment = Experiment.new(env, given, n_seeds, call)
    with open_seeds_display(experiment, str) if verbose else nullcontext(SilentShow()) as show:
        outcomes = experiment.train(show, make_config(SeedsConfig, {"jobs": jobs}).jobs, trust)
    if verbose:
        print(summary_of_seeds(experiment, outcomes), file=output())
    again = f"train_seeds(resume={str(experiment.folder)!r})"
    if (error := failure(outcomes, again)) is not None:
        raise error
    return [Run(outcome.folder) for outcome in outcomes]


def _with_config(
    config: str | Path | Run | None, env: Any, settings: dict[str, Any], trust: bool
) -> tuple[Any, dict[str, Any]]:
    """An environment and settings, with those of `config` where they are not given."""
    if config is None:
        return env, settings
    from_file = settings_in(config.folder if isinstance(config, Run) else config)
    if env is None and isinstance(config, Run):
        env = config.env
    named = {} if env is None else {"env_id": env}
    settings = with_file(from_file, settings | named, trust)
    for note in from_file.notes:
        warn(note)
    return settings.pop("env_id", None), settings


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that are given, as they are stored."""
    # Of a preset and a start None means none; of other settings, that they are not given.
    given = {name: value for name, value in settings.items() if value is not None}
    given |= {name: settings[name] for name in ("preset", "init_from") if name in settings}
    if isinstance(start := given.get("init_from"), Run | Path):
        given["init_from"] = str(start.folder if isinstance(start, Run) else start)
    if "wrappers" in given:
        given["wrappers"] = wrapper_names(given["wrappers"])
    return given


def _resolve(
    env_id: str | None, folder: Path | None, settings: dict[str, Any], trust: bool
) -> TrainingConfig:
    """The configuration of a new or resumed run."""
    arguments = [] if env_id is None else [repr(env_id)]
    arguments += [] if folder is None else [f"resume={str(folder)!r}"]
    arguments += [f"{name}={value!r}" for name, value in settings.items()]
    call = f"ars.api.train({', '.join(arguments)})"
    if folder is not None:
        return resolve_resumed(folder, settings, call, trust)
    if env_id is None:
        raise UsageError('`env`: name an environment, for example train("HalfCheetah")')
    return resolve_new(env_id, settings, call)


def _in_process(config: TrainingConfig, is_object: bool) -> TrainingConfig:
    """The run of an environment that other processes do not know.

    Raises: UsageError where it would have to leave this process.
    """
    if config.workers.n_workers == WorkerConfig.n_workers:
        said = [] if is_given(config.env_id) else [f"{config.env_id} {ONLY_HERE}"]
        workers = replace(config.workers, n_workers="0")
        config = replace(config, workers=workers, notes=[*config.notes, *said])
    asked = {
        "n_workers": config.n_workers,
        "ray_address": config.workers.ray_address,
        "env_processes": config.workers.env_processes,
    }
    for name, value in asked.items():
        if value:
            raise UsageError(f"`{name}` {value}: the environment {ONLY_HERE}")
    if is_object and not ALGORITHMS[config.algo].trains_in_pool:
        raise UsageError(
            f"`env`: {config.algo} uses several environments at once; give a class or a function "
            "that makes one instead of an environment"
        )
    return config


def _how_to_resume(env: str, folder: Path, **settings: Any) -> str:
    given = {name: value for name, value in settings.items() if value is not None}
    arguments = "".join(f", {name}={value!r}" for name, value in given.items())
    return f"train({env}resume={str(folder)!r}{arguments})"
