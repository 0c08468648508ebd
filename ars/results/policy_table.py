"""What a table of values looks like: a heat map of a grid, a graph, Blackjack's chart, or rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ars.common.errors import UsageError
from ars.common.host import close_env, make_env
from ars.common.words import digits
from ars.results import style
from ars.results.aggregates import Array
from ars.training.run_folder import ResolvedPolicy
from envs.tabular.layout import Graph, Grid, Hands, Layout, layout_of
from envs.tabular.model import Model, model_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS, MOST_PANELS = 60, 4
_PAGE = 9.0  # inches
_SEEN_BELOW = 0.55  # of the scale: text on darker cells is light
# Not black and white, which a dark page turns into each other: cells keep their colours there.
_ON_DARK, _ON_LIGHT = "#FCFCFC", "#141414"


@dataclass(frozen=True)
class PolicyTable:
    """A table of values, and where its states lie.

    Attributes:
        title: the environment and the algorithm, and which policy it is, of several.
        values: Q(s, a), float64 [n_states, n_actions].
        layout: of its world; None for rows.
        path: the states that the best actions lead through, in a world that leaves nothing to
            chance; empty elsewhere.
    """

    title: str
    values: Array
    layout: Layout | None
    path: Sequence[int]


def is_table(resolved: ResolvedPolicy) -> bool:
    """Whether a policy is a table."""
    return resolved.file.policy.spec.kind == "table"


def policy_table(resolved: ResolvedPolicy) -> PolicyTable:
    """The table of a policy. Raises: UsageError if it is too large to show; what `make` raises."""
    file, spec = resolved.file, resolved.file.policy.spec
    shape = spec.observation.size, spec.action.size
    values = file.policy.weights.reshape(shape)
    env = make_env(file.env_id, file.env_kwargs)
    try:
        layout, model = layout_of(env), model_of(env)
    finally:
        close_env(env, file.env_id)
    if layout is None and shape[0] > MOST_ROWS:
        raise UsageError(
            f"`run` {resolved.name}: a table of {shape[0]:,} states, of which no picture is known; "
            f"at most {MOST_ROWS} are shown as rows"
        )
    path = [] if model is None or model.draws else _path(values, model)
    return PolicyTable(f"{file.env_id}: {file.training.get('algo', '')}", values, layout, path)


def _path(values: Array, model: Model) -> list[int]:
    path, over = [int(np.argmax(model.starts))], False
    while not over and len(path) <= model.n_states:
        best = int(values[path[-1]].argmax())
        state, _, over = model.outcomes[path[-1]][best][0]
        path.append(state)
    return path


def draw_tables(tables: Sequence[PolicyTable]) -> Figure:
    """Draw tables side by side, within `style.print_style`."""
    from matplotlib.figure import Figure

    sizes = [_size(table) for table in tables]
    down = sum(width for width, _ in sizes) > _PAGE  # wide ones below each other
    widths, heights = zip(*sizes, strict=True)
    size = (max(widths), sum(heights)) if down else (sum(widths), max(heights))
    figure = Figure(figsize=size)
    grid = figure.subplots(len(tables) if down else 1, 1 if down else len(tables), squeeze=False)
    for axes, table in zip(grid.flat, tables, strict=True):
        axes.set_title(table.title)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks([])
        match table.layout:
            case Grid():
                _draw_grid(axes, table, table.layout)
            case Graph():
                _draw_graph(axes, table, table.layout)
            case Hands():
                _draw_hands(axes, table, table.layout)
            case None:
                _draw_rows(axes, table)
    return figure


def _size(table: PolicyTable) -> tuple[float, float]:
    """Width and height of a panel, in inches."""
    match table.layout:
        case Grid(shape=(rows, columns)):
            return max(2.6, 0.56 * columns), max(1.6, 0.56 * rows + 0.4)
        case Graph():
            return 4.2, 3.4
        case Hands():
            return 3.6, 5.0
    n_states, n_actions = table.values.shape
    return max(2.6, 0.5 * n_actions + 1.0), max(1.6, 0.13 * n_states + 0.7)


def _draw_grid(axes: Axes, table: PolicyTable, grid: Grid) -> None:
    """The value of each cell as its colour and number, the best action as an arrow."""
    best = table.values.max(axis=1)
    known = [s for s in range(len(best)) if s not in grid.marks]
    picture = np.full(grid.shape, np.nan)
    for s in known:
        picture[grid.cells[s]] = best[s]
    axes.set_facecolor("#8A8A90")  # a wall
    lowest, span = float(np.nanmin(picture)), float(np.nanmax(picture) - np.nanmin(picture))
    axes.imshow(picture, cmap="cividis", interpolation="none")
    for s, cell in enumerate(grid.cells):
        row, column = cell
        if s in grid.marks:
            axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color="#E6E6E6")
            axes.text(column, row, grid.marks[s], ha="center", va="center", fontsize=7,
                      color=_ON_LIGHT)  # fmt: skip
            continue
        ink = _ON_LIGHT if best[s] > lowest + _SEEN_BELOW * span else _ON_DARK
        axes.text(column, row + 0.36, digits(float(best[s])), ha="center", va="center",
                  fontsize=5, color=ink)  # fmt: skip
        if not np.ptp(table.values[s]) > 0:  # nothing is known, or nothing matters
            continue
        down, right = grid.moves[int(table.values[s].argmax())]
        axes.annotate(
            "",
            (column + 0.24 * right, row - 0.08 + 0.24 * down),
            (column - 0.24 * right, row - 0.08 - 0.24 * down),
            arrowprops={"arrowstyle": "-|>", "color": ink, "linewidth": 0.9, "shrinkA": 0,
                        "shrinkB": 0},
        )  # fmt: skip
    if table.path:
        rows, columns = zip(*(grid.cells[s] for s in table.path), strict=True)
        axes.plot(columns, rows, color=style.COLORS[1], linewidth=3, alpha=0.55, zorder=3)
    for edge in range(grid.shape[1] + 1):
        axes.axvline(edge - 0.5, color="white", linewidth=0.8)
    for edge in range(grid.shape[0] + 1):
        axes.axhline(edge - 0.5, color="white", linewidth=0.8)


def _draw_graph(axes: Axes, table: PolicyTable, graph: Graph) -> None:
    """States as discs, what may follow as arrows with the action's value; the best in colour."""
    best = table.values.argmax(axis=1)
    labels = []
    for s, a, n in graph.edges:
        (x0, y0), (x1, y1) = graph.places[s], graph.places[n]
        chosen = a == best[s] and np.ptp(table.values[s]) > 0
        color = style.COLORS[1] if chosen else "#9A9A9A"
        axes.annotate(
            "",
            (x1, y1),
            (x0, y0),
            arrowprops={"arrowstyle": "-|>", "color": color, "shrinkA": 14, "shrinkB": 14,
                        "linewidth": 1.6 if chosen else 0.8, "connectionstyle": "arc3,rad=0.16"},
        )  # fmt: skip
        # Beside the middle of the arrow, on the side to which it bends; y runs down.
        share = 0.42
        x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
        x, y = x - 0.12 * (y1 - y0), y + 0.12 * (x1 - x0)
        several = sum(one == s and other == n for one, _, other in graph.edges) > 1
        offset = 0.05 * (a - 0.5) if several else 0.0
        label = digits(float(table.values[s, a]))
        if several or len(graph.actions) < len(graph.places):
            label = f"{graph.actions[a]}: {label}"
        labels.append((x, y + offset, label, color))
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    for x, y, label, color in labels:  # on all arrows
        axes.text(x, y, label, ha="center", va="center", fontsize=6, color=color, bbox=paper)
    for s, (x, y) in enumerate(graph.places):
        axes.plot(x, y, "o", markersize=25, markerfacecolor="white", markeredgecolor="black",
                  markeredgewidth=0.8, zorder=4)  # fmt: skip
        size = 8 if len(graph.states[s]) < 4 else 4.2
        axes.text(x, y, graph.states[s], ha="center", va="center", fontsize=size, zorder=5)
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)


