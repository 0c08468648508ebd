"""The tables of docs/results.md, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import gymnasium
import numpy as np

import envs
from ars.common.errors import RunError
from ars.results.aggregates import interquartile_interval, interquartile_mean
from ars.results.style import compact, thousands
from envs.published import published_for
from outcomes.rows import Measured

BEGIN, END = "<!-- from scripts/results.py -->", "<!-- to here -->"

_SUMMARY = (
    *("environment, `--algo`", "seeds", "steps", "median", "interquartile mean (95 % interval)"),
    *("worst seed", "metres", "minutes", "registered threshold"),
)
_PUBLISHED = "environment", "published by others (steps)"
_SINGLE = (
    *("environment, `--algo`", "return of seeds 0, 1, 2 …", "worst episode of each"),
    "metres of each",
)


class SeedGroup(NamedTuple):
    """The rows of an environment and algorithm, by seed, and how many are planned."""

    rows: Sequence[Measured]
    planned: int

    @property
    def name(self) -> str:
        """As the tables have it."""
        return f"`{self.rows[0].environment}`, `{self.rows[0].algorithm}`"


def tables(groups: Iterable[SeedGroup]) -> str:
    """Three tables: a line on each group, every seed of it, and what others publish."""
    groups = list(groups)
    environments = dict.fromkeys(group.rows[0].environment for group in groups)
    published = [[f"`{name}`", text] for name in environments if (text := _published(name))]
    lines = (_SUMMARY, map(_summary, groups)), (_SINGLE, map(_single, groups))
    return "\n\n".join(_table(*each) for each in (*lines, (_PUBLISHED, published)))


def _published(environment: str) -> str:
    return ", ".join(
        f"{algorithm} {thousands(figure)} ({compact(steps)})"
        for algorithm, figure, steps in published_for(environment)[1]
    )


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *lines))


def _summary(group: SeedGroup) -> list[str]:
    rows, environment = group.rows, group.rows[0].environment
    returns = np.array([row.return_mean for row in rows])
    middle, ends = _short(interquartile_mean(returns)), interquartile_interval(returns)
    if ends is not None:
        middle += f" ({' to '.join(map(_short, ends))})"
    metres = [row.metres for row in rows if row.metres is not None]
    flags = [row.flags for row in rows if row.flags is not None]
    return [
        group.name,
        str(len(rows)) if len(rows) >= group.planned else f"{len(rows)} of {group.planned}",
        compact(round(float(np.median([row.timesteps for row in rows])), -4)),
        _short(np.median(returns)),
        middle,
        _short(returns.min()),
        f"{np.median(metres):.1f}{_flags(np.median(flags) if flags else None)}" if metres else "",
        _minutes(float(np.median([row.minutes for row in rows]))),
        _reached(environment, returns.tolist()),
    ]


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f}" if minutes >= 10 else f"{minutes:.2g}"


def _reached(environment: str, returns: Sequence[float]) -> str:
    """The return that counts as solved, and how many seeds reach it."""
    threshold = gymnasium.spec(envs.resolve(environment)).reward_threshold
    if threshold is None:
        return ""
    return f"{threshold:,g}: {sum(found >= threshold for found in returns)} of {len(returns)}"


def _single(group: SeedGroup) -> list[str]:
    rows = group.rows
    from_zero = [row.seed for row in rows] == list(range(len(rows)))

    def each(cells: Sequence[str]) -> str:
        if not from_zero:  # which seeds they are has to be said
            cells = [f"{row.seed}: {cell}" for row, cell in zip(rows, cells, strict=True)]
        return ", ".join(cells)

    metres = [row.metres for row in rows]
    return [
        group.name,
        each([_short(row.return_mean, row.return_std) for row in rows]),
        each([_short(row.return_min) for row in rows]),
        "" if None in metres else each([f"{row.metres:.0f}{_flags(row.flags)}" for row in rows]),
    ]


def _flags(reached: float | None) -> str:
    """How many flags were reached, after the metres; nothing where there are none."""
    return "" if reached is None else f" ({reached:.1f} flags)"


def _short(number: float, deviation: float | None = None) -> str:
    """A return as a table has it: `1,508`, `17.1 ± 3.0`; never a zero with a sign."""
    decimals = 0 if abs(number) >= 100 else 1
    numbers = [number] if deviation is None else [number, deviation]
    text = " ± ".join(f"{round(each, decimals) + 0.0:,.{decimals}f}" for each in numbers)
    return text.replace("-", "\N{MINUS SIGN}")


def with_tables(page: str, tables: str) -> str:
    """A page with the tables between its marks. Raises: RunError if it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RunError(f"the page must have {BEGIN} and {END}, for the tables to stand between")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"
