"""Rewards are sums of named terms, which can be weighed, and metres are counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import envs
from envs.bullet.base import BulletEnv
from envs.bullet.compiled.player import CompiledPlayer
from envs.bullet.flagrun import GET_UP
from envs.objective import Objective, ObjectiveSpec

ROBOTS = [row.name for row in envs.table() if row.id.startswith("bullet/")]
COMPILED = [row.name for row in envs.table() if row.compiled]
STEPS = 120


def robot_of(env: Any) -> BulletEnv:
    robot = env.unwrapped
    assert isinstance(robot, BulletEnv)
    return robot


def odd_weights(robot: BulletEnv) -> list[float]:
    rng = np.random.default_rng(5)
    return [float(weight) for weight in rng.uniform(-1.0, 2.0, len(robot.reward_terms))]


def play(env: Any, seed: int = 1, steps: int = STEPS) -> Iterator[tuple[float, dict[str, Any]]]:
    """Reward and `info` of every step under constant torques of either sign."""
    env.reset(seed=seed)
    action = np.linspace(-0.9, 0.8, *env.action_space.shape).astype(np.float32)
    for _ in range(steps):
        _, reward, terminated, truncated, info = env.step(action)
        yield reward, info
        if terminated or truncated:
            return


@pytest.fixture(scope="module", params=ROBOTS)
def env(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = envs.make(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("odd", [False, True])
def test_a_reward_is_the_sum_of_its_weighed_terms(env: Any, odd: bool) -> None:
    robot = robot_of(env)
    robot.reward_weights[:] = weights = (
        odd_weights(robot) if odd else [1.0] * len(robot.reward_terms)
    )
    before = np.zeros(len(weights))
    for reward, info in play(env):
        assert tuple(info["reward_terms"]) == robot.reward_terms
        now = np.array(list(info["reward_terms"].values()))
        assert reward == pytest.approx(float(np.dot(weights, now - before)), rel=1e-6, abs=1e-6)
        before = now
    assert robot.reward_terms
    assert before.any()
    robot.reward_weights[:] = [1.0] * len(weights)


def test_an_episode_begins_to_count_anew(env: Any) -> None:
    (*_, (_, first)) = play(env)
    first = {**first, "reward_terms": dict(first["reward_terms"])}
    (*_, (_, second)) = play(env)
    assert second == first
    assert set(second) == {"reward_terms", *robot_of(env).measures}


def test_weights_change_rewards_alone(env: Any) -> None:
    robot = robot_of(env)
    true = [dict(info["reward_terms"]) for _, info in play(env)]
    robot.reward_weights[:] = [0.0] * len(robot.reward_terms)
    found = [(reward, dict(info["reward_terms"])) for reward, info in play(env)]
    robot.reward_weights[:] = [1.0] * len(robot.reward_terms)
    assert [reward for reward, _ in found] == [0.0] * len(true)
    assert [terms for _, terms in found] == true


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("down", [False, True])
def test_compiled_code_weighs_and_counts_the_same(name: str, down: bool) -> None:
    plain, env = envs.make(name), envs.make(name)
    player, action_space = CompiledPlayer(env), env.action_space
    (size,), (joints,) = env.observation_space.shape or (), action_space.shape or ()
    action = np.linspace(-0.9, 0.8, joints)
    policy = player.lay_out_policy(
        np.append(np.zeros(size * joints), action), (size, joints), bias=True
    )
    robots = robot_of(plain), robot_of(env)
    for robot in robots:
        robot.reward_weights[:] = odd_weights(robot)
        robot.end_when_down = down
    total, _, length, _ = player.play(policy, 1, STEPS)
    rewards = [reward for reward, _ in play(plain)]
    assert (length, total) == (len(rewards), sum(rewards))
    ours, theirs = ((robot.term_sums, robot.measured) for robot in robots)
    assert ours == theirs
    plain.close()
    env.close()


def test_a_cheetah_that_is_down_ends_its_episode_on_request() -> None:
    env = envs.make("HalfCheetah")
    robot = robot_of(env)
    assert len(list(play(env))) == STEPS
    robot.end_when_down = True
    lengths = [len(list(play(env, seed))) for seed in range(3)]
    assert max(lengths) < STEPS
    env.close()


def test_a_person_that_is_to_get_up_again_ends_its_episode_on_request() -> None:
    env = envs.make("HumanoidFlagrunHarder")
    robot: Any = robot_of(env)
    patient = [reward for reward, _ in play(env, steps=1000)]
    robot.end_when_down = True
    hasty = [reward for reward, _ in play(env, steps=1000)]
    assert robot._frames_down == 1
    assert hasty[:-1] == patient[: len(hasty) - 1]
    assert len(patient) == len(hasty) + GET_UP - 1
    env.close()


def test_metres_are_how_much_nearer_a_runner_came() -> None:
    env = envs.make("Ant")
    env.reset(seed=1)
    robot: Any = robot_of(env)
    start = robot._distance
    (*_, (_, info)) = play(env)
    assert info["metres"] == pytest.approx(start - robot._distance, abs=1e-9)
    assert info["reward_terms"]["progress"] == pytest.approx(info["metres"] / robot.dt, abs=1e-6)
    env.close()


@pytest.mark.parametrize("name", ["HumanoidFlagrun", "HumanoidFlagrunHarder"])
def test_a_flag_is_reached_within_a_metre(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, env = envs.make(name), envs.make(name)
    robots: list[Any] = [robot_of(plain), robot_of(env)]
    still = np.zeros(17, np.float32)
    plain.reset(seed=1)
    for _ in range(30):
        plain.step(still)
    fallen = np.array(robots[0]._position[:2])
    where = fallen / np.linalg.norm(fallen) + 0.5 * fallen  # within a metre halfway to there

    for robot in robots:

        def arrange(
            rng: np.random.Generator, robot: Any = robot, arranged: Any = robot._arrange
        ) -> None:
            arranged(rng)
            robot._target_x, robot._target_y = where.tolist()

        monkeypatch.setattr(robot, "_arrange", arrange)

    player = CompiledPlayer(env)
    policy = player.lay_out_policy(np.zeros(17 * 45), (44, 17), bias=True)
    _, _, length, _ = player.play(policy, 1, 60)
    plain.reset(seed=1)
    for _ in range(length):
        _, _, _, _, info = plain.step(still)
    assert info["flags"] == 1
    assert info["reward_terms"]["flag"] < -1.0  # the next one is farther away
    assert robots[0].measured == robots[1].measured
    assert robots[0].term_sums == robots[1].term_sums
    plain.close()
    env.close()


def test_a_flag_that_moves_takes_nobody_nearer() -> None:
    env = envs.make("HumanoidFlagrun")
    env.reset(seed=1)
    robot: Any = robot_of(env)
    robot._patience = 1  # the flag moves in the next step
    _, _, _, _, info = env.step(np.zeros(17, np.float32))
    assert abs(info["metres"]) < 0.1
    terms = info["reward_terms"]
    assert abs(terms["progress"]) < 10.0 < abs(terms["flag"])
    env.close()


MUJOCO = {
    "Hopper-v5": ("forward", "ctrl", "survive"),
    "HalfCheetah-v5": ("forward", "ctrl"),
}


@pytest.mark.parametrize("env_id", MUJOCO)
def test_terms_that_info_names_are_weighed(env_id: str) -> None:
    pytest.importorskip("mujoco")
    env = envs.make(env_id)
    look = Objective(env)
    look.begin({})
    (*_, (_, info)) = play(env)
    look.end(info)
    spec = look.describe()
    assert set(spec.terms) == set(MUJOCO[env_id])
    assert spec.measures == ("metres",)
    assert spec.step_seconds == env.unwrapped.dt  # type: ignore[attr-defined]
    objective = Objective(env, spec)
    objective.weigh_by([0.0 if name == "forward" else 1.0 for name in spec.terms])
    objective.begin({"x_position": 1.0})
    rewards = []
    for reward, info in play(env):
        weighed = objective.weigh(reward, info)
        assert weighed == pytest.approx(reward - info["reward_forward"], abs=1e-12)
        rewards.append(float(reward))
    tally = objective.end(info)
    assert tally.total_reward == sum(rewards)
    assert sum(tally.terms) == pytest.approx(sum(rewards), abs=1e-9)
    assert tally.measures == {"metres": info["x_position"] - 1.0}
    env.close()


def test_an_environment_that_names_no_terms_has_none() -> None:
    env = envs.make("CartPole-v1")
    objective = Objective(env)
    objective.begin({})
    tally = objective.end({"reward_text": "much", "reward_return": 1.0, 3: 4.0})
    assert (tally.terms, tally.measures, objective.describe().terms) == ((), {}, ())
    env.close()


class Told:
    """An environment whose `info` names the terms of its reward."""


@pytest.mark.parametrize("found", [None, float("nan"), "1", True, {}])
def test_a_term_that_is_no_number_counts_nothing_unless_it_is_weighed(found: Any) -> None:
    objective = Objective(Told(), ObjectiveSpec(("forward", "ctrl")))  # type: ignore[arg-type]
    objective.begin({})
    assert objective.weigh(2.0, {"reward_forward": 1.5, "reward_ctrl": 0.5}) == 2.0
    assert objective.weigh(2.0, {"reward_forward": found, "reward_ctrl": np.float32(0.5)}) == 2.0
    tally = objective.end({})
    assert (tally.total_reward, tally.terms) == (4.0, (1.5, 1.0))
    objective.weigh_by((0.0, 1.0))
    with pytest.raises(ValueError, match=r"reward_forward in `info` is .*must be a finite number"):
        objective.weigh(2.0, {"reward_forward": found})
    assert objective.weigh(2.0, {}) == 2.0