def _draw_hands(axes: Axes, table: PolicyTable, hands: Hands) -> None:
    """By total and dealer's card: S to stay, H to hit, and by how much that is better."""
    rows = sorted({hand[:2] for hand in hands.hands}, key=lambda hand: (hand[1], -hand[0]))
    picture, limit = np.full((len(rows), 10), np.nan), 1.5
    for s, (total, soft, card) in enumerate(hands.hands):
        better = table.values[s, 0] - table.values[s, 1]
        row, column = rows.index((total, soft)), card - 1
        picture[row, column] = better
        sign = "S" if better > 0 else "H" if better < 0 else "?"
        # Both ends of the scale are dark.
        ink = _ON_DARK if abs(better) > 0.6 * limit else _ON_LIGHT
        axes.text(column, row, sign, ha="center", va="center", fontsize=6, color=ink)
    image = axes.imshow(
        picture, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="none"
    )
    axes.set_yticks(
        range(len(rows)), [f"{'soft' if soft else 'hard'} {total}" for total, soft in rows]
    )
    axes.set_xticks(range(10), ["A", *map(str, range(2, 11))])
    axes.tick_params(length=0)
    axes.set_xlabel("dealer's card; S stays, H hits")
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.5)
    bar.set_label("value of staying less that of hitting")


def _draw_rows(axes: Axes, table: PolicyTable) -> None:
    """A row a state, a column an action, the best marked."""
    n_states, n_actions = table.values.shape
    image = axes.imshow(table.values, cmap="cividis", aspect="auto", interpolation="none")
    axes.plot(table.values.argmax(axis=1), range(n_states), "o", color=_ON_DARK, markersize=3)
    axes.set_xticks(range(n_actions))
    axes.set_yticks(range(0, n_states, max(1, n_states // 12)))
    axes.set_xlabel("action")
    axes.set_ylabel("state")
    axes.figure.colorbar(image, ax=axes)
