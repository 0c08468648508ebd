"""A figure of learning curves: what is in it, and that all of it can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from stored_runs import store_run, store_seeds

from ars.results import style
from ars.results.curves import grouped, lines_of
from ars.results.figure import _apart, draw
from ars.results.stored_run import find_runs

Drawn = Callable[..., tuple[Figure, list[str]]]


@pytest.fixture
def drawn(tmp_path: Path) -> Iterator[Drawn]:
    def of(reference: bool = False, x: str = "timesteps") -> tuple[Figure, list[str]]:
        said: list[str] = []
        lines = lines_of(grouped(find_runs([tmp_path], print), print), x, False, print)
        figure = draw(lines, x, False, reference, said.append)
        figure.draw_without_rendering()
        return figure, said

    with style.print_style():
        yield of


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lies_inside(figure: Figure) -> bool:
    """Whether everything that is shown lies on the page."""
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return bool(min(box.x0, box.y0) >= 0 and box.x1 <= width and box.y1 <= height)


def test_each_environment_has_a_panel_and_each_group_a_line(tmp_path: Path, drawn: Drawn) -> None:
    store_seeds(tmp_path, 5)
    store_seeds(tmp_path, 2, "ppo", algo="ppo")
    store_run(tmp_path / "hopper", env_id="Hopper", seed=4)
    figure, _ = drawn()
    assert [axes.get_title() for axes in figure.axes] == ["CartPole-v1", "Hopper"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]
    assert legend(figure) == ["ARS (1 to 5 seeds)", "PPO (2 seeds)"]
    assert figure.axes[0].get_ylabel() == "evaluation return (IQM)"


def test_lines_differ_in_colour_and_dashes(tmp_path: Path, drawn: Drawn) -> None:
    for number in range(28):
        store_run(tmp_path / f"{number}", step_size=0.1 + number)
    figure, _ = drawn()
    drawn_lines: list[Any] = list(figure.axes[0].lines)
    looks = {(line.get_color(), str(line._dash_pattern)) for line in drawn_lines}
    assert len(looks) == 28
    assert lies_inside(figure)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_nothing_lies_outside_the_page(count: int, tmp_path: Path, drawn: Drawn) -> None:
    for number in range(count):
        env_id = f"a_module.of_mine:ARobotWithALongName{number}-v0"
        store_run(tmp_path / f"{number}", [-1e6 * number, 3.25], [0, 10**9], env_id=env_id)
    store_run(tmp_path / "s", env_id=env_id, env_kwargs={"a": "$_{" + "long " * 30}, seed=3)
    figure, _ = drawn()
    assert lies_inside(figure)


def test_the_legend_covers_no_axes(tmp_path: Path, drawn: Drawn) -> None:
    for number in range(9):
        store_run(tmp_path / f"{number}", step_size=0.1 + number, delta_std=0.2 + number)
    figure, _ = drawn()
    box = figure.legends[0].get_window_extent()
    panels: list[Any] = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(box.overlaps(panel) for panel in panels)


def test_reference_lines_are_in_view_and_their_labels_apart(tmp_path: Path, drawn: Drawn) -> None:
    store_run(tmp_path / "run", env_id="Hopper")
    figure, said = drawn(reference=True)
    [axes] = figure.axes
    assert said == []
    labels = [child for child in axes.get_children() if isinstance(child, Annotation)]
    assert {label.get_text() for label in labels} == {
        "PPO 2M: 2,575",
        "SAC 1M: 2,603",
        "TQC 1M: 2,662",
    }
    assert axes.get_ylim()[1] > 2662
    boxes = [label.get_window_extent() for label in labels]
    assert not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)
    assert lies_inside(figure)


def test_where_nothing_or_another_version_was_published_it_is_said(
    tmp_path: Path, drawn: Drawn
) -> None:
    store_run(tmp_path / "a", env_id="HalfCheetah-v5")
    store_run(tmp_path / "b", env_id="Unheard-v0")
    figure, said = drawn(reference=True)
    assert said == [
        "HalfCheetah-v5: its reference lines are those published for HalfCheetah-v3",
        "Unheard-v0: no published returns are known",
    ]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "ARS 12M: 4,815 (v3)" in texts


def test_a_line_is_thin_where_runs_are_missing(tmp_path: Path, drawn: Drawn) -> None:
    store_run(tmp_path / "a", [0.0, 10.0], [0, 100], seed=0)
    store_run(tmp_path / "b", [0.0, 20.0, 50.0, 60.0], [0, 100, 200, 300], seed=1)
    figure, _ = drawn()
    thin, whole = figure.axes[0].lines
    assert thin.get_linewidth() < whole.get_linewidth()
    assert np.isfinite(np.asarray(whole.get_ydata(), float)).tolist() == [True, True, True, False]
    assert np.isfinite(np.asarray(thin.get_ydata(), float)).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("last", "label"),
    [(1, "training time (s)"), (4, "training time (min)"), (200, "training time (h)")],
)
def test_time_is_in_the_unit_that_fits(last: int, label: str, tmp_path: Path, drawn: Drawn) -> None:
    store_run(tmp_path / "run", [1.0] * (last + 1), range(last + 1))
    figure, _ = drawn(x="time")
    assert figure.axes[0].get_xlabel() == label


@pytest.mark.parametrize(
    ("number", "axis", "whole"),
    [
        (0.0, "0", "0"),
        (1_500_000, "1.5M", "1.5M"),
        (-20_000.0, "\N{MINUS SIGN}20k", "\N{MINUS SIGN}20,000"),
        (2e9, "2B", "2B"),
        (0.25, "0.25", "0.25"),
    ],
)
def test_numbers_on_axes(number: float, axis: str, whole: str) -> None:
    assert (style.compact(number), style.thousands(number)) == (axis, whole)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([3.0], [3.0]),
        ([0.0, 20.0], [0.0, 20.0]),
        ([10.0, 12.0], [6.0, 16.0]),
        ([0.0, 0.0, 0.0], [-10.0, 0.0, 10.0]),
        ([0.0, 9.0, 10.0], [-11 / 3, 19 / 3, 49 / 3]),
    ],
)
def test_labels_move_apart_as_little_as_it_takes(
    places: list[float], expected: list[float]
) -> None:
    np.testing.assert_allclose(_apart(places, 10.0), expected, rtol=0, atol=1e-9)


def test_the_style_leaves_the_user_s_own_settings_alone() -> None:
    import matplotlib

    before: Any = matplotlib.rcParams
    before["font.size"] = 31.0
    try:
        with style.print_style():
            assert before["font.size"] == 8.0
        assert before["font.size"] == 31.0
    finally:
        matplotlib.rcdefaults()
