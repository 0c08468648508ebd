"""Lines of a figure: the curves of runs that differ in their seed alone become one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ars.common.settings import counted
from ars.common.words import duration
from ars.results.aggregates import Array, interquartile_interval, interquartile_mean
from ars.results.settings_in_words import key, labels, settings_of
from ars.results.stored_run import Curve, Notify, StoredRun
from ars.training.run_folder import PROGRESS

# Of a line over several runs that were not evaluated at the same places; more than a column of a
# paper has room for.
MOST_POINTS = 200


class Group(NamedTuple):
    """Runs in one environment that differ in their seed alone, and what tells them from others."""

    env_id: str
    label: str
    runs: list[StoredRun]


class Line(NamedTuple):
    """A line of a figure.

    Attributes:
        group: whose it is; only the runs that have a curve.
        x: where, rising: float64 [n].
        middle: interquartile mean over the runs, or the return of the only one: float64 [n].
        band: its interval, float64 [2, n], NaN where one run is left; None for one run.
        n_runs: over how many runs each point is, falling where some end earlier: int64 [n].
        step: the longest between two evaluations of a run.
    """

    group: Group
    x: Array
    middle: Array
    band: Array | None
    n_runs: Array
    step: float


def grouped(runs: Iterable[StoredRun], notify: Notify) -> list[Group]:
    """Groups of runs that differ in their seed alone, in the order in which they were found."""
    by_env: dict[str, dict[str, list[StoredRun]]] = {}
    for run in runs:
        same = by_env.setdefault(run.env_id, {}).setdefault(key(settings_of(run)), [])
        twins = [other for other in same if other.seed == run.seed]
        if twins:  # it would count twice, and make the interval too narrow
            kept, dropped = sorted((twins[0], run), key=_length, reverse=True)
            same[same.index(twins[0])] = kept
            notify(f"left out: {dropped.place}: has the settings and the seed of {kept.place}")
        else:
            same.append(run)
    found = []
    for env_id, groups in by_env.items():
        names = labels([settings_of(members[0]) for members in groups.values()])
        for (text, in_full), members in zip(names, groups.values(), strict=True):
            found.append(Group(env_id, text, sorted(members, key=lambda run: run.seed)))
            if in_full is not None:
                notify(f"{env_id}: {text} stands for {in_full}")
    return found


def _length(run: StoredRun) -> int:
    path = run.folder / PROGRESS
    return path.stat().st_size if path.is_file() else 0


def named(runs: Sequence[StoredRun]) -> str:
    """The first of several runs, and how many others there are."""
    others = f" and {counted(len(runs) - 1, 'other run')}" if runs[1:] else ""
    return f"{runs[0].place}{others}"


def lines_of(groups: Sequence[Group], x: str, training: bool, notify: Notify) -> list[Line]:
    """The lines of groups of runs.

    Args:
        groups: those of `grouped`.
        x: what they run over, one of `ars.results.stored_run.AXES`.
        training: mean returns of training's own episodes instead of evaluations.
        notify: told which runs have no curve or a damaged one, are not finished or end before
            others.

    Raises:
        FileError: a log of a run that was named is damaged.
    """
    found = []
    open_ended = [run for group in groups for run in group.runs if run.final_return is None]
    if open_ended:
        notify(f"not ended, and drawn as far as it is: {named(open_ended)}")
    for group in groups:
        members, curves = [], []
        for run in group.runs:
            if training and not run.plays:
                notify(f"left out: {run.place}: {run.algo} plays no episodes in training")
                continue
            with run.left_out_if_damaged(notify):
                curve = run.curve(x, training, notify)
                if not curve.x.size:
                    row = "iteration" if training else "evaluation"
                    notify(f"left out: {run.place}: has no {row} yet")
                    continue
                members.append(run)
                curves.append(curve)
        if curves:
            found.append(_line(group._replace(runs=members), curves, x, notify))
    _tell_shorter(found, x, notify)
    return found


def _line(group: Group, curves: Sequence[Curve], along: str, notify: Notify) -> Line:
    if len(curves) == 1:
        [(x, y)] = curves
        return Line(group, x, y, None, np.ones(len(x), np.int64), _step(x))
    x = np.unique(np.concatenate([curve.x for curve in curves]))
    # The last evaluation counts until the next would have been due, so that runs with the same
    # number of timesteps end together although their iterations differ.
    ends = [float(curve.x[-1]) + _due(_step(curve.x), x[-1]) for curve in curves]
    short = sorted(
        float(curve.x[-1]) for curve, end in zip(curves, ends, strict=True) if end < x[-1]
    )
    if short:
        notify(
            f"{group.env_id}, {group.label}: {len(short)} of {counted(len(curves), 'run')} end "
            f"before the longest, at {_places(short, along)}; beyond, the line is thin, of those "
            "left"
        )
    if len(x) > MOST_POINTS:
        x = np.linspace(x[0], x[-1], MOST_POINTS)
    values = np.array([np.interp(x, curve.x, curve.y, left=np.nan) for curve in curves])
    for row, end in zip(values, ends, strict=True):
        row[x > end] = np.nan
    taking_part = np.isfinite(values)
    middle, band = np.full(len(x), np.nan), np.full((2, len(x)), np.nan)
    for members in np.unique(taking_part, axis=1).T:
        where = (taking_part == members[:, None]).all(axis=0)
        scores = values[np.ix_(members, where)]
        middle[where] = interquartile_mean(scores)
        if (interval := interquartile_interval(scores)) is not None:
            band[:, where] = interval
    step = max(_step(curve.x) for curve in curves)
    return Line(group, x, middle, band, taking_part.sum(axis=0), step)


def _tell_shorter(lines: Sequence[Line], x: str, notify: Notify) -> None:
    """Say where lines in one environment end, if some end before others."""
    for env_id in dict.fromkeys(line.group.env_id for line in lines):
        ours = [line for line in lines if line.group.env_id == env_id]
        longest = max(float(line.x[-1]) for line in ours)
        if any(line.x[-1] + _due(line.step, longest) < longest for line in ours):
            ends = "; ".join(f"{line.group.label}: {_places([line.x[-1]], x)}" for line in ours)
            notify(f"{env_id}: lines of different lengths, each drawn to its end ({ends})")


def _step(x: Array) -> float:
    return float(np.diff(x).max(initial=0.0))


def _due(step: float, longest: float) -> float:
    """By how much a curve may end before the longest one without a word.

    Its longest step between evaluations, or what nobody could see.
    """
    return max(step, 0.01 * longest)


def _places(ends: Sequence[float], x: str) -> str:
    """`60,512, 61,355 timesteps`, `2 min 05 s`."""
    shown = [duration(end) if x == "time" else f"{end:,.0f}" for end in ends]
    return ", ".join(dict.fromkeys(shown)) + ("" if x == "time" else f" {x}")
