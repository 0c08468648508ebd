"""A figure of a linear policy: its weights as a heat map, beside what it loses without each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ars.common.settings import counted
from ars.common.words import digits
from ars.results import style
from ars.results.aggregates import Array
from ars.results.linear import LinearWeights, Losses

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_ROW, _CELL, _LEAST_MAP, _BARS, _GAP = 0.14, 0.2, 1.4, 1.6, 0.28
_TITLE, _BELOW, _SCALE, _EDGE = 0.26, 0.76, 0.07, 0.06


def draw_weights(weights: LinearWeights, losses: Losses | None) -> Figure:
    """Draw a linear policy, within `style.print_style`.

    Args:
        weights: its weights.
        losses: what it loses without each input, drawn beside them; None for the weights alone.
    """
    from matplotlib.figure import Figure

    (inputs, outputs), matrix = weights.names, weights.matrix
    if weights.bias is not None:
        inputs, matrix = (*inputs, "bias"), np.column_stack((matrix, weights.bias))
    per = " per standard\ndeviation of the input" if weights.normalized else ""
    maps = [(matrix, f"weight{per}")]
    title = weights.env_id
    if losses is not None:
        title += f": return {digits(losses.return_mean)} ({counted(losses.episodes, 'episode')})"
        if losses.weights is not None:  # the bias stays on
            lost = np.full(matrix.shape, np.nan)
            lost[:, : losses.inputs.size] = losses.weights
            maps.append((lost, "loss in return\nwithout the weight"))

    map_width, map_height = max(len(outputs) * _CELL, _LEAST_MAP), len(inputs) * _ROW
    left, above = (max(map(style.text_width, names)) + 0.1 for names in (inputs, outputs))
    width = left + len(maps) * (map_width + _GAP) + (0.0 if losses is None else _BARS + _GAP)
    height = _TITLE + above + map_height + _BELOW
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")

    def place(x: float, y: float, w: float, h: float) -> Axes:
        return figure.add_axes((x / width, y / height, w / width, h / height))

    x = left
    for at, (values, label) in enumerate(maps):
        axes = place(x, _BELOW, map_width, map_height)
        axes.set_yticks(range(len(inputs)), inputs if at == 0 else [""] * len(inputs))
        _draw_map(axes, values, outputs, label, place(x, _BELOW - 0.14, map_width, _SCALE))
        x += map_width + _GAP
    if losses is not None:
        _draw_bars(place(x, _BELOW, _BARS, map_height), losses.inputs, len(inputs))
    figure.text(0.5, 1 - _EDGE / height, title, ha="center", va="top")
    return figure


def _draw_map(axes: Axes, matrix: Array, outputs: Sequence[str], label: str, scale: Axes) -> None:
    """Draw a matrix, float64 [n_out, n_in], with inputs downwards, and the scale of its colours."""
    from matplotlib.ticker import MaxNLocator

    largest = float(np.nanmax(np.abs(matrix), initial=0.0)) or 1.0
    image = axes.imshow(
        matrix.T,
        cmap="RdBu_r",  # told apart by the colour-blind, white where a weight is 0
        vmin=-largest,
        vmax=largest,
        aspect="auto",
        interpolation="none",
    )
    axes.set_xticks(range(len(outputs)), outputs, rotation=90)
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.figure.colorbar(image, cax=scale, orientation="horizontal").outline.set_linewidth(0.0)
    scale.grid(visible=False)
    scale.xaxis.set_major_locator(MaxNLocator(4, symmetric=True, steps=[1, 2, 2.5, 5, 10]))
    scale.xaxis.set_major_formatter(lambda value, position: style.compact(value))
    scale.set_xlabel(label)


def _draw_bars(axes: Axes, losses: Array, n_rows: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.barh(range(len(losses)), losses, color=style.COLORS[0], height=0.7, zorder=2)
    axes.axvline(0.0, color="black", linewidth=0.6)
    axes.set_ylim(n_rows - 0.5, -0.5)  # beside the rows of the maps
    axes.set_yticks(range(len(losses)), [""] * len(losses))
    axes.set_xlabel("loss in return\nwithout the input")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, position: style.compact(value))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
