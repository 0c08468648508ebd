"""The toolkit from Python: `train`, `load`, `evaluate`, `render`, `plot`, `verify` and others.

>>> from ars.api import evaluate, load, train
>>> run = train("CartPole-v1", n_iterations=2, seed=3, n_workers=0, verbose=False)
>>> run.folder.as_posix()
'runs/CartPole-v1/ars-s3'
>>> run.progress["timesteps"].shape
(2,)
>>> policy = load("HalfCheetah")            # or a run, its folder, a policy file
>>> policy.act([0.0] * 26).shape
(6,)
>>> evaluate(run, episodes=5)["return_mean"] > 0
True

Failures are exceptions: `UsageError` for arguments that cannot be used, `UnknownEnvironment` and
`UnsupportedSpace` for environments, `FileError` for damaged files, and `RunError` for anything else
that fails in a run. Everything here works in a notebook and in any thread.
"""

from __future__ import annotations

import dataclasses
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

from ars.algorithms import ALGORITHMS
from ars.cli.closing import summary
from ars.cli.console import open_display
from ars.cli.seeds import open_seeds_display
from ars.cli.streams import output
from ars.common.errors import RolloutError, RunError, UsageError
from ars.common.host import hosting
from ars.common.settings import make_config
from ars.evaluate import EvaluateConfig
from ars.rendering.film import RenderConfig
from ars.results.from_python import compare, plot, plot_weights
from ars.training.callbacks import Callback, Callbacks
from ars.training.config import TrainingConfig
from ars.training.config_file import settings_in, with_file
from ars.training.display import Silent
from ars.training.evaluation import acting, evaluate_policy
from ars.training.experiment import Experiment, SeedsConfig, failure, is_experiment
from ars.training.finished import Run
from ars.training.given_env import GivenEnv
from ars.training.given_run import folder_of, name_or_given, policy_in_env, training_id
from ars.training.rebuild import chosen_policy, training_moments
from ars.training.resolve import resolve_new, resolve_resumed
from ars.training.run import run_training
from ars.training.seed_processes import SilentShow
from ars.training.verification import Verification, verify_run
from ars.verify import VerifyConfig
from envs import UnknownEnvironment
from policies import FileError, Policy, UnsupportedSpace

__all__ = [
    "FileError",
    "RolloutError",
    "Run",
    "RunError",
    "UnknownEnvironment",
    "UnsupportedSpace",
    "UsageError",
    "compare",
    "evaluate",
    "load",
    "plot",
    "plot_weights",
    "render",
    "train",
    "train_seeds",
    "verify",
]


