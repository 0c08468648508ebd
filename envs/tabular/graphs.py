"""Small worlds that are drawn as graphs: a racing car, six rooms, and a tree for looking ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from envs.drawing.canvas import HERE, INK, PAPER, Canvas, Place
from envs.tabular.model import Outcome, Transitions
from envs.tabular.world import FiniteWorld, Picture


class GraphWorld(FiniteWorld):
    """A finite world with a place in its picture for each state.

    Args:
        transitions, starts, truncates_at: as of a `FiniteWorld`.
        render_mode: None, "ansi", "rgb_array" or "human".
        width: of a picture, in pixels.
        height: of a picture, in pixels.
    """

    names: ClassVar[Sequence[str]]
    moves: ClassVar[Sequence[str]]
    places: ClassVar[Sequence[Place]]
    radius: ClassVar[float] = 0.085  # of a state's disc, in heights of the picture

    def __init__(
        self,
        transitions: Transitions,
        starts: Sequence[float],
        render_mode: str | None,
        width: int,
        height: int,
        **details: Any,
    ) -> None:
        super().__init__(
            transitions, starts, self.names, self.moves, render_mode, width, height, **details
        )

    @property
    def edges(self) -> list[tuple[int, int, int]]:
        """State, action and another state that may follow, in their order."""
        return sorted(
            {
                (s, a, n)
                for s, of in self.P.items()
                for a, row in of.items()
                for _, n, _, _ in row
                if n != s
            }
        )

    def picture(self, width: int, height: int) -> Picture:
        """A disc a state, arrows to those that may follow; blue where one is."""
        canvas, radius = Canvas(width, height), self.radius
        for s, n in {(s, n) for s, _, n in self.edges}:
            canvas.arrow(self.places[s], self.places[n], gap=radius)
        for s, place in enumerate(self.places):
            here = s == self.s
            canvas.disc(place, radius, HERE if here else PAPER)
            canvas.word(place, self.names[s], min(0.5 * radius, 0.07), PAPER if here else INK)
        return canvas.pixels()


class RacingCar(GraphWorld):
    """A car that wants to go fast and must not overheat (UC Berkeley, CS 188, lecture on MDPs).

    Going slowly gives 1, going fast 2; fast, a cool engine may get warm, and a warm one overheats
    for -10, which ends the episode. Going slowly, a warm engine may cool down.
    """

    names = ("cool", "warm", "overheated")
    moves = ("slow", "fast")
    places = ((0.15, 0.5), (0.5, 0.5), (0.85, 0.5))
    radius = 0.26

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 240) -> None:
        cool, warm, overheated = range(3)
        over = [(1.0, overheated, 0.0, True)]
        super().__init__(
            {
                cool: {
                    0: [(1.0, cool, 1.0, False)],
                    1: [(0.5, cool, 2.0, False), (0.5, warm, 2.0, False)],
                },
                warm: {
                    0: [(0.5, cool, 1.0, False), (0.5, warm, 1.0, False)],
                    1: [(1.0, overheated, -10.0, True)],
                },
                overheated: {0: over, 1: over},
            },
            [1.0, 0.0, 0.0],
            render_mode,
            width,
            height,
        )


class Rooms(GraphWorld):
    """Five rooms and the outside, 5, which is the goal (a well-known tutorial on Q-learning).

    Action j goes through the door to room j. Where there is no door one stays, for a reward of -1.
    Episodes begin in any of the six, the goal included; they are truncated, never terminated, when
    a step leads to the goal, so that the goal has values like every other room.
    """

    R = (  # reward of going from a room to another; -1: no door
        (-1, -1, -1, -1, 0, -1),
        (-1, -1, -1, 0, -1, 100),
        (-1, -1, -1, 0, -1, -1),
        (-1, 0, 0, -1, 0, -1),
        (0, -1, -1, 0, -1, 100),
        (-1, 0, -1, -1, 0, 100),
    )
    goal = 5
    names = tuple("012345")
    moves = tuple(f"to {room}" for room in range(6))
    places = ((0.12, 0.25), (0.65, 0.8), (0.12, 0.75), (0.4, 0.55), (0.4, 0.14), (0.88, 0.35))

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 360) -> None:
        def outcome(room: int, to: int) -> list[Outcome]:
            reward = self.R[room][to]
            return [(1.0, room if reward == -1 else to, float(reward), False)]

        super().__init__(
            {room: {to: outcome(room, to) for to in range(6)} for room in range(6)},
            [1 / 6] * 6,
            render_mode,
            width,
            height,
            truncates_at=(self.goal,),
        )


class SmallTree(GraphWorld):
    """A tree of two decisions, in which the larger reward at first leads to the smaller sum.

    From the root `left` gives 5 and `right` 1. Left of it -1000 follows whatever is done; right of
    it 0 follows `left` and 10 follows `right`.
    """

    names = tuple("012345")
    moves = ("left", "right")
    places = ((0.5, 0.15), (0.25, 0.5), (0.75, 0.5), (0.25, 0.85), (0.6, 0.85), (0.9, 0.85))
    again: ClassVar[bool] = False  # whether one comes back from state 5 to state 2

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 360) -> None:
        last = {a: [(1.0, 2, 0.0, False)] if self.again else [(1.0, 5, 0.0, True)] for a in (0, 1)}
        super().__init__(
            {
                0: {0: [(1.0, 1, 5.0, False)], 1: [(1.0, 2, 1.0, False)]},
                1: {a: [(1.0, 3, -1000.0, True)] for a in (0, 1)},
                2: {0: [(1.0, 4, 0.0, True)], 1: [(1.0, 5, 10.0, not self.again)]},
                **{s: {a: [(1.0, s, 0.0, True)] for a in (0, 1)} for s in (3, 4)},
                5: last,
            },
            [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            render_mode,
            width,
            height,
        )


class SmallTreeCycle(SmallTree):
    """The same with a way back from state 5 to state 2: 10 comes again and again, without end.

    Its undiscounted value is infinite.
    """

    again = True
