"""Obstacle car: it always moves, among obstacles, toward a gas station that it cannot locate.

The field is a square of 40 by 40 cells within walls. An obstacle stands at each wall, so that no
way leads along them, and up to three stand free. In a step the car may turn by 15 degrees, and goes
on by one cell. Its headlights fall on a matrix of 10 rows of 20 cells before it, where an obstacle
or a wall counts -1 and the gas station +1. The car sees the sums of the matrix's columns, and
neither where it is nor where the station is.

    reward_squares     4 for each square of 4 by 4 cells that it has not been in before
    reward_stations    20 where it reaches the station, which then moves elsewhere
    reward_crash       -20 where it runs into an obstacle or a wall, which ends the episode

so that driving in circles pays for one round. An episode depends only on its seed and actions: the
seed says where the obstacles, the car and the stations are. A step's `info` holds the parts of the
reward under these names, and `stations`, the stations reached so far, `cells`, the distinct cells
visited, and `nearest_wall`, how close the car has come to one of the four walls, in cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.actions import number_of
from envs.drawing.canvas import BAD, GOOD, HERE, PALE, WALL, Canvas
from envs.drawing.pictured import Pictured
from envs.drawing.top_view import Box, TopView

SIZE = 40  # cells along each side of the field
COLUMNS, ROWS = 20, 10  # of the headlight matrix, across and ahead, in cells
ACTIONS = ("straight", "left", "right")
HEADINGS = 24  # that the car can have: a turn is a 24th of a circle
SQUARE = 4  # cells along each side of the squares that a car is rewarded for
NEW_SQUARE, STATION_REACHED, CRASH = 4.0, 20.0, -20.0

STANDING_FREE, TRIES = 3, 30  # most obstacles that do, and how often a place is sought for one
SIDES = (2, 5)  # of an obstacle, in cells: at least, and less than
DEPTHS = (4, 7)  # of those at the walls into the field
FREE = 5  # cells at least between an obstacle that stands free and any other, or the car at first
BORDER, CORNER, MIDDLE = 6, 10, 12  # cells from the walls: to obstacles that stand free, from the
# corners to those at walls, and to the car at the start
STATION = 3  # cells along each side of the station
STATION_FREE = 2  # cells between it and the walls; one between it and obstacles
STATION_AWAY = 8  # cells at least from the car to a new station's middle, along one of the sides

_MARGIN = 24  # cells of wall around the field in the map: headlights reach less far
_WIDTH = SIZE + 2 * _MARGIN
_TURNS = (0, 1, -1)  # of the heading, by action
_LIT = (255, 246, 205)

Floats = NDArray[np.float32]


def _directions() -> list[tuple[float, float]]:
    """Of each heading the x and y of a step of one cell, counterclockwise from x."""
    angles = [2 * math.pi * heading / HEADINGS for heading in range(HEADINGS)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _headlights() -> NDArray[np.float64]:
    """Of each heading, where the matrix's cells are from the car: [HEADINGS, 2, ROWS * COLUMNS].

    Row by row from the nearest on, and in a row from the car's left to its right.
    """
    ahead = np.arange(1.0, ROWS + 1).repeat(COLUMNS)
    right = np.tile(np.arange(COLUMNS) - (COLUMNS - 1) / 2, ROWS)
    return np.array(
        [(ahead * x + right * y, ahead * y - right * x) for x, y in _directions()], np.float64
    )


_STEPS, _LIGHTS = _directions(), _headlights()


class ObstacleCar(Pictured[Floats, Any]):
    """Observations: the sums of the columns from left to right, float32 [20], from -10 to 10.

    Actions: 0 goes straight on, 1 steers left, 2 steers right.

    Args:
        render_mode: None, "rgb_array", or "human" for a window.
        width: of a picture, in pixels.
        height: of a picture, in pixels.

    Raises:
        ValueError: `render_mode`, `width` or `height` is not usable.
        gymnasium.error.Error: "human" without a display.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 480) -> None:
        super().__init__(render_mode, width, height)
        self.observation_space = gymnasium.spaces.Box(-ROWS, ROWS, (COLUMNS,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))
        # What lies in each cell, by x and y: -1, 0 or 1; all wall around the field.
        self._map = np.full((_WIDTH, _WIDTH), -1.0, np.float32)
        self._field = self._map[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        self._obstacles: list[Box] = []
        self._station = Box(0, 0, 0, 0)
        self._x = self._y = 0.0
        self._heading = 0
        self._cells: set[tuple[int, int]] = set()
        self._squares: set[tuple[int, int]] = set()
        self._stations, self._nearest_wall = 0, 0.0
        self._path: list[tuple[float, float]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        super().reset(seed=seed)
        self._field[:] = 0.0
        start = self._drawn_box((1, 1), MIDDLE)
        self._x, self._y = start.left + 0.5, start.bottom + 0.5
        self._heading = int(self.np_random.integers(HEADINGS))
        self._obstacles = [self._box_at_wall(wall) for wall in range(4)]
        for sides in self.np_random.integers(*SIDES, (TRIES, 2)).tolist():
            box = self._drawn_box(sides, BORDER)
            if not any(box.is_within(FREE, other) for other in (start, *self._obstacles)):
                self._obstacles.append(box)
            if len(self._obstacles) == 4 + STANDING_FREE:
                break
        for obstacle in self._obstacles:
            self._fill(obstacle, -1.0)
        self._place_station()
        self._cells, self._stations = {(start.left, start.bottom)}, 0
        self._squares = {(start.left // SQUARE, start.bottom // SQUARE)}
        self._nearest_wall = self._wall_distance()
        self._path = [(self._x, self._y)]
        self._show()
        return self._see(), {}

    def _box_at_wall(self, wall: int) -> Box:
        """An obstacle at a wall: at the bottom, the top, the left or the right."""
        depth, width = (int(self.np_random.integers(*bounds)) for bounds in (DEPTHS, SIDES))
        along = int(self.np_random.integers(CORNER, SIZE - CORNER - width + 1))
        across = 0 if wall % 2 == 0 else SIZE - depth
        if wall < 2:
            return Box(along, across, width, depth)
        return Box(across, along, depth, width)

    def _drawn_box(self, sides: Sequence[int], border: int) -> Box:
        """A box of two sides somewhere in the field, at least `border` cells from its walls."""
        left, bottom = (
            border + int(share * (SIZE - 2 * border - side + 1))
            for share, side in zip(self.np_random.random(2).tolist(), sides, strict=True)
        )
        return Box(left, bottom, *sides)

    def _fill(self, box: Box, what: float) -> None:
        self._field[box.left : box.right, box.bottom : box.top] = what

    def _place_station(self) -> None:
        """Put the station somewhere else; the corners, at least, always have room for it."""
        while True:
            found = self._drawn_box((STATION, STATION), STATION_FREE)
            x, y = found.left + STATION / 2, found.bottom + STATION / 2
            away = max(abs(x - self._x), abs(y - self._y)) >= STATION_AWAY
            if away and not any(found.is_within(1, box) for box in self._obstacles):
                break
        self._station = found
        self._fill(found, 1.0)

    def _see(self) -> Floats:
        """What the headlights fall on, summed over each column; half of the time of a step."""
        across, up = _LIGHTS[self._heading]
        cells = (across + (self._x + _MARGIN)).astype(np.int64)
        cells *= _WIDTH
        cells += (up + (self._y + _MARGIN)).astype(np.int64)
        seen: Floats = np.add.reduce(self._map.take(cells).reshape(ROWS, COLUMNS), axis=0)
        return seen

    def _wall_distance(self) -> float:
        return min(self._x, self._y, SIZE - self._x, SIZE - self._y)

    def step(self, action: Any) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        self._check_begun()
        turn = _TURNS[number_of(action, ACTIONS, type(self).__name__)]
        self._heading = (self._heading + turn) % HEADINGS
        x, y = _STEPS[self._heading]
        x, y = self._x + x, self._y + y
        cell = math.floor(x), math.floor(y)
        square = cell[0] // SQUARE, cell[1] // SQUARE
        there = self._map.item(cell[0] + _MARGIN, cell[1] + _MARGIN)
        crashed, new = there < 0, there >= 0 and square not in self._squares
        if not crashed:  # else it stays where it was
            self._x, self._y = x, y
            self._cells.add(cell)
            self._squares.add(square)
            self._nearest_wall = min(self._nearest_wall, self._wall_distance())
        if there > 0:
            self._stations += 1
            self._fill(self._station, 0.0)
            self._place_station()
        info = {
            "reward_squares": NEW_SQUARE if new else 0.0,
            "reward_stations": STATION_REACHED if there > 0 else 0.0,
            "reward_crash": CRASH if crashed else 0.0,
            "stations": self._stations,
            "cells": len(self._cells),
            "nearest_wall": self._nearest_wall,
        }
        reward = info["reward_squares"] + info["reward_stations"] + info["reward_crash"]
        if self.render_mode is not None:
            self._path.append((self._x, self._y))
            self._show()
        return self._see(), reward, crashed, False, info

    # Pictures

    def top_view(self) -> TopView:
        """Where everything is now."""
        return TopView((SIZE, SIZE), self._obstacles, [self._station], (self._x, self._y))

    def _picture(self) -> NDArray[np.uint8]:
        """The field from above: headlights, obstacles, station, the way so far, and the car."""
        canvas = Canvas(*self._size)
        x, y = _STEPS[self._heading]

        def at(ahead: float, right: float) -> tuple[float, float]:
            return _on_canvas(self._x + ahead * x + right * y, self._y + ahead * y - right * x)

        half = COLUMNS / 2
        lit = [at(0.5, -half), at(ROWS + 0.5, -half), at(ROWS + 0.5, half), at(0.5, half)]
        canvas.shape(lit, _LIT, PALE)
        for boxes, colour in ((self._obstacles, WALL), ([self._station], GOOD)):
            for box in boxes:
                corners = _on_canvas(box.left, box.top), _on_canvas(box.right, box.bottom)
                canvas.box(*corners, colour, colour)
        canvas.path([_on_canvas(*place) for place in self._path], HERE, 0.004)
        canvas.shape([at(1.0, 0.0), at(-0.7, 0.7), at(-0.7, -0.7)], BAD)
        canvas.frame(WALL, 0.5 / (SIZE + 1))
        return canvas.pixels()


def _on_canvas(x: float, y: float) -> tuple[float, float]:
    """A place of the field on a picture of it, with half a cell of wall around."""
    return (x + 0.5) / (SIZE + 1), 1.0 - (y + 0.5) / (SIZE + 1)
