"""Trained policies from Python: loaded, evaluated, shown and verified."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

import envs
from ars.api.warn import warn
from ars.common.errors import UsageError
from ars.common.output import check_output
from ars.common.settings import make_config
from ars.evaluate import EvaluateConfig
from ars.rendering.film import RenderConfig
from ars.training.evaluation import acting, check_spaces, evaluate_policy, making
from ars.training.finished import Run
from ars.training.given_env import GivenEnv, check_given
from ars.training.given_run import folder_of, policy_in_env, training_id
from ars.training.rebuild import chosen_policy, training_moments
from ars.training.verification import Verification, verify_run
from ars.verify import VerifyConfig
from policies import Policy


def load(
    run: str | Path | Run, latest: bool = False, *, at: int | None = None, trust: bool = False
) -> Policy:
    """Load a trained policy.

    Args:
        run: a run, its folder, a policy file or the name of a shipped policy.
        latest: take a run's policy after its last iteration instead of its best.
        at: take the policy that a run had after so many timesteps, rebuilt from its tape: the
            one after the last iteration that had used no more.
        trust: import the module that a tape from elsewhere names, if `at` needs it.

    Returns:
        The policy; `policy.act(obs)` returns the action for an observation.

    Raises:
        UsageError: there is no such run, or it has no tape where `at` is given.
        FileError: its file is damaged.

    >>> policy = load("HalfCheetah")
    >>> policy.act([0.1] * 26).dtype
    dtype('float32')
    """
    return chosen_policy(str(folder_of(run)), latest, at, trust).file.policy


def make_env(
    run: str | Path | Run | Policy,
    render_mode: str | None = None,
    *,
    env: str | GivenEnv | None = None,
    trust: bool = False,
) -> gymnasium.Env[Any, Any]:
    """Make the environment that a policy acts in, with the clock and wrappers of its training.

    Args:
        run: as for `evaluate`.
        render_mode: as `gymnasium.make` takes it.
        env: as for `evaluate`.
        trust: import the module that a file from elsewhere names.

    Returns:
        The environment; the caller closes it. Its episodes end after the environment's own number
        of steps, also where those of the training ended sooner.

    Raises:
        UsageError, UnknownEnvironment: arguments that cannot be used.
        RunError: the environment fails, or does not match the policy.
        FileError: the policy's file is damaged.

    >>> policy, env = load("Minitaur"), make_env("Minitaur")
    >>> observation, info = env.reset(seed=0)
    >>> observation[-2:].tolist()  # its clock, at the start
    [0.0, 1.0]
    >>> env.step(policy.act(observation))[0].shape
    (30,)
    >>> env.close()
    """
    added = {} if render_mode is None else {"render_mode": render_mode}
    with policy_in_env(run, False, None, env, trust) as resolved:
        file = resolved.file
        check_given(file.env_id)
        with making(file.env_id, added):
            made = envs.make(file.env_id, **{**file.env_kwargs, **added})
        with ExitStack() as failed:
            failed.callback(made.close)
            check_spaces(resolved, made)
            failed.pop_all()
        return made


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
        `metres_mean`, `metres_per_second` and the list `metres`; of a flagrun's, `flags_mean` and
        the list `flags`.

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
        return evaluate_policy(resolved, config.episodes, config.seed, config.stochastic, warn=warn)


def render(
    run: str | Path | Run | Policy | Sequence[str | Path | Run],
    output: str | Path = "run.mp4",
    episodes: int = 1,
    seed: int | None = None,
    width: int | None = None,
    height: int | None = None,
    *,
    over_training: bool = False,
    speed: float = 1.0,
    latest: bool = False,
    at: int | None = None,
    env: str | GivenEnv | None = None,
    trust: bool = False,
) -> Path:
    """Write a video of a policy.

    Args:
        run: as for `evaluate`; a list of runs shows their policies side by side.
        output: the file: .mp4, .gif (at most 400 pictures) or .png (12 moments).
        episodes: how many to show.
        seed: of the episodes; None: the training run's, or 0 for a list of runs.
        width: in pixels, where the environment lets it be chosen.
        height: in pixels, likewise.
        speed: of the film; 0.25 is slow motion.
        over_training: of a run with a tape, show ten policies of its training, one after the other.
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
    from ars.rendering.show import record
    from ars.rendering.video import KINDS

    values = {"output": str(output), "episodes": episodes, "seed": seed, "speed": speed}
    values |= {"width": width, "height": height, "over_training": over_training}
    config = make_config(RenderConfig, values)
    path = check_output(output, *KINDS)
    if isinstance(run, list | tuple):
        if over_training:
            raise UsageError(f"`over_training`: shows one run, and {len(run)} are given")
        return _grid(run, config, path, latest, at, env, trust)
    assert not isinstance(run, Sequence) or isinstance(run, str)
    if over_training and isinstance(run, Policy):
        raise UsageError("`over_training`: a policy has no tape, give its run")
    with policy_in_env(run, latest, at, env, trust) as resolved:
        moments = []
        if over_training:
            folder = str(folder_of(run))
            moments = training_moments(folder, trust=trust, latest=latest, at=at)
        open_env = partial(acting, resolved, config.seed, warn=warn)
        return record(open_env, config, path, moments=moments).path


def _grid(
    runs: Sequence[Any],
    config: RenderConfig,
    path: Path,
    latest: bool,
    at: int | None,
    env: str | GivenEnv | None,
    trust: bool,
) -> Path:
    """Write a film of several policies, side by side."""
    from ars.rendering.grid import Shown, captions, record_grid, same_episodes

    config = same_episodes(config)
    with ExitStack() as opened:
        shown = []
        names = captions([str(folder_of(run)) for run in runs], path)
        for one, caption in zip(runs, names, strict=True):
            resolved = opened.enter_context(policy_in_env(one, latest, at, env, trust))
            shown.append(Shown(caption, partial(acting, resolved, config.seed, warn=warn)))
        return record_grid(shown, config, path).path


def verify(
    run: str | Path | Run,
    share: float = 0.01,
    iterations: int | None = None,
    seed: int | None = None,
    n_workers: int | str = 0,
    *,
    trust: bool = False,
) -> Verification:
    """Verify a run with a tape: check its tape, rebuild every policy, replay iterations.

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

    >>> from ars.api import train
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
