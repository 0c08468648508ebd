"""The toolkit from Python: `train`, `load`, `evaluate`, `render` and `verify`.

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

Failures are exceptions: `UsageError` for arguments that cannot be used, `RunError` for anything
else that fails in a run, and those of their own that environments (`envs.UnknownEnvironment`) and
files (`policies.FileError`) have. Everything here works in a notebook and in any thread.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

from ars.algorithms import ALGORITHMS
from ars.cli.console import open_display, summary
from ars.common.errors import RolloutError, RunError, UsageError
from ars.common.settings import make_config
from ars.evaluate import EvaluateConfig
from ars.rendering.film import RenderConfig
from ars.training.callbacks import Callback, Callbacks, Silent
from ars.training.config import TrainingConfig
from ars.training.evaluation import acting, evaluate_policy
from ars.training.finished import Run
from ars.training.given_env import GivenEnv, is_given, registered
from ars.training.rebuild import chosen_policy, training_moments
from ars.training.resolve import resolve_new, resolve_resumed
from ars.training.run import run_training
from ars.training.run_folder import CONFIG, ResolvedPolicy, read_json
from ars.training.verification import Verification, verify_run
from ars.verify import VerifyConfig
from envs import UnknownEnvironment
from policies import FileError, Policy, PolicyFile, UnsupportedSpace

__all__ = [
    "FileError",
    "RolloutError",
    "Run",
    "RunError",
    "UnknownEnvironment",
    "UnsupportedSpace",
    "UsageError",
    "evaluate",
    "load",
    "render",
    "train",
    "verify",
]


def train(
    env: str | GivenEnv | None = None,
    *,
    run_dir: str | Path | None = None,
    resume: str | Path | Run | None = None,
    on_iteration: Callback | None = None,
    on_evaluation: Callback | None = None,
    verbose: bool = True,
    **settings: Any,
) -> Run:
    """Train a policy.

    Args:
        env: a robot (`"HalfCheetah"`), a Gymnasium id (`"CartPole-v1"`), `"module:Id-v0"`; or an
            environment, its class or a function that makes one, which then stay in this process:
            `n_workers` is 0. An environment that is made already serves algorithms that need one
            at a time (`algo="ars"`).
        run_dir: the run's folder; None: runs/ENV/ALGO-sSEED, numbered if taken.
        resume: a run, or its folder, to go on with; `env` is needed only if it was given as an
            object, class or function.
        on_iteration: called with each row of progress.csv, a dict; where it returns True the run
            stops after this iteration, saved, and can be resumed.
        on_evaluation: the same with each row of evaluations.csv.
        verbose: print how it goes, as the command does.
        **settings: those of `python -m ars.train --help`, with underscores: `algo`, `preset`,
            `seed`, `total_timesteps`, `n_workers`, `env_kwargs` (a dict), `step_size` ...

    Returns:
        The run: its folder, result, curves and policies.

    Raises:
        UsageError: arguments that cannot be used; the message names the setting in backticks.
        UnknownEnvironment: there is no such environment.
        UnsupportedSpace: it has spaces that no policy fits.
        RunError: anything else that failed; the message says how to go on.
        KeyboardInterrupt: likewise, saved as far as it says.

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
    name, given = _name_or_given(env)
    folder = _folder(resume)
    if run_dir is not None:
        settings["run_dir"] = str(run_dir)
    if given is not None and settings.get("n_workers") is None:
        settings["n_workers"] = 0
    with _training_id(name, given, folder) as env_id:
        plan = _plan(env_id, folder, settings)
        if given is not None:
            _check_stays_here(plan, made=isinstance(given, gymnasium.Env))
        how_to_resume = partial(_how_to_resume, "" if given is None else "env, ")
        with open_display(plan, words=str) if verbose else nullcontext(Silent()) as display:
            told = Callbacks(display, on_iteration, on_evaluation)
            path, result = run_training(
                plan, told, how_to_resume, settings.get("run_dir"), told.stop_reason
            )
        if verbose:
            print(summary(plan.env_id, result))
    return Run(path, given)


