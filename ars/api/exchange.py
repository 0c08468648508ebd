"""Policies for other programs and from other projects, and runs in one file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ars.api.warn import warn
from ars.common.output import free
from ars.common.settings import make_config
from ars.exporting.export import export_policy
from ars.exporting.settings import ExportConfig, chosen_format, default_output
from ars.reporting.sharing import share_run
from ars.training.finished import Run
from ars.training.given_env import wrapper_names
from ars.training.given_run import check_alone, folder_of, training_id
from ars.training.imports import import_file
from ars.training.rebuild import chosen_policy
from policies import Policy, PolicyFile


def export(
    run: str | Path | Run | Policy,
    format: str | None = None,
    output: str | Path | None = None,
    *,
    latest: bool = False,
    at: int | None = None,
    trust: bool = False,
) -> Path:
    """Write a policy in the format of another program, with test vectors beside it.

    Args:
        run: as for `evaluate`.
        format: "onnx", "torch", "npz" or "c"; None: what the ending of `output` says.
        output: the file; None: named after the environment, in the current folder.
        latest: as for `load`.
        at: as for `load`.
        trust: as for `load`.

    Returns:
        The path of the file.

    Raises:
        UsageError: arguments that cannot be used, or a policy that the format cannot hold.
        RunError: a program that the format needs is missing, or the result does not act as the
            policy; nothing is written then.
        FileError: the policy's file is damaged.

    >>> export("Hopper", output="hopper.npz").name
    'hopper.npz'
    """
    given = None if output is None else str(output)
    config = make_config(ExportConfig, {"format": format, "output": given})
    kind = chosen_format(config)
    if isinstance(run, Policy):
        check_alone(latest, at)
        file = PolicyFile(run, "")
    else:
        file = chosen_policy(str(folder_of(run)), latest, at, trust).file
    return export_policy(file, kind, Path(config.output or default_output(file.env_id, kind))).path


def share(run: str | Path | Run, output: str | Path | None = None, *, trust: bool = False) -> Path:
    """Write a run to one file that others can use: its policies, settings, result, tape, curves.

    Args:
        run: a run or its folder.
        output: the file, .zip; None: named after the run, in the current folder.
        trust: import the module that a run from elsewhere names, to draw a picture.

    Returns:
        The path of the file, which `load`, `evaluate`, `render` and `verify` take.

    Raises:
        UsageError: it is not a run folder or has no result yet, or the file cannot be written.
        FileError: a file of the run is damaged.
        RunError: the file cannot be written.

    >>> from ars.api import train
    >>> run = train("LQR", n_iterations=1, n_workers=0, verbose=False)
    >>> share(run).name
    'LQR-ars-s0.zip'
    """
    folder, given = Path(str(folder_of(run))), run.env if isinstance(run, Run) else None
    with nullcontext() if given is None else training_id(None, given, folder):
        done = share_run(folder, output, trust)
    if done.without_picture:
        warn(f"without a picture: {done.without_picture}")
    return done.path


def import_policy(
    path: str | Path,
    env: str,
    output: str | Path | None = None,
    *,
    statistics: str | Path | None = None,
    env_kwargs: dict[str, Any] | None = None,
    wrappers: Sequence[Any] = (),
) -> Path:
    """Make a policy file of a policy of Stable-Baselines3 or of the original ARS code.

    Nothing that is pickled in their files is run.

    Args:
        path: `lin_policy_plus.npz`, or the zip that `model.save` wrote.
        env: the environment that it acts in.
        output: the policy file; None: the name of `path`, in the current folder, numbered if taken.
        statistics: the file of `VecNormalize.save`, of a policy that was trained with it.
        env_kwargs: the environment's arguments.
        wrappers: around the environment, as `train` takes them.

    Returns:
        The path of the policy file.

    Raises:
        UsageError, UnknownEnvironment: arguments that cannot be used.
        FileError: a file is damaged, or of another kind.
        RunError: the environment cannot be made.
    """
    given = None if statistics is None else Path(statistics)
    # The original code names all its files alike.
    target = Path(output) if output is not None else free(f"{Path(path).stem}.safetensors")
    around = {"wrappers": wrapper_names(wrappers)} if wrappers else {}
    done = import_file(Path(path), env, {**(env_kwargs or {}), **around}, given, target)
    for warning in done.warnings:
        warn(warning)
    return done.path
