"""What `ars plot` and `ars.api` do: a figure or a table of runs, a figure of a linear policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ars.common.errors import RolloutError, RunError, UsageError
from ars.common.output import replacing
from ars.common.settings import counted
from ars.results import style
from ars.results.curves import Line, grouped, lines_of
from ars.results.plot_config import PlotConfig
from ars.results.stored_run import Notify, find_runs
from ars.results.table import GroupScore, group_scores
from ars.training.run_folder import ResolvedPolicy
from envs import UnknownEnvironment, WrongOptions
from policies import FileError

Words = Sequence[str | Path]

# What may go wrong with an environment, or a file from elsewhere, where the rest is shown anyway.
FAILURES = (RunError, RolloutError, UsageError, UnknownEnvironment, WrongOptions, FileError)

# What `weights` cannot do with a table, which is of no input and on no tape.
_OF_LINEAR_POLICIES = ("episodes", "each_weight", "at")


def compare_runs(words: Words, notify: Notify) -> list[GroupScore]:
    """The rows of a table that compares runs.

    Args:
        words: run folders, or folders with run folders somewhere below.
        notify: told what is compared and what is left out.

    Raises:
        UsageError: there is no such run, or none that was evaluated.
        FileError: the files of a run that was named are damaged.
    """
    return group_scores(grouped(find_runs(words, notify), notify), notify)


def plot_curves(words: Words, config: PlotConfig, output: Path, notify: Notify) -> list[Line]:
    """Write a figure of learning curves.

    Args:
        words: as for `compare_runs`.
        config: what to draw.
        output: the file, with one of `style.FORMATS`.
        notify: told what is left out, ends early or stands for what.

    Returns:
        The lines that were drawn.

    Raises:
        UsageError: there is no such run, none has a curve, or the file cannot be written.
        FileError: the files of a run that was named are damaged.
    """
    from ars.results.figure import draw

    groups = grouped(find_runs(words, notify), notify)
    lines = lines_of(groups, config.x, config.training, notify)
    if not lines:
        raise UsageError(f"`run` {' '.join(map(str, words))}: nothing to draw")
    with replacing(output) as temporary, style.print_style():
        figure = draw(lines, config.x, config.training, config.reference, notify)
        style.write(figure, temporary, output.suffix)
    return lines


def plot_tables(words: Words, config: PlotConfig, output: Path, trust: bool = False) -> list[str]:
    """Write a figure of the latest tables of runs, side by side, if all of them have one.

    Args:
        words: run folders, or policy files.
        config: what was asked for.
        output: the file, with one of `style.FORMATS`.
        trust: import the module that a file from elsewhere names.

    Returns:
        Lines that describe the policies; none where nothing was drawn.

    Raises:
        UsageError: a table is too large, something was asked for that is of linear policies alone,
            or the file cannot be written.
        FileError: a file is damaged.
    """
    from ars.results.policy_table import draw_tables, is_table, policy_table
    from ars.training.trust import check_trust

    found = _policies_of(words, trust)
    if not found or not all(map(is_table, found)):
        return []
    for name in _OF_LINEAR_POLICIES:
        if (value := getattr(config, name)) != getattr(PlotConfig, name):
            shown = "" if value is True else f" {value}"
            raise UsageError(f"`{name}`{shown}: has no meaning for a table of values")
    for one in found:
        check_trust(one.path, one.file.env_id, one.file.env_kwargs, trust)
    tables = [
        replace(table, title="\n".join([table.title, *name]))
        for table, name in zip(map(policy_table, found), _told_apart(words), strict=True)
    ]
    with replacing(output) as temporary, style.print_style():
        style.write(draw_tables(tables), temporary, output.suffix)
    return [one.description for one in found]


def plot_policies(words: Words, output: Path, notify: Notify, trust: bool = False) -> list[str]:
    """Write a figure of what runs have learned, if their world can be shown.

    That is their tables, or their trajectories in a world that is seen from above. Nobody asked
    for it: where it fails, that is said. Arguments and returns as for `plot_tables`; `notify` is
    told what is special of the episodes, and why nothing is drawn.
    """
    try:
        return _plot_policies(words, output, notify, trust)
    except FAILURES as error:
        notify(f"{output} is not drawn: {error}")
        return []


def _plot_policies(words: Words, output: Path, notify: Notify, trust: bool) -> list[str]:
    if described := plot_tables(words, PlotConfig(), output, trust):
        return described
    found = _policies_of(words, trust, latest=False)
    if not found:
        return []
    from ars.results import trajectories

    if not all(trajectories.is_seen_from_above(one, trust) for one in found):
        return []
    seed = None if len(found) == 1 else 0  # several are drawn in the same episodes
    episodes = trajectories.ALONE if len(found) == 1 else trajectories.BESIDE_OTHERS
    played = [
        replace(way, title=", ".join([way.title, *name]))
        for one, name in zip(found, _told_apart(words), strict=True)
        for way in trajectories.play(one, episodes, seed, notify)
    ]
    with replacing(output) as temporary, style.print_style():
        style.write(trajectories.draw_trajectories(played), temporary, output.suffix)
    return [one.description for one in found]


def _told_apart(words: Words) -> list[list[str]]:
    """Of several policies, the name of each, to be added to its title."""
    from ars.rendering.grid import captions

    names = captions([str(word) for word in words])
    return [[name] if len(names) > 1 else [] for name in names]


def _policies_of(words: Words, trust: bool, latest: bool = True) -> list[ResolvedPolicy]:
    """The policies of a few runs; none where there are more, or one of them is no such run.

    `latest`: of run folders, the latest policies instead of the best.
    """
    from ars.results.policy_table import MOST_PANELS
    from ars.training.rebuild import chosen_policy

    if not 1 <= len(words) <= MOST_PANELS:
        return []
    try:
        return [
            chosen_policy(str(word), latest=latest and Path(word).is_dir(), trust=trust)
            for word in words
        ]
    except UsageError:  # a folder of runs, or a run without a policy yet
        return []


def plot_weights(
    resolved: ResolvedPolicy,
    config: PlotConfig,
    output: Path,
    notify: Notify,
    trust: bool = False,
    on_evaluation: Callable[[int], None] = lambda total: None,
) -> list[str]:
    """Write a figure of a linear policy's weights, and of what it loses without each input.

    Args:
        resolved: the policy.
        config: what to draw.
        output: the file, with one of `style.FORMATS`.
        notify: told what is not as expected of the environment.
        trust: import the module that a file from elsewhere names.
        on_evaluation: called after the episodes with each thing switched off, with how many such
            there will be.

    Returns:
        Lines to say: which policy it is, and which inputs carry it.

    Raises:
        UsageError: the policy is not linear, or the file cannot be written.
        RunError, RolloutError: an episode fails or is not finite.
    """
    from ars.results.heat_map import draw_weights
    from ars.results.linear import carriers, find_losses, linear_weights
    from ars.training.trust import check_trust

    weights = linear_weights(resolved)
    with replacing(output) as temporary, style.print_style():
        losses = None
        if config.episodes:
            check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, trust)
            losses = find_losses(
                resolved, weights, config.episodes, config.each_weight, notify, on_evaluation
            )
        style.write(draw_weights(weights, losses), temporary, output.suffix)
    return [resolved.description, *([] if losses is None else [carriers(weights, losses)])]


def summary(lines: Sequence[Line]) -> str:
    """`2 lines of 10 runs`, and what a caption says of them."""
    n_runs = sum(len(line.group.runs) for line in lines)
    text = f"{counted(len(lines), 'line')} of {counted(n_runs, 'run')}"
    if any(line.band is not None for line in lines):
        text += "; lines are interquartile means over seeds, bands 95 % stratified bootstrap "
        text += "intervals"
    return text
