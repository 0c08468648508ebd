"""A figure of a search for settings: the value of each trial, and which settings matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ars.results import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMN, _PAGE, _HEIGHT = 3.4, 6.9, 2.6  # inches
_MOST_BARS = 12
# A trial that went very wrong would leave no room for the others: the axis ends this many times the
# distance of the middle one from the best below the best.
_ROOM = 3.0


def draw_search(
    title: str,
    complete: Mapping[int, float],
    pruned: Mapping[int, float],
    importances: Mapping[str, float],
) -> Figure:
    """Draw a search, within `style.print_style`.

    Args:
        title: of the figure.
        complete: values of complete trials by their number, at least one.
        pruned: values at which trials were ended, by their number.
        importances: of settings, the most important first; none leaves their panel out.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_PAGE if importances else _COLUMN, _HEIGHT))
    axes = figure.subplots(1, 2 if importances else 1, squeeze=False)[0]
    _draw_history(axes[0], complete, pruned)
    figure.suptitle(title, fontsize=8)
    if importances:
        _draw_importances(axes[1], importances)
    return figure


def _draw_history(axes: Axes, complete: Mapping[int, float], pruned: Mapping[int, float]) -> None:
    from matplotlib.ticker import MaxNLocator

    early: dict[str, Any] = {"color": style.GREY, "linewidths": 0.8, "label": "ended early"}
    if pruned:
        axes.scatter(list(pruned), list(pruned.values()), s=9, marker="x", **early)
    done: dict[str, Any] = {"color": style.COLORS[0], "label": "complete", "zorder": 3}
    axes.scatter(list(complete), list(complete.values()), s=12, **done)
    numbers = np.array(sorted(complete))
    best = np.maximum.accumulate([complete[number] for number in numbers])
    last = max([*complete, *pruned])
    axes.step(
        [*numbers, last],
        [*best, best[-1]],
        where="post",
        color=style.COLORS[1],
        label="best so far",
    )
    values = np.array([*complete.values(), *pruned.values()])
    top, middle = values.max(), np.median(values)
    if top > middle and (lowest := top - _ROOM * (top - middle)) > values.min():
        below = int((values < lowest).sum())
        axes.set_ylim(bottom=lowest)
        axes.set_xlabel(f"trial ({below} below this panel)" if below else "trial")
    else:
        axes.set_xlabel("trial")
    axes.set_ylabel("evaluation return")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(lambda value, position: style.thousands(value))
    axes.legend(loc="best")


def _draw_importances(axes: Axes, importances: Mapping[str, float]) -> None:
    names = list(importances)[:_MOST_BARS]
    axes.barh(range(len(names)), [importances[name] for name in names], color=style.COLORS[2])
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("importance")
