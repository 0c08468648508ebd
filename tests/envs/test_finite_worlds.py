"""Finite worlds: their transitions, their episodes and their pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.toy_text.utils import categorical_sample

import envs
from envs.tabular.blackjack import dealer_ends
from envs.tabular.grid_world import GridWorld
from envs.tabular.model import Model, draws_from_model, model_of

WORLDS = [row.name for row in envs.table() if row.id.startswith("finite/")]
every_world = pytest.mark.parametrize("name", WORLDS)
Make = Callable[..., Any]


@every_world
def test_a_world_says_what_it_is_made_of(name: str, make: Make) -> None:
    world = make(name).unwrapped
    n_states, n_actions = int(world.observation_space.n), int(world.action_space.n)
    assert (len(world.states), len(world.actions)) == (n_states, n_actions)
    assert len(set(world.states)) == n_states
    assert world.rewards.shape == (n_states, n_actions)
    for row in (row for of in world.P.values() for row in of.values()):
        assert sum(p for p, *_ in row) == pytest.approx(1.0, abs=1e-12)
        assert all(0 <= n < n_states for _, n, _, _ in row)


@every_world
def test_episodes_are_drawn_as_toy_text_draws_them(name: str, make: Make) -> None:
    env = make(name)
    world, rng = env.unwrapped, np.random.default_rng(4)
    for seed in range(3):
        s, _ = env.reset(seed=seed)
        twin, _ = gymnasium.utils.seeding.np_random(seed)
        assert s == categorical_sample(world.initial_state_distrib, twin)
        ended = False
        while not ended:
            action = int(rng.integers(env.action_space.n))
            row = world.P[int(s)][action]
            p, expected, r, over = row[int(categorical_sample([one[0] for one in row], twin))]
            s, reward, terminated, truncated, info = env.step(action)
            assert (s, reward, terminated, info) == (expected, r, over, {"prob": p})
            ended = terminated or truncated


@every_world
@pytest.mark.parametrize("action", [-1, 6, 0.5, "N"])
def test_an_action_outside_the_world_is_one_clear_line(
    name: str, action: object, make: Make
) -> None:
    env = make(name)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=rf"action {action!r}: {name} takes 0 \(\w") as caught:
        env.step(action)
    assert "\n" not in str(caught.value)


@every_world
def test_pictures_show_the_state_and_change_nothing(name: str, make: Make) -> None:
    plain, seen = make(name), make(name, render_mode="rgb_array", width=120, height=90)
    told = make(name, render_mode="ansi")
    for env in (plain, seen, told):
        env.reset(seed=1)
    before = seen.render()
    assert before.dtype == np.uint8 and before.shape == (90, 120, 3)
    where = {plain.step(0)[0], seen.step(0)[0], told.step(0)[0]}
    assert len(where) == 1
    assert told.render() and np.array_equal(seen.render(), seen.render())
    with pytest.raises(ValueError, match="render_mode='text'; it is None or one of 'human'"):
        type(plain.unwrapped)(render_mode="text")
    with pytest.raises(ValueError, match="at most 16,777,216"):
        type(plain.unwrapped)(width=10**5, height=10**5)


def test_the_grid_in_letters(make: Make) -> None:
    env = make("GridWorld", render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == "...+\n.#.-\nx..."
    world = env.unwrapped
    assert world.states[8 - 1] == "column 1, row 1" and int(world.initial_state_distrib[7]) == 1
    assert {world.cells[s]: reward for s, reward in world.exits.items()} == {
        (0, 3): 1.0,
        (1, 3): -1.0,
    }
    # North of the start by 0.8; west is the edge, so it stays by 0.1; east by 0.1.
    assert world.P[7][0] == [(0.8, 4, -0.04, False), (0.1, 7, -0.04, False), (0.1, 8, -0.04, False)]
    assert make("GridWorld", living_reward=-2.0).unwrapped.P[7][0][0] == (0.8, 4, -2.0, False)


def test_rooms_are_left_by_doors_and_truncated_at_the_goal(make: Make) -> None:
    env = make("Rooms")
    env.reset(seed=0)
    env.unwrapped.s = 1
    assert env.step(0)[:4] == (1, -1.0, False, False)  # no door
    assert env.step(5)[:4] == (5, 100.0, False, True)
    assert env.unwrapped.initial_state_distrib.tolist() == [1 / 6] * 6


def test_the_larger_first_reward_of_the_tree_leads_to_the_smaller_sum(make: Make) -> None:
    def play(name: str, actions: list[int]) -> list[float]:
        env = make(name)
        env.reset(seed=0)
        return [env.step(action)[1] for action in actions]

    assert play("SmallTree", [0, 0]) == [5.0, -1000.0]
    assert play("SmallTree", [1, 1]) == [1.0, 10.0]
    assert play("SmallTreeCycle", [1, 1, 0, 1, 0, 1]) == [1.0, 10.0, 0.0, 10.0, 0.0, 10.0]


def test_the_dealer_hits_below_seventeen() -> None:
    # Of an infinite deck, by the dealer's card: well-known numbers.
    from envs.tabular.blackjack import add

    busts = {card: dealer_ends(add((0, False), card)).get(22, 0.0) for card in (2, 6, 10, 1)}
    assert busts == pytest.approx({2: 0.3536, 6: 0.4232, 10: 0.2121, 1: 0.1153}, abs=1e-4)
    assert add((16, False), 1) == (17, False) and add((17, True), 10) == (17, False)


@pytest.mark.parametrize(
    ("env_id", "has_model", "draws"),
    [
        ("CliffWalking-v1", True, True),
        ("FrozenLake-v1", True, True),
        ("Taxi-v4", True, True),
        ("Blackjack-v1", False, False),
        ("CartPole-v1", False, False),
    ],
)
def test_models_of_others_are_known(env_id: str, has_model: bool, draws: bool, make: Make) -> None:
    env = make(env_id)
    assert (model_of(env) is not None) == has_model
    assert draws_from_model(env) == draws


def test_a_world_with_a_step_of_its_own_is_played_by_it() -> None:
    class Costly(GridWorld):
        def step(self, action: Any) -> Any:
            obs, reward, *rest = super().step(action)
            return obs, reward - 5.0, *rest

    class Painted(GridWorld):
        def text(self) -> str:
            return "a world"

    assert draws_from_model(Painted()) and not draws_from_model(Costly())


def test_steps_are_drawn_from_transitions_that_were_changed() -> None:
    world = GridWorld()
    start, _ = world.reset(seed=0)
    world.P[int(start)][0] = [(1.0, 4, -7.0, True)]
    assert list(world.step(0)[:3]) == [4, -7.0, True]


def test_a_model_that_is_none_is_refused() -> None:
    for row, told in (
        ([(0.5, 0, 0.0, False)], r"P\[0\]\[0\]: probabilities that add up to 0.5, not 1"),
        ([(1.0, 3, 0.0, False)], r"P\[0\]\[0\]: an unknown state"),
    ):
        with pytest.raises(ValueError, match=told):
            Model.of({0: {0: row}}, [1.0])
    env = gymnasium.wrappers.TransformReward(envs.make("GridWorld"), lambda reward: -float(reward))
    assert model_of(env) is None and not draws_from_model(env)