def train(
    env: str | GivenEnv | None = None,
    *,
    run_dir: str | Path | None = None,
    resume: str | Path | Run | None = None,
    config: str | Path | None = None,
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
            environment at a time (`algo="ars"`).
        run_dir: the run's folder; None: runs/ENV/ALGO-sSEED, numbered if taken.
        resume: a run, or its folder, to go on with; `env` is needed only if it was given as an
            object, class or function.
        config: a file of settings: a run folder or its config.json, to train that run again, or
            TOML or YAML; other arguments override them.
        on_iteration: called with each row of progress.csv as a dict; if it returns True, the run
            is saved, stops after this iteration and can be resumed.
        on_evaluation: the same with each row of evaluations.csv.
        verbose: show the progress of training, as the command does.
        trust: resume a run from elsewhere, and import the module that it names.
        **settings: those of `python -m ars.train --help`, with underscores: `algo`, `preset`,
            `seed`, `total_timesteps`, `n_workers`, `env_kwargs` (a dict), `step_size`,
            `init_from` (as `load`'s `run`) ...

    Returns:
        The run: its folder, result, curves and policies.

    Raises:
        UsageError: arguments that cannot be used; the message names the setting in backticks.
        UnknownEnvironment: there is no such environment.
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
    if isinstance(start := settings.get("init_from"), Run | Path):
        settings["init_from"] = str(start.folder if isinstance(start, Run) else start)
    settings = {name: value for name, value in settings.items() if value is not None}
    if config is not None:
        from_file = settings_in(config, trust)
        named = {} if env is None else {"env_id": env}
        settings = with_file(from_file, settings | named)
        env = settings.pop("env_id", None)
        for note in from_file.notes:
            _warn(note)
    name, given = name_or_given(env)
    folder = folder_of(resume)
    if run_dir is not None:
        settings["run_dir"] = str(run_dir)
    if given is not None and settings.get("n_workers") is None:
        settings["n_workers"] = 0
    with hosting(), training_id(name, given, folder) as env_id:
        resolved = _resolve(env_id, folder, settings, trust)
        if given is not None:
            _check_in_process(resolved, is_object=isinstance(given, gymnasium.Env))
        how_to_resume = partial(_how_to_resume, "" if given is None else "env, ")
        with open_display(resolved, translate=str) if verbose else nullcontext(Silent()) as display:
            callbacks = Callbacks(display, on_iteration, on_evaluation)
            path, result = run_training(
                resolved, callbacks, how_to_resume, settings.get("run_dir"), callbacks.stop_reason
            )
        if verbose:
            print(summary(resolved.env_id, result), file=output())
    return Run(path, given, resolved.chosen_workers)


def train_seeds(
    env: str | None = None,
    n_seeds: int | None = None,
    *,
    jobs: int | None = None,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
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
    given = {name: value for name, value in settings.items() if value is not None}
    if run_dir is not None:
        given["run_dir"] = str(run_dir)
    words = [f"{name}={value!r}" for name, value in given.items()]
    if resume is not None:
        if env is not None or n_seeds is not None or not is_experiment(Path(resume)):
            raise UsageError(f"`resume` {resume}: must be the folder of an experiment, by itself")
        call = f"ars.api.train_seeds({', '.join([f'resume={str(resume)!r}', *words])})"
        experiment = Experiment.open(Path(resume), given, call, trust)
    else:
        if not isinstance(env, str) or n_seeds is None:
            raise UsageError('`env`: name an environment, and `n_seeds`: train_seeds("Hopper", 5)')
        n_seeds = make_config(SeedsConfig, {"n_seeds": n_seeds}).n_seeds
        call = f"ars.api.train_seeds({', '.join([repr(env), str(n_seeds), *words])})"
        experiment = Experiment.new(env, given, n_seeds, call)
    with open_seeds_display(experiment, str) if verbose else nullcontext(SilentShow()) as show:
        outcomes = experiment.train(show, make_config(SeedsConfig, {"jobs": jobs}).jobs, trust)
    again = f"train_seeds(resume={str(experiment.folder)!r})"
    if (error := failure(outcomes, again)) is not None:
        raise error
    return [Run(outcome.folder) for outcome in outcomes]


def load(run: str | Path | Run, latest: bool = False, *, at: int | None = None) -> Policy:
    """Load a trained policy.

    Args:
        run: a run, its folder, a policy file or the name of a shipped policy.
        latest: take a run's policy after its last iteration instead of its best.
        at: take the policy that an ARS run had after so many timesteps, rebuilt from its tape: the
            one after the last iteration that had used no more.

    Returns:
        The policy; `policy.act(obs)` returns the action for an observation.

    Raises:
        UsageError: there is no such run, or it has no tape where `at` is given.
        FileError: its file is damaged.

    >>> policy = load("HalfCheetah")
    >>> policy.act([0.1] * 26).dtype
    dtype('float32')
    """
    return chosen_policy(str(folder_of(run)), latest, at).file.policy


def evaluate(
    run: str | Path | Run | Policy,
    episodes: int = 100,
    seed: int | None = None,
    stochastic: bool = False,
    *,
    latest: bool = False,
    at: int | None = None,
    env: str | GivenEnv | None = None,
    trust: bool = False,
) -> dict[str, Any]:
    """Evaluate a policy with frozen observation statistics and the environment's own rewards.

    Args:
        run: as for `load`, or a policy, for which `env` must be given.
        episodes: how many; the first have the seeds of training's final evaluation.
        seed: of the episodes; None: the training run's.
        stochastic: draw actions from the policy's distribution instead of taking the best.
        latest: as for `load`.
        at: as for `load`.
        env: an environment other than the policy's own, or the one that was given to `train`.
        trust: import the module that a file from elsewhere names.

    Returns:
        `return_mean`, `return_std`, `return_min`, `return_max`, `length_mean`, and the lists
        `returns` and `lengths` with one entry per episode; also what was evaluated: `env_id`,
        `policy`, `iteration`, `seed`, `stochastic` and `episodes`. For robots that travel also
        `metres_mean`, `metres_per_second` and the list `metres`.

    Raises:
        UsageError, UnknownEnvironment: arguments that cannot be used.
        RunError, RolloutError: the environment fails, or does not match the policy.
        FileError: the policy's file is damaged.

    >>> result = evaluate("Hopper", episodes=2)
    >>> result["return_mean"] > 1000, len(result["returns"])
    (True, 2)
    """
    values = {"episodes": episodes, "seed": seed, "stochastic": stochastic}
    config = make_config(EvaluateConfig, values)
    with policy_in_env(run, latest, at, env, trust) as resolved:
        return evaluate_policy(
            resolved, config.episodes, config.seed, config.stochastic, warn=_warn
        )


def render(
    run: str | Path | Run | Policy,
    output: str | Path = "run.mp4",
    episodes: int = 1,
    seed: int | None = None,
    width: int | None = None,
    height: int | None = None,
    *,
    over_training: bool = False,
    latest: bool = False,
    at: int | None = None,
    env: str | GivenEnv | None = None,
    trust: bool = False,
) -> Path:
    """Write a video of a policy.

    Args:
        run: as for `evaluate`.
        output: the file: .mp4, .gif (at most 20 s) or .png (12 moments).
        episodes: how many to show.
        seed: of the episodes; None: the training run's.
        width: in pixels, where the environment lets it be chosen.
        height: in pixels, likewise.
        over_training: of an ARS run, show ten policies of its training, one after the other.
        latest: as for `load`.
        at: as for `load`.
        env: as for `evaluate`; a class or function is called with `render_mode="rgb_array"` if it
            takes that argument, and an environment object must have been made with it.
        trust: as for `evaluate`.

    Returns:
        The path of the file.

    Raises:
        UsageError, UnknownEnvironment: arguments that cannot be used.
        RunError: the environment fails, draws nothing, or does not match the policy.
        FileError: the policy's file is damaged.

    >>> render("Hopper", "hopper.png").name
    'hopper.png'
    """
    from ars.rendering.show import check_output, record

    values = {"output": str(output), "episodes": episodes, "seed": seed}
    values |= {"width": width, "height": height, "over_training": over_training}
    config = make_config(RenderConfig, values)
    path = check_output(str(output))
    if over_training and isinstance(run, Policy):
        raise UsageError("`over_training`: a policy has no tape, give its run")
    with policy_in_env(run, latest, at, env, trust) as resolved:
        moments = training_moments(str(folder_of(run)), trust=trust) if over_training else []
        open_env = partial(acting, resolved, config.seed, warn=_warn)
        return record(open_env, config, path, moments=moments).path


def verify(
    run: str | Path | Run,
    share: float = 0.01,
    iterations: int | None = None,
    seed: int | None = None,
    n_workers: int | str = 0,
    *,
    trust: bool = False,
) -> Verification:
    """Verify an ARS run: check its tape, rebuild every policy, replay iterations.

    Args:
        run: a run, or its folder.
        share: of the iterations to replay, at least one.
        iterations: how many to replay, instead of a share.
        seed: for drawing them; None: unpredictable.
        n_workers: worker processes; 0: this process.
        trust: as for `evaluate`.

    Returns:
        What was checked and found to be right: `compared`, `played`, `chance_to_find(1)`.

    Raises:
        UsageError: there is no such run, or it has no tape.
        FileError, RunError, RolloutError: it is not verified; the message says what differs.

    >>> run = train("CartPole-v1", n_iterations=3, seed=4, n_workers=0, verbose=False)
    >>> verify(run, iterations=2).chance_to_find(1) > 0.6
    True
    """
    values = {"share": share, "iterations": iterations, "seed": seed, "n_workers": n_workers}
    given = run.env if isinstance(run, Run) else None
    folder = folder_of(run)
    with training_id(None, given, folder):
        config = dataclasses.asdict(make_config(VerifyConfig, values))
        return verify_run(str(folder), **config, trust=trust)


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


def _check_in_process(config: TrainingConfig, is_object: bool) -> None:
    """Raises: UsageError where a given environment would have to leave this process."""
    name = "n_workers" if config.n_workers != 0 else "env_processes"
    value = getattr(config.workers, name)
    if value != "0" and value != 0:
        raise UsageError(
            f"`{name}` {value}: an environment given as an object, class or function stays in "
            "this process; for more, register it in a module and name it, as module:Id-v0"
        )
    if is_object and not ALGORITHMS[config.algo].trains_in_pool:
        raise UsageError(
            f"`env`: {config.algo} uses several environments at once; give a class or a function "
            "that makes one instead of an environment"
        )


def _how_to_resume(env: str, folder: Path, **settings: Any) -> str:
    given = {name: value for name, value in settings.items() if value is not None}
    arguments = "".join(f", {name}={value!r}" for name, value in given.items())
    return f"train({env}resume={str(folder)!r}{arguments})"


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
