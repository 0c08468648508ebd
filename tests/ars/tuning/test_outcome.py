"""What a search leaves: a figure that has room for what matters, and counts in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ars.results import style
from ars.results.search_figure import draw_search


@pytest.mark.parametrize("importances", [{}, {"step_size": 0.7, "delta_std": 0.3}])
def test_a_figure_of_a_search(importances: dict[str, float], tmp_path: Path) -> None:
    complete, pruned = {0: 100.0, 2: 200.0, 3: 150.0, 5: -1e6}, {1: 20.0, 4: 90.0}
    with style.print_style():
        figure = draw_search("Hopper, ars", complete, pruned, importances)
        style.write(figure, tmp_path / "history.svg", ".svg")
        axes = figure.axes
        [line] = axes[0].lines
        assert np.asarray(line.get_xdata()).tolist() == [0, 2, 3, 5, 5]
        assert np.asarray(line.get_ydata()).tolist() == [100.0, 200.0, 200.0, 200.0, 200.0]
        assert axes[0].get_ylim()[0] > -1000  # the one that went very wrong is said
        assert axes[0].get_xlabel() == "trial (1 below this panel)"
    assert len(axes) == 1 + bool(importances)
    if importances:
        assert [label.get_text() for label in axes[1].get_yticklabels()] == [*importances]
    assert (tmp_path / "history.svg").read_text().startswith("<?xml")


def test_where_half_of_the_trials_reach_the_most_all_are_shown() -> None:
    complete = {0: 500.0, 1: 120.0, 2: 500.0, 3: 500.0}
    with style.print_style():
        [axes] = draw_search("CartPole-v1, ars", complete, {4: 30.0}, {}).axes
        assert axes.get_ylim()[0] < 30.0
        assert axes.get_xlabel() == "trial"
