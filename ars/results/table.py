"""A table that compares groups of runs: median, interquartile mean, interval, improvement."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ars.common.errors import UsageError
from ars.common.words import digits
from ars.results.aggregates import (
    Array,
    improvement_interval,
    interquartile_interval,
    interquartile_mean,
    probability_of_improvement,
)
from ars.results.curves import Group, named
from ars.results.stored_run import Notify


@dataclass(frozen=True)
class GroupScore:
    """A row of the table: runs that differ in their seed alone.

    Attributes:
        env_id: the environment.
        label: what tells the runs from the others.
        n_runs: how many.
        timesteps: fewest and most timesteps of a run.
        median: of the runs' returns.
        iqm: their interquartile mean.
        interval: its 95 % bootstrap interval; None for one run.
        baseline: the label of the first row in this environment; None in that row.
        improvement: probability that a run scores higher than one of the baseline.
        improvement_interval: its interval.
    """

    env_id: str
    label: str
    n_runs: int
    timesteps: tuple[int, int]
    median: float
    iqm: float
    interval: tuple[float, float] | None
    baseline: str | None = None
    improvement: float | None = None
    improvement_interval: tuple[float, float] | None = None


def group_scores(groups: Sequence[Group], notify: Notify) -> list[GroupScore]:
    """The rows of groups of runs.

    A run's score is the mean return of its final evaluation, or for all of them that of the last
    scheduled evaluation if one has not ended.

    Raises:
        UsageError: no run has a score.
        FileError: a log of a run that was named is damaged.
    """
    open_ended = [run for group in groups for run in group.runs if run.final_return is None]
    final = not open_ended
    if open_ended:
        notify(
            "scores are the last scheduled evaluations, for there are runs that have not ended: "
            f"{named(open_ended)}"
        )
    else:
        notify("scores are final evaluations: the best policy of each run on new episodes")
    rows: list[GroupScore] = []
    baselines: dict[str, tuple[str, Array]] = {}
    for group in groups:
        scored = []
        for run in group.runs:
            if final:
                scored.append((run.final_return, run.timesteps))
                continue
            with run.left_out_if_damaged(notify):
                curve = run.curve("timesteps", False, notify)
                if curve.x.size:
                    scored.append((float(curve.y[-1]), int(curve.x[-1])))
                else:
                    notify(f"left out: {run.place}: has no evaluation yet")
        if not scored:
            continue
        scores = np.array([score for score, _ in scored])
        steps = [steps for _, steps in scored if steps is not None]
        baseline = baselines.setdefault(group.env_id, (group.label, scores))
        rows.append(_row(group, scores, (min(steps), max(steps)), baseline))
    if not rows:
        raise UsageError("`run`: none has an evaluation yet")
    return rows


def _row(
    group: Group, scores: Array, timesteps: tuple[int, int], baseline: tuple[str, Array]
) -> GroupScore:
    row = GroupScore(
        group.env_id,
        group.label,
        len(scores),
        timesteps,
        float(np.median(scores)),
        float(interquartile_mean(scores)),
        _pair(interquartile_interval(scores)),
    )
    label, theirs = baseline
    if label == group.label:
        return row
    return GroupScore(
        **asdict(row)
        | {
            "baseline": label,
            "improvement": float(probability_of_improvement(scores, theirs)),
            "improvement_interval": _pair(improvement_interval(scores, theirs)),
        }
    )


def _pair(interval: Array | None) -> tuple[float, float] | None:
    return None if interval is None else (float(interval[0]), float(interval[1]))


def _cells(row: GroupScore) -> list[str]:
    low, high = row.timesteps
    return [
        row.label,
        f"{row.n_runs:,}",
        f"{low:,}" if low == high else f"{low:,} to {high:,}",
        digits(row.median),
        digits(row.iqm),
        "" if row.interval is None else " to ".join(map(digits, row.interval)),
        _improvement(row),
    ]


def _improvement(row: GroupScore) -> str:
    if row.improvement is None:
        return ""
    if row.improvement_interval is None:
        return f"{row.improvement:.2f}"
    low, high = row.improvement_interval
    return f"{row.improvement:.2f} ({low:.2f} to {high:.2f})"


def _heads(baseline: str) -> list[str]:
    names = ["runs", "timesteps", "median", "IQM", "95 % interval", f"P(better than {baseline})"]
    return ["", *names]


def by_env(rows: Sequence[GroupScore]) -> dict[str, list[GroupScore]]:
    """The rows of each environment."""
    found: dict[str, list[GroupScore]] = {}
    for row in rows:
        found.setdefault(row.env_id, []).append(row)
    return found


def grid(rows: Sequence[GroupScore]) -> list[list[str]]:
    """Heads and cells of one environment's rows; without the last column where there is one row."""
    lines = [_heads(rows[0].label), *map(_cells, rows)]
    return lines if len(rows) > 1 else [cells[:-1] for cells in lines]


def _text(rows: Sequence[GroupScore]) -> str:
    parts = []
    for env_id, ours in by_env(rows).items():
        cells_of = grid(ours)
        cells_of[0][0] = env_id
        widths = [max(map(len, column)) for column in zip(*cells_of, strict=True)]
        for first, *rest in cells_of:
            cells = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
            parts.append("  ".join((f"{first:<{widths[0]}}", *cells)).rstrip())
        parts.append("")
    return "\n".join(parts[:-1])


def _markdown(rows: Sequence[GroupScore]) -> str:
    parts = []
    for env_id, ours in by_env(rows).items():
        heads, *body = grid(ours)
        heads[0] = env_id
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *body]
        lines = [[cell.replace("|", r"\|") for cell in line] for line in lines]
        parts += [f"| {' | '.join(line)} |" for line in lines]
        parts.append("")
    return "\n".join(parts[:-1])


def _latex(rows: Sequence[GroupScore]) -> str:
    """Tables for LaTeX's package booktabs."""
    parts = []
    for env_id, ours in by_env(rows).items():
        heads, *body = [[_in_latex(cell) for cell in line] for line in grid(ours)]
        heads[0] = _in_latex(env_id)
        parts += [
            rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"\toprule",
            rf"{' & '.join(heads)} \\",
            r"\midrule",
            *(rf"{' & '.join(line)} \\" for line in body),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    return "\n".join(parts[:-1])


def _in_latex(text: str) -> str:
    text = "".join(_LATEX.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", text)  # a minus, not a hyphen


_LATEX = {sign: f"\\{sign}" for sign in "%&_#${}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
}


def _csv(rows: Sequence[GroupScore]) -> str:
    """One table for all environments, of plain numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    pairs = {
        "timesteps": ("timesteps_min", "timesteps_max"),
        "interval": ("iqm_low", "iqm_high"),
        "improvement_interval": ("improvement_low", "improvement_high"),
    }
    names = list(asdict(rows[0]))
    writer.writerow([head for name in names for head in pairs.get(name, (name,))])
    for row in rows:
        cells: list[Any] = []
        for name, value in asdict(row).items():
            cells += (value or (None, None)) if name in pairs else (value,)
        writer.writerow(cells)
    return text.getvalue().rstrip("\n")


FORMATS: Mapping[str, Callable[[Sequence[GroupScore]], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
}