def load(run: str | Path | Run, latest: bool = False, *, at: int | None = None) -> Policy:
    """A trained policy.

    Args:
        run: a run, its folder, a policy file or the name of a shipped policy.
        latest: of a run, the policy after its last iteration instead of its best.
        at: of a run of ars, timesteps: the policy that it had then, rebuilt from its tape; that
            of the last iteration that had done no more.

    Returns:
        The policy: `policy.act(obs)` is the action for an observation.

    Raises:
        UsageError: there is no such run, or it has no tape where `at` is given.
        FileError: its file is damaged.

    >>> policy = load("HalfCheetah")
    >>> policy.act([0.1] * 26).dtype
    dtype('float32')
    """
    return chosen_policy(str(_folder(run)), latest, at).file.policy


def evaluate(
    run: str | Path | Run | Policy,
    episodes: int = 100,
    seed: int | None = None,
    stochastic: bool = False,
    *,
    latest: bool = False,
    at: int | None = None,
    env: str | GivenEnv | None = None,
) -> dict[str, Any]:
    """How good a policy is: its best actions, frozen statistics, the environment's own rewards.

    Args:
        run: as for `load`, or a policy, for which `env` must be said.
        episodes: how many. Their seeds begin with those of training's final evaluation.
        seed: of the episodes; None: the training run's.
        stochastic: draw actions from the policy's distribution.
        latest: as for `load`.
        at: likewise.
        env: another environment than the policy's own, or the one that was given to `train`.

    Returns:
        `return_mean`, `return_std`, `return_min`, `return_max`, `length_mean`, and the lists
        `returns` and `lengths`, an entry an episode; with what was evaluated.

    Raises:
        UsageError, UnknownEnvironment: arguments that cannot be used.
        RunError, RolloutError: the environment fails, or is another than the policy's.
        FileError: the policy's file is damaged.

    >>> result = evaluate("Hopper", episodes=2)
    >>> result["return_mean"] > 1000, len(result["returns"])
    (True, 2)
    """
    values = {"episodes": episodes, "seed": seed, "stochastic": stochastic}
    config = make_config(EvaluateConfig, values)
    with _played(run, latest, at, env) as found:
        return evaluate_policy(found, config.episodes, config.seed, config.stochastic, warn=_warn)


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
) -> Path:
    """Write a video of a policy.

    Args:
        run: as for `evaluate`.
        output: the file: .mp4, .gif (at most 20 s) or .png (12 moments).
        episodes: how many are shown.
        seed: of the episodes; None: the training run's.
        width: pixels across, where the environment lets it be chosen.
        height: pixels down, likewise.
        over_training: of a run of ars, show ten policies of its training, one after the other.
        latest: as for `load`.
        at: likewise.
        env: as for `evaluate`; a function or class takes `render_mode`, an environment that is
            made already has "rgb_array".

    Returns:
        The file.

    Raises:
        UsageError, UnknownEnvironment: arguments that cannot be used.
        RunError: the environment fails, draws nothing, or is another than the policy's.
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
    with _played(run, latest, at, env) as found:
        moments = training_moments(str(_folder(run))) if over_training else []
        open_env = partial(acting, found, config.seed, warn=_warn)
        return record(open_env, config, path, moments=moments).path


def verify(
    run: str | Path | Run,
    share: float = 0.01,
    iterations: int | None = None,
    seed: int | None = None,
    n_workers: int | str = 0,
) -> Verification:
    """Verify a run of ars: check its tape, rebuild every policy, play iterations again.

    Args:
        run: a run, or its folder.
        share: of the iterations, to be played again; one at least.
        iterations: how many, instead of a share.
        seed: draws them; None for entropy that nobody can foresee.
        n_workers: worker processes, 0 for this process.

    Returns:
        What was checked, all of it found to be right: `compared`, `played`, `chance_to_find(1)`.

    Raises:
        UsageError: there is no such run, or it has no tape.
        FileError, RunError, RolloutError: it is not what it says; the message says where.

    >>> run = train("CartPole-v1", n_iterations=3, seed=4, n_workers=0, verbose=False)
    >>> verify(run, iterations=2).chance_to_find(1) > 0.6
    True
    """
    values = {"share": share, "iterations": iterations, "seed": seed, "n_workers": n_workers}
    given = run.env if isinstance(run, Run) else None
    folder = _folder(run)
    with _training_id(None, given, folder):
        return verify_run(str(folder), **dataclasses.asdict(make_config(VerifyConfig, values)))


# What stands for a run or for an environment


def _folder(run: Any) -> Any:
    if isinstance(run, Run):
        return run.folder
    return Path(run) if isinstance(run, str) and run else run


def _name_or_given(env: str | GivenEnv | None) -> tuple[str | None, GivenEnv | None]:
    return (env, None) if env is None or isinstance(env, str) else (None, env)


@contextmanager
def _training_id(
    name: str | None, given: GivenEnv | None, folder: Path | None
) -> Iterator[str | None]:
    """The id of the environment to train on, for as long as the block lasts."""
    config = None if folder is None else folder / CONFIG
    stored = read_json(config).get("env_id") if config is not None and config.is_file() else None
    if name is not None and stored is not None and name != stored:
        raise UsageError(f"`env` {name}: the run was started with {stored}")
    if given is None:
        yield name
        return
    if stored is not None and not is_given(stored):
        raise UsageError(f"`env`: the run was started with {stored}, by its name")
    with registered(given, stored) as env_id:
        yield env_id


def _plan(env_id: str | None, folder: Path | None, settings: dict[str, Any]) -> TrainingConfig:
    """The run that is meant; a setting of None is one not given."""
    given = {name: value for name, value in settings.items() if value is not None}
    words = [] if env_id is None else [repr(env_id)]
    words += [] if folder is None else [f"resume={str(folder)!r}"]
    words += [f"{name}={value!r}" for name, value in given.items()]
    call = f"ars.api.train({', '.join(words)})"
    if folder is not None:
        return resolve_resumed(folder, given, call)
    if env_id is None:
        raise UsageError('`env`: name an environment, for example train("HalfCheetah")')
    return resolve_new(env_id, given, call)


def _check_stays_here(plan: TrainingConfig, made: bool) -> None:
    """An object, class or function cannot be sent to another process."""
    name = "n_workers" if plan.n_workers != 0 else "env_processes"
    value = getattr(plan.workers, name)
    if value != "0" and value != 0:
        raise UsageError(
            f"`{name}` {value}: an environment given as an object, class or function stays in "
            "this process; for more, register it in a module and name it, as module:Id-v0"
        )
    if made and not ALGORITHMS[plan.algo].trains_in_pool:
        raise UsageError(
            f"`env`: {plan.algo} uses several environments at once; give a class or a function "
            "that makes one instead of an environment"
        )


@contextmanager
def _played(
    run: str | Path | Run | Policy, latest: bool, at: int | None, env: str | GivenEnv | None
) -> Iterator[ResolvedPolicy]:
    """The policy that is meant, in the environment that is meant."""
    if isinstance(run, Run):
        env = run.env if env is None else env
    if isinstance(run, Policy):
        if env is None:
            raise UsageError("`env`: must be given, a policy does not know its environment")
        if at is not None:
            raise UsageError(f"`at` {at}: a policy has no tape, give its run")
        found = ResolvedPolicy(Path("policy"), PolicyFile(run, "", {}, {}), "policy")
    else:
        found = chosen_policy(str(_folder(run)), latest, at)
    stored = found.file
    name, given = _name_or_given(env)
    with nullcontext(name) if given is None else registered(given) as env_id:
        if env_id is None or env_id == stored.env_id:
            yield found
        else:
            kwargs = stored.env_kwargs if is_given(stored.env_id) else {}
            file = PolicyFile(stored.policy, env_id, kwargs, stored.training)
            yield dataclasses.replace(found, file=file)


def _how_to_resume(env: str, folder: Path, **settings: Any) -> str:
    words = "".join(f", {name}={value!r}" for name, value in settings.items())
    return f"train({env}resume={str(folder)!r}{words})"


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
