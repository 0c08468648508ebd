"""The grid world of the textbooks: four columns, three rows, a wall, and exits of +1 and -1.

Russell and Norvig, "Artificial Intelligence: A Modern Approach", chapter 17: a move goes where it
is meant to with 80 %, and to each side of that with 10 %; against a wall or the edge it stays. An
exit gives its reward to whoever leaves by it, whatever the action; every other step gives the
living reward.
"""

from __future__ import annotations

from envs.drawing.canvas import BAD, GOOD, HERE, PAPER, WALL, Canvas
from envs.tabular.model import Outcome
from envs.tabular.world import FiniteWorld, Picture

ROWS = ("   +", " # -", "S   ")  # from the top; S is where episodes begin
MOVES = {"N": (-1, 0), "E": (0, 1), "S": (1, 0), "W": (0, -1)}
EXITS = {"+": 1.0, "-": -1.0}
MEANT, ASIDE = 0.8, 0.1  # probabilities


class GridWorld(FiniteWorld):
    """11 states, row by row from the top without the wall; actions N, E, S, W.

    Args:
        living_reward: of every step but an exit.
        render_mode: None, "ansi", "rgb_array" or "human".
        width: of a picture, in pixels.
        height: of a picture, in pixels.

    Attributes:
        shape: rows and columns.
        cells: of each state, its row and column, from the top left.
        exits: of each exit, its state and its reward.
    """

    def __init__(
        self,
        living_reward: float = -0.04,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
    ) -> None:
        self.shape = len(ROWS), len(ROWS[0])
        self.cells = [
            (row, column)
            for row, line in enumerate(ROWS)
            for column, sign in enumerate(line)
            if sign != "#"
        ]
        signs = [ROWS[row][column] for row, column in self.cells]
        self.exits = {s: EXITS[sign] for s, sign in enumerate(signs) if sign in EXITS}
        number = {cell: s for s, cell in enumerate(self.cells)}

        def outcomes(s: int, action: int) -> list[Outcome]:
            if s in self.exits:
                return [(1.0, s, self.exits[s], True)]
            row, column = self.cells[s]
            found = []
            for probability, turn in ((MEANT, 0), (ASIDE, -1), (ASIDE, 1)):
                down, right = list(MOVES.values())[(action + turn) % len(MOVES)]
                reached = number.get((row + down, column + right), s)
                found.append((probability, reached, float(living_reward), False))
            return found

        states = range(len(self.cells))
        super().__init__(
            {s: {a: outcomes(s, a) for a in range(len(MOVES))} for s in states},
            [float(sign == "S") for sign in signs],
            [f"column {column + 1}, row {self.shape[0] - row}" for row, column in self.cells],
            list(MOVES),
            render_mode,
            width,
            height,
        )

    def text(self) -> str:
        """A line a row: the exits, `#` for the wall, `x` for where one is."""
        lines = [list(line.replace(" ", ".").replace("S", ".")) for line in ROWS]
        row, column = self.cells[self.s]
        lines[row][column] = "x"
        return "\n".join(map("".join, lines))

    def picture(self, width: int, height: int) -> Picture:
        """The cells, the exits in green and red, and a disc for where one is."""
        canvas, (rows, columns) = Canvas(width, height), self.shape
        canvas.box((0, 0), (1, 1), WALL)
        for s, (row, column) in enumerate(self.cells):
            left, top = column / columns, row / rows
            reward = self.exits.get(s, 0.0)
            fill = GOOD if reward > 0 else BAD if reward < 0 else PAPER
            canvas.box((left, top), (left + 1 / columns, top + 1 / rows), fill)
            middle = left + 0.5 / columns, top + 0.5 / rows
            if reward:
                canvas.word(middle, f"{reward:+.0f}", 0.1)
            if s == self.s:
                canvas.disc(middle, 0.25 / rows, HERE)
        return canvas.pixels()
