"""What planning finds in the textbooks' worlds, against numbers written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from learners import make
from rooms import DOORS

import envs
from ars.algorithms import ALGORITHMS
from ars.algorithms.tabular.planning import Planner
from ars.common.errors import RunError, UsageError
from ars.common.settings import make_config
from ars.rollout.pool import LocalPool
from envs.objective import ObjectiveSpec

PLANNERS = ["value-iteration", "policy-iteration"]
every_planner = pytest.mark.parametrize("algo", PLANNERS)


def solved(algo: str, env_id: str, gamma: float, **env_kwargs: float) -> Planner:
    planner: Planner = make(ALGORITHMS[algo].load(), env_id, env_kwargs, gamma=gamma)
    pool = LocalPool(planner.rollout_spec)
    while planner.converged is None:
        planner.iterate(pool)
    pool.close()
    return planner


def arrows(table: list[list[float]]) -> str:
    """The best move of every cell of the grid world, rows from the top."""
    world: Any = envs.make("GridWorld").unwrapped
    signs = {
        cell: world.actions[int(np.argmax(table[s]))] for s, cell in enumerate(world.cells)
    } | {world.cells[s]: "+" if reward > 0 else "-" for s, reward in world.exits.items()}
    return " / ".join(
        " ".join(signs.get((row, column), "#") for column in range(4)) for row in range(3)
    )


@every_planner
@pytest.mark.parametrize(
    ("living_reward", "policy", "start"),
    [
        (-0.01, "E E E + / N # W - / N W W S", 0.9232),
        (-0.03, "E E E + / N # N - / N W W W", 0.7721),
        (-0.4, "E E E + / N # N - / N E N W", -1.6002),
        (-2.0, "E E E + / N # E - / E E E N", -10.8153),
    ],
    ids=["cautious", "usual", "hasty", "suicidal"],
)
def test_the_grid_world_is_solved(
    algo: str, living_reward: float, policy: str, start: float
) -> None:
    planner = solved(algo, "GridWorld", 1.0, living_reward=living_reward)
    assert arrows(planner.table) == policy
    assert planner.values[7] == pytest.approx(start, abs=5e-5)
    assert planner.values[[3, 6]].tolist() == [1.0, -1.0]


@every_planner
def test_the_rooms_are_solved(algo: str) -> None:
    table = np.array(solved(algo, "Rooms", 0.8).table)
    for (room, to), value in DOORS.items():
        assert table[room, to] == pytest.approx(value, abs=1e-8)
    best = table.argmax(axis=1)
    assert [2, best[2], best[best[2]], best[best[best[2]]]][-1] == 5
    for room in range(6):
        for to in set(range(6)) - {to for one, to in DOORS if one == room}:
            assert table[room, to] == pytest.approx(-1 + 0.8 * table[room].max(), abs=1e-8)


@every_planner
def test_small_worlds_are_solved(algo: str) -> None:
    # Cool: fast. V = 2 + 0.9 (V + W) / 2, and warm: slow. W = 1 + 0.9 (V + W) / 2.
    car = solved(algo, "RacingCar", 0.9)
    assert car.values == pytest.approx([15.5, 14.5, 0.0], abs=1e-9)
    assert np.array(car.table).argmax(axis=1)[:2].tolist() == [1, 0]
    tree = solved(algo, "SmallTree", 1.0)
    assert tree.table[0] == [-995.0, 11.0]  # not the larger first reward, 5
    # 10 every other step, from the second on: 10 / (1 - 0.81).
    cycle = solved(algo, "SmallTreeCycle", 0.9)
    assert cycle.values[2] == pytest.approx(10 / 0.19)
    assert solved(algo, "CliffWalking-v1", 1.0).values[36] == -13.0
    # Its first policy gets nothing anywhere, and so do the values that it starts with.
    ice = solved(algo, "FrozenLake-v1", 0.99)
    assert ice.values[0] == pytest.approx(0.5420, abs=5e-5)


@every_planner
def test_rewards_of_a_model_are_not_weighed(algo: str) -> None:
    kind = ALGORITHMS[algo].load()
    context = replace(make(kind, "GridWorld").context, objective=ObjectiveSpec(("crash",)))
    with pytest.raises(UsageError, match="`reward_weights`: planning takes the rewards"):
        kind(make_config(kind.Config, {"reward_weights": ("crash=0",)}), context)


@every_planner
def test_a_reward_that_comes_again_without_end_is_told(algo: str) -> None:
    with pytest.raises(RunError, match="rewards add up without end; a `gamma` below 1 bounds them"):
        solved(algo, "SmallTreeCycle", 1.0)


@every_planner
def test_a_world_whose_states_are_reached_one_by_one_is_solved(algo: str) -> None:
    """From the policy that always turns left, each iteration finds the way from one more state."""
    corridor = solved(algo, "small_worlds:OneWay-v0", 1.0)
    assert corridor.values.tolist() == [-float(rest) for rest in range(40, 0, -1)]


@every_planner
@pytest.mark.parametrize(
    ("env_id", "told"),
    [
        (
            "Blackjack-v1",
            "planning needs a model, transitions `P[s][a]`, and Blackjack-v1 has none",
        ),
        (
            "CartPole-v1",
            "its table needs Discrete observations, and those of CartPole-v1 are a Box",
        ),
    ],
)
def test_what_cannot_be_planned_is_one_clear_line(algo: str, env_id: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(ALGORITHMS[algo].load(), env_id)
    assert str(caught.value).startswith(f"`algo` {algo}: {told}")
