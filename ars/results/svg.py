"""Figures within an HTML page: SVG whose colours follow the page, from light to dark."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ars.results import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_LEFT_OUT = f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"
_POINT = 1.9  # pixels: a figure's 8 points are as large as the page's text
_BROAD = 700  # pixels: on a phone it is moved under the window instead of being made small
# What is black on white paper takes the page's colours, by the classes of its style sheet.
_INK = {"#000000": "ink", style.GREY.lower(): "faint", "#e4e4e4": "grid", "#ffffff": "paper"}


def inline(figure: Figure, name: str, title: str) -> str:
    """A figure as an `svg` element for a page with a strict content security policy.

    Args:
        figure: drawn within `style.print_style`.
        name: a word that no other figure of the page has, for its ids.
        title: what the figure shows, for those who cannot see it.

    Returns:
        The element; it has no style of its own, which the page would refuse.
    """
    buffer = io.BytesIO()
    style.write(figure, buffer, ".svg")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK)
    root = ElementTree.fromstring(buffer.getvalue())  # which leaves comments out
    for element in list(root.iter()):
        for child in list(element):
            if child.tag in _LEFT_OUT:
                element.remove(child)
        _restyle(element)
        _rename(element, name)
    width = float(root.attrib.pop("width").removesuffix("pt"))
    del root.attrib["height"]
    root.attrib |= {"width": f"{width * _POINT:.0f}", "role": "img", "aria-label": title}
    if width * _POINT > _BROAD:
        root.attrib["class"] = "broad"
    return ElementTree.tostring(root, encoding="unicode")


def _restyle(element: ElementTree.Element) -> None:
    """Turn a style into attributes, and black, white and grey into classes."""
    found = element.attrib
    for part in found.pop("style", "").split(";"):
        key, colon, value = part.partition(":")
        if colon:
            found[key.strip()] = value.strip()
    colors = {key: found[key].lower() for key in ("fill", "stroke") if key in found}
    inks = {key: _INK[color] for key, color in colors.items() if color in _INK}
    for key in inks:
        del found[key]
    if inks:
        found["class"] = " ".join(f"{key}-{ink}" for key, ink in inks.items())


def _rename(element: ElementTree.Element, name: str) -> None:
    """Give ids, and what refers to them, the figure's name."""
    for key, value in element.attrib.items():
        if key == "id":
            element.attrib[key] = f"{name}-{value}"
        elif key.endswith("href") and value.startswith("#"):
            element.attrib[key] = f"#{name}-{value[1:]}"
        elif "url(#" in value:
            element.attrib[key] = value.replace("url(#", f"url(#{name}-")
