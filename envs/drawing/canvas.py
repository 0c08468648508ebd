"""Flat pictures of worlds: boxes, lines and words, drawn with Pillow in a fixed scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

PAPER, INK, PALE = (250, 248, 243), (52, 52, 60), (196, 194, 188)
WALL, GOOD, BAD, HERE = (120, 120, 126), (150, 205, 160), (232, 150, 140), (36, 108, 190)


Colour = tuple[int, int, int]
Place = tuple[float, float]


class Canvas:
    """A picture whose width and height are 1 each, from the top left corner."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image
        from PIL import ImageDraw as drawing

        self.width, self.height = width, height
        self._image = Image.new("RGB", (width, height), PAPER)
        self._draw: ImageDraw = drawing.Draw(self._image)

    def _at(self, place: Place) -> tuple[int, int]:
        return round(place[0] * (self.width - 1)), round(place[1] * (self.height - 1))

    def _font(self, size: float) -> FreeTypeFont | ImageFont:
        from PIL import ImageFont

        return ImageFont.load_default(max(8.0, size * self.height))

    def box(self, start: Place, end: Place, fill: Colour, outline: Colour = PALE) -> None:
        """A rectangle between two corners."""
        self._draw.rectangle((*self._at(start), *self._at(end)), fill, outline)

    def frame(self, fill: Colour, width: float) -> None:
        """A frame around the picture; `width` as a share of it."""
        for start, end in (
            ((0.0, 0.0), (1.0, width)),
            ((0.0, 1.0 - width), (1.0, 1.0)),
            ((0.0, 0.0), (width, 1.0)),
            ((1.0 - width, 0.0), (1.0, 1.0)),
        ):
            self.box(start, end, fill, fill)

    def disc(self, middle: Place, radius: float, fill: Colour, outline: Colour = INK) -> None:
        """A disc; `radius` in heights."""
        (x, y), r = self._at(middle), radius * self.height
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill, outline)

    def shape(self, corners: Sequence[Place], fill: Colour, outline: Colour = INK) -> None:
        """A polygon."""
        self._draw.polygon([self._at(corner) for corner in corners], fill, outline)

    def path(self, places: Sequence[Place], fill: Colour, width: float) -> None:
        """A line through places; `width` in heights."""
        if len(places) > 1:
            points = [self._at(place) for place in places]
            self._draw.line(points, fill, max(1, round(width * self.height)))

    def word(self, middle: Place, text: str, size: float, fill: Colour = INK) -> None:
        """A word; `size` in heights."""
        self._draw.text(self._at(middle), text, fill, self._font(size), anchor="mm")

    def arrow(self, start: Place, end: Place, fill: Colour = PALE, gap: float = 0.0) -> None:
        """An arrow, `gap` heights short at both ends."""
        (x0, y0), (x1, y1) = (map(float, self._at(place)) for place in (start, end))
        length = math.hypot(x1 - x0, y1 - y0)
        if length <= 2 * gap * self.height:
            return
        u, v = (x1 - x0) / length, (y1 - y0) / length
        short, head = gap * self.height, 0.025 * self.height
        x0, y0, x1, y1 = x0 + u * short, y0 + v * short, x1 - u * short, y1 - v * short
        self._draw.line((x0, y0, x1, y1), fill, max(1, round(self.height / 160)))
        left, right = (
            (x1 - head * (u - v / 2), y1 - head * (v + u / 2)),
            (
                x1 - head * (u + v / 2),
                y1 - head * (v - u / 2),
            ),
        )
        self._draw.polygon([(x1, y1), left, right], fill)

    def pixels(self) -> NDArray[np.uint8]:
        """The picture as uint8 [height, width, 3]."""
        return np.array(self._image, np.uint8)
