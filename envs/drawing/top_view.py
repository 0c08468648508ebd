"""What a world shows of itself from above, so that the ways through it can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Box(NamedTuple):
    """A rectangle along the axes."""

    left: int
    bottom: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def top(self) -> int:
        return self.bottom + self.height

    def is_within(self, gap: int, other: Box) -> bool:
        """Whether less than `gap` lies between two boxes, along x and along y."""
        left, bottom, width, height = self
        other_left, other_bottom, other_width, other_height = other
        return (
            left - gap < other_left + other_width
            and other_left - gap < left + width
            and bottom - gap < other_bottom + other_height
            and other_bottom - gap < bottom + height
        )


class TopView(NamedTuple):
    """A world from above, at a moment; x to the right, y up, from 0.

    Attributes:
        size: its width and height.
        obstacles: in it.
        goals: to be reached now.
        place: where the one that moves is.
    """

    size: tuple[float, float]
    obstacles: Sequence[Box]
    goals: Sequence[Box]
    place: tuple[float, float]


@runtime_checkable
class SeenFromAbove(Protocol):
    """A world with a top view: an environment that has this method is drawn by `ars plot`."""

    def top_view(self) -> TopView:
        """Where everything is now."""
        ...
