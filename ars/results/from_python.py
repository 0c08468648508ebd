"""Figures and comparisons from Python; `ars.api` offers them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from ars.common.output import check_output
from ars.common.settings import make_config
from ars.results.plot_config import PlotConfig
from ars.results.table import GroupScore
from ars.training.finished import Run
from ars.training.given_env import GivenEnv
from ars.training.given_run import folder_of, policy_in_env
from ars.training.rebuild import chosen_policy

Given = str | Path | Run


def plot(
    *runs: Given | Sequence[Given],
    output: str | Path = "learning_curves.png",
    x: str = "timesteps",
    training: bool = False,
    reference: bool = False,
    verbose: bool = True,
) -> Path:
    """Write a figure of learning curves, with one line for runs that differ in their seed alone.

    A line over several runs is their interquartile mean with a bootstrap interval of 95 %.

    Args:
        *runs: runs, their folders, folders with run folders somewhere below, or lists of these.
        output: the file: .png, .svg or .pdf.
        x: what curves run over: `"timesteps"`, `"episodes"` or `"time"`.
        training: returns of training's own episodes instead of evaluations.
        reference: a line for each published return of the environment.
        verbose: print what is left out, ends early or has not ended.

    Returns:
        The path of the file.

    Raises:
        UsageError: there is no such run, none has a curve, or the file cannot be written.
        FileError: the files of a run that was named are damaged.

    >>> from ars.api import train
    >>> run = train("CartPole-v1", n_iterations=2, seed=6, n_workers=0, verbose=False)
    >>> plot(run, output="cartpole.svg", reference=True).name
    'cartpole.svg'
    """
    from ars.results import plotting, style

    values = {"x": x, "training": training, "reference": reference}
    config, path = make_config(PlotConfig, values), check_output(output, *style.FORMATS)
    plotting.plot_curves(
        [*map(folder_of, each_of(runs))], config, path, print if verbose else _ignore
    )
    return path


def compare(*runs: Given | Sequence[Given], verbose: bool = False) -> list[GroupScore]:
    """Compare runs: those that differ in their seed alone are one row.

    Args:
        *runs: as for `plot`.
        verbose: print what is compared and what is left out.

    Returns:
        Rows with `label`, `n_runs`, `median`, `iqm`, `interval`, `improvement` ...;
        `ars.results.table.FORMATS["latex"]` and its like turn them into a table.

    Raises:
        UsageError: there is no such run, or none was evaluated.
        FileError: the files of a run that was named are damaged.

    >>> from ars.api import train
    >>> run = train("CartPole-v1", n_iterations=2, seed=7, n_workers=0, verbose=False)
    >>> [(row.label, row.n_runs) for row in compare(run)]
    [('ARS', 1)]
    """
    from ars.results import plotting

    return plotting.compare_runs([*map(folder_of, each_of(runs))], print if verbose else _ignore)


def plot_weights(
    run: str | Path | Run,
    output: str | Path = "weights.png",
    episodes: int = 5,
    *,
    each_weight: bool = False,
    latest: bool = False,
    at: int | None = None,
    env: str | GivenEnv | None = None,
    trust: bool = False,
) -> Path:
    """Write a figure of a linear policy: its weights, and what it loses without each input.

    Args:
        run: as for `load`.
        output: the file: .png, .svg or .pdf.
        episodes: how many without each input; 0: the weights alone.
        each_weight: also what it loses without each weight, which takes longer.
        latest: as for `load`.
        at: as for `load`.
        env: as for `evaluate`.
        trust: as for `evaluate`.

    Returns:
        The path of the file.

    Raises:
        UsageError: there is no such policy, it is not linear, or the file cannot be written.
        RunError, RolloutError: the environment fails, or does not match the policy.
        FileError: the policy's file is damaged.

    >>> plot_weights("Hopper", "hopper.pdf", episodes=0).name
    'hopper.pdf'
    """
    from ars.results import plotting, style

    values = {"episodes": episodes, "each_weight": each_weight, "latest": latest, "at": at}
    config = make_config(PlotConfig, {**values, "weights": True})
    path = check_output(output, *style.FORMATS)
    warn = partial(warnings.warn, category=RuntimeWarning, stacklevel=2)
    if not config.episodes:  # nothing is played
        resolved = chosen_policy(str(folder_of(run)), latest, at, trust)
        plotting.plot_weights(resolved, config, path, warn)
        return path
    with policy_in_env(run, latest, at, env, trust) as resolved:
        # Whether the policy's file may name its modules has been checked.
        plotting.plot_weights(resolved, config, path, warn, trust=True)
    return path


def each_of(runs: Sequence[Given | Sequence[Given]]) -> list[Given]:
    """The runs that were given, also those in lists such as `train_seeds` returns."""
    found: list[Given] = []
    for given in runs:
        found += [given] if isinstance(given, str) or not isinstance(given, Iterable) else given
    return found


def _ignore(message: str) -> None:
    """Say nothing."""
