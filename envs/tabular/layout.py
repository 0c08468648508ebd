"""Where the states of a finite world lie in a figure: in a grid, a graph, or Blackjack's chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from envs.tabular.blackjack import Blackjack
from envs.tabular.graphs import GraphWorld
from envs.tabular.grid_world import MOVES, GridWorld

_N, _E, _S, _W = (-1, 0), (0, 1), (1, 0), (0, -1)


@dataclass(frozen=True)
class Grid:
    """States in cells.

    Attributes:
        shape: rows and columns.
        cells: row and column of each state, from the top left.
        moves: of each action, how many rows down and columns to the right it means to go.
        marks: words on cells that end an episode, or are to be avoided.
        start: the state where episodes begin; None if there are several.
    """

    shape: tuple[int, int]
    cells: Sequence[tuple[int, int]]
    moves: Sequence[tuple[int, int]]
    marks: Mapping[int, str]
    start: int | None


@dataclass(frozen=True)
class Graph:
    """States at places from (0, 0), top left, to (1, 1).

    Attributes:
        places: of each state.
        states: their names.
        actions: their names.
        edges: state, action and another state that may follow.
    """

    places: Sequence[tuple[float, float]]
    states: Sequence[str]
    actions: Sequence[str]
    edges: Sequence[tuple[int, int, int]]


@dataclass(frozen=True)
class Hands:
    """Blackjack: of each state but the last, the total, whether it is soft, the dealer's card."""

    hands: Sequence[tuple[int, bool, int]]


Layout = Grid | Graph | Hands


def layout_of(env: gymnasium.Env[Any, Any]) -> Layout | None:
    """The layout of a world that has one."""
    world: Any = env.unwrapped
    if isinstance(world, Blackjack):
        return Hands(world.hands)
    if isinstance(world, GraphWorld):
        return Graph(world.places, world.states, world.actions, world.edges)
    if isinstance(world, GridWorld):
        marks = {s: f"{reward:+.0f}" for s, reward in world.exits.items()}
        return Grid(world.shape, world.cells, list(MOVES.values()), marks, _start(world))
    name = f"{type(world).__module__}:{type(world).__qualname__}"
    if name == "gymnasium.envs.toy_text.cliffwalking:CliffWalkingEnv":
        cliff = np.flatnonzero(world._cliff)
        marks = {**dict.fromkeys(cliff.tolist(), "cliff"), world.nS - 1: "goal"}
        return _whole(world, world.shape, (_N, _E, _S, _W), {int(s): m for s, m in marks.items()})
    if name == "gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv":
        signs = [sign.decode() for sign in world.desc.ravel()]
        marks = {
            s: {"H": "hole", "G": "goal"}[sign] for s, sign in enumerate(signs) if sign in "HG"
        }
        return _whole(world, world.desc.shape, (_W, _S, _E, _N), marks)
    return None


def _whole(
    world: Any, shape: tuple[int, int], moves: Sequence[tuple[int, int]], marks: dict[int, str]
) -> Grid:
    """A grid without walls, row by row."""
    rows, columns = (int(size) for size in shape)
    cells = [(row, column) for row in range(rows) for column in range(columns)]
    return Grid((rows, columns), cells, moves, marks, _start(world))


def _start(world: Any) -> int | None:
    found = np.flatnonzero(world.initial_state_distrib)
    return int(found[0]) if len(found) == 1 else None
