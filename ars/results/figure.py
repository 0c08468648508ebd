"""A figure of learning curves: a panel an environment, a line a group of runs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ars.results import style
from ars.results.curves import Line
from ars.results.stored_run import Notify
from envs.published import Published, published_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches. One panel fits a column of a paper with two, several its page.
_COLUMN, _PAGE, _HEIGHT, _LEGEND_ROW = 3.4, 6.9, 2.35, 0.15
_MOST_COLUMNS = 3
_CHARACTER, _HANDLE = 0.056, 0.48  # width of a letter in the legend, and of what stands before it
_LABEL_GAP = 8.0  # points between labels of reference lines


def draw(lines: Sequence[Line], x: str, training: bool, reference: bool, notify: Notify) -> Figure:
    """Draw lines, within `style.print_style`.

    Args:
        lines: those of `lines_of`, at least one.
        x: what they run over.
        training: whether they are of training's own episodes.
        reference: draw a line for each published return.
        notify: told where there are none.
    """
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(line.group.env_id for line in lines))
    names = list(dict.fromkeys(line.group.label for line in lines))
    columns = min(len(panels), _MOST_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    width = _COLUMN if columns == 1 else _PAGE
    texts = [_legend_text(name, lines, width) for name in names]
    widest = max(len(part) for text in texts for part in text.splitlines())
    legend_columns = max(1, min(len(names), int(width / (widest * _CHARACTER + _HANDLE))))
    legend_rows = sum(
        max(text.count("\n") + 1 for text in texts[at::legend_columns] or ["", ""])
        for at in range(math.ceil(len(texts) / legend_columns))
    )
    height = rows * _HEIGHT + legend_rows * _LEGEND_ROW
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, squeeze=False)
    marks = {}
    for at, env_id in enumerate(panels):
        axes = grid[at // columns, at % columns]
        for line in lines:
            if line.group.env_id == env_id:
                number = names.index(line.group.label)
                marks[line.group.label] = _draw_line(axes, line, number, _unit(x, lines)[0])
        axes.set_title(textwrap.fill(env_id, int(0.55 * width / columns / _CHARACTER)))
        _label_axes(axes, lines, x, training, at % columns == 0)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    figure.legend(
        [marks[name] for name in names], texts, loc="outside lower center", ncols=legend_columns
    )
    if reference:
        for at, env_id in enumerate(panels):
            _draw_published(grid[at // columns, at % columns], env_id, notify)
        figure.draw_without_rendering()  # which decides how high the panels are
        for axes in grid.flat[: len(panels)]:
            _spread(axes)
    return figure


def _legend_text(name: str, lines: Sequence[Line], width: float) -> str:
    runs = [line.group.runs for line in lines if line.group.label == name]
    counts = sorted({len(members) for members in runs})
    if counts == [1]:
        seeds = {members[0].seed for members in runs}
        text = f"{name} (seed {seeds.pop()})" if len(seeds) == 1 else f"{name} (1 seed)"
    else:
        text = f"{name} ({' to '.join(map(str, (counts[:1] + counts[1:][-1:])))} seeds)"
    letters = int((width - _HANDLE - 0.2) / _CHARACTER)
    return "\n".join(textwrap.wrap(text, letters, subsequent_indent="  "))


def _unit(x: str, lines: Sequence[Line]) -> tuple[float, str]:
    """What the places on the x axis are divided by, and its label."""
    if x != "time":
        return 1.0, {"timesteps": "timesteps", "episodes": "training episodes"}[x]
    longest = max(float(line.x[-1]) for line in lines)
    for seconds, unit in ((3600.0, "h"), (60.0, "min")):
        if longest >= 2 * seconds:
            return seconds, f"training time ({unit})"
    return 1.0, "training time (s)"


def _draw_line(axes: Axes, line: Line, number: int, unit: float) -> Any:
    """Draw a line and its band; returns what stands for it in the legend."""
    color = style.COLORS[number % len(style.COLORS)]
    looks: Mapping[str, Any] = {
        "color": color,
        "linestyle": style.DASHES[number % len(style.DASHES)],
        "solid_capstyle": "round",
        "zorder": 3,
    }
    x = line.x / unit
    if line.band is not None:
        axes.fill_between(x, *line.band, color=color, alpha=0.18, linewidth=0, zorder=2)
    whole = line.n_runs == len(line.group.runs)
    if not whole.all():
        axes.plot(x, np.where(_or_neighbour(~whole), line.middle, np.nan), linewidth=0.6, **looks)
    [mark] = axes.plot(
        x,
        np.where(whole, line.middle, np.nan),
        marker="o" if whole.sum() == 1 else None,
        markersize=3,
        **looks,
    )
    return mark


def _or_neighbour(where: Any) -> Any:
    """Places that are chosen or next to one, so that a line goes on where it changes."""
    wide = where.copy()
    wide[:-1] |= where[1:]
    wide[1:] |= where[:-1]
    return wide


def _label_axes(axes: Axes, lines: Sequence[Line], x: str, training: bool, leftmost: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(_unit(x, lines)[1])
    if leftmost:
        several = any(line.band is not None for line in lines)
        kind = "training return" if training else "evaluation return"
        axes.set_ylabel(f"{kind} (IQM)" if several else kind)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, position: style.compact(value))
    axes.yaxis.set_major_formatter(lambda value, position: style.thousands(value))


def _draw_published(axes: Axes, env_id: str, notify: Notify) -> None:
    name, figures = published_for(env_id)
    if not figures:
        notify(f"{env_id}: no published returns are known")
        return
    version = ""
    if name.removesuffix("-v0") not in env_id:
        version = f" ({name.rpartition('-')[2]})"
        notify(f"{env_id}: its reference lines are those published for {name}")
    for entry in figures:
        axes.axhline(entry.return_mean, color=style.GREY, linewidth=0.6, linestyle=(0, (5, 3)))
        axes.annotate(
            _published_text(entry) + version,
            (1.0, entry.return_mean),
            (4.0, 0.0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=6,
            color=style.GREY,
            annotation_clip=False,
        )


def _published_text(entry: Published) -> str:
    return (
        f"{entry.algorithm} {style.compact(entry.timesteps)}: {style.thousands(entry.return_mean)}"
    )


def _spread(axes: Axes) -> None:
    """Move the labels of reference lines apart that lie on each other."""
    from matplotlib.text import Annotation

    labels = [child for child in axes.get_children() if isinstance(child, Annotation)]
    labels.sort(key=lambda label: label.xy[1])
    points = axes.get_window_extent().height / axes.figure.dpi * 72
    low, high = axes.get_ylim()
    wanted = [points * (label.xy[1] - low) / (high - low) for label in labels]
    placed = _apart(wanted, _LABEL_GAP)
    for label, at, shifted in zip(labels, wanted, placed, strict=True):
        label.set_position((4.0, shifted - at))


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Rising places moved as little as it takes for a gap between each two: blocks are centred."""
    blocks: list[list[float]] = []  # the wanted places in each
    for place in places:
        blocks.append([place])
        while len(blocks) > 1 and _start(blocks[-2], gap) + gap * len(blocks[-2]) > _start(
            blocks[-1], gap
        ):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return [_start(block, gap) + gap * index for block in blocks for index in range(len(block))]


def _start(block: Sequence[float], gap: float) -> float:
    """Where the first of a block is, for its mean to be that of the wanted places."""
    return sum(block) / len(block) - gap * (len(block) - 1) / 2
