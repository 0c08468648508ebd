"""Figures for pages: without styles, in the page's colours, with ids of their own."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ars.results import style
from ars.results.svg import inline


def drawn(name: str) -> str:
    from matplotlib.figure import Figure

    with style.print_style():
        figure = Figure(figsize=(3, 2))
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=style.COLORS[1])
        axes.set_title("<script>alert(1)</script> --> &")
        return inline(figure, name, 'what "it" <shows>')


def test_a_figure_has_no_style_and_no_text_that_could_be_code() -> None:
    text = drawn("curve")
    assert "style" not in text and "script" not in text and "<!--" not in text
    root = ElementTree.fromstring(text)
    assert root.attrib["aria-label"] == 'what "it" <shows>'
    assert root.attrib["width"] == f"{3 * 72 * 1.9:.0f}" and "height" not in root.attrib


def test_black_and_white_are_the_pages_and_colours_their_own() -> None:
    text = drawn("curve")
    assert "#000000" not in text and "#ffffff" not in text
    assert "stroke-ink" in text and "fill-paper" in text and "stroke-grid" in text
    assert f'stroke="{style.COLORS[1].lower()}"' in text


def test_two_figures_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', drawn(name))) for name in ("a", "b")]
    assert ids[0] and not ids[0] & ids[1]
    used = set(re.findall(r'href="#([^"]+)"', drawn("a")))
    used |= set(re.findall(r"url\(#([^)]+)\)", drawn("a")))
    assert used and used <= ids[0]
