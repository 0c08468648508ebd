"""Minitaur: every bit of the example that comes with PyBullet, which was made for the old Gym."""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gym_stand_in import stand_in

import envs
from envs.bullet import minitaur
from envs.bullet.client import pybullet


class Example:
    """PyBullet's `MinitaurBulletEnv` with the manners of Gymnasium.

    It draws from Python's and from NumPy's global random numbers. Here it draws from a generator
    like ours; and actions that it refuses are cut to the largest that it takes.
    """

    def __init__(self) -> None:
        with stand_in():
            from pybullet_envs.bullet import minitaur_env_randomizer, minitaur_gym_env
        self._randomizer = minitaur_env_randomizer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its spaces round float64 bounds
            self.env = minitaur_gym_env.MinitaurBulletEnv()
        self.action_space = self.env.action_space
        self.observation_space = self.env.observation_space

    def reset(self, seed: int) -> Any:
        source = types.SimpleNamespace(uniform=np.random.default_rng(seed).uniform)
        self._randomizer.random = source
        self._randomizer.np = types.SimpleNamespace(array=np.array, random=source)
        return self.env.reset().astype(np.float32)

    def step(self, action: Any) -> tuple[Any, float, bool]:
        obs, reward, terminated, _ = self.env.step(np.clip(action, -1.01, 1.01))
        return obs.astype(np.float32), float(reward), bool(terminated)


@pytest.fixture(scope="module")
def example() -> Iterator[Example]:
    example = Example()
    yield example
    example.env._pybullet_client.disconnect()


@pytest.fixture
def ours() -> Iterator[Any]:
    env = envs.make("Minitaur")
    yield env.unwrapped
    env.close()


def actions(seed: int, count: int) -> Any:
    """Noise, kicks beyond the bounds, nothing, or a trot; float32 or float64."""
    rng = np.random.default_rng(seed)
    trot = 0.3 * np.arange(count)[:, None] + np.array([0.0, 3.1, 3.1, 0.0])
    chosen = [
        rng.uniform(-1.0, 1.0, (count, 8)),
        np.repeat(rng.choice([-3.0, -1.0, 1.0, 3.0], (count, 8)), 20, 0)[:count],
        np.zeros((count, 8)),
        rng.uniform(0.2, 0.8) * np.hstack([np.sin(trot), np.cos(trot)]),
    ][seed % 4]
    return chosen.astype(np.float64 if seed % 5 == 4 else np.float32)


def test_every_bit_of_the_example(example: Example, ours: Any) -> None:
    assert ours.action_space == example.action_space
    assert ours.observation_space == example.observation_space
    ended = 0
    for seed in range(20):
        want, (got, _) = example.reset(seed), ours.reset(seed=seed)
        assert got.dtype == np.float32 and got.tobytes() == want.tobytes(), f"seed {seed}"
        for t, action in enumerate(actions(seed, 40)):
            want, got = example.step(action), ours.step(action)
            assert got[0].dtype == np.float32, f"seed {seed}, step {t}"
            assert got[0].tobytes() == want[0].tobytes(), f"seed {seed}, step {t}"
            assert (type(got[1]), *got[1:3]) == (float, *want[1:3]), f"seed {seed}, step {t}"
            if want[2]:
                ended += 1
                break
    assert 0 < ended < 20


def test_a_motor_held_for_a_second_gives_up_as_in_the_example(example: Example, ours: Any) -> None:
    """Both are held by a hand that turns the motor back before every step."""
    example.reset(0)
    ours.reset(seed=0)
    theirs = example.env.minitaur
    for t, action in enumerate(actions(2, 120)):
        for body, client in (
            (ours._body, ours._client),
            (theirs.quadruped, example.env._pybullet_client._client),
        ):
            pybullet.resetJointState(body, minitaur._MOTOR_LINKS[0], 0.0, 0.0, client)
        want, got = example.step(action), ours.step(action)
        assert got[0].tobytes() == want[0].tobytes(), f"step {t}"
        assert got[1:3] == want[1:], f"step {t}"
        assert ours._disabled == [not enabled for enabled in theirs._motor_enabled_list]
        assert any(ours._disabled) == (t >= 100)
    ours.reset(seed=0)
    assert not any(ours._disabled)


def test_a_motor_gives_less_torque_for_each_further_ampere() -> None:
    def torque(current: float) -> float:
        return minitaur._motor_torque(current * 0.186)

    assert torque(0.0) == 0.0
    assert torque(5.0) == pytest.approx(0.5)  # 10 A give 1 N m
    assert torque(-15.0) == pytest.approx(-1.45)  # 20 A 1.9, halfway between
    assert torque(55.0) == pytest.approx(3.375)
    assert torque(60.0) == pytest.approx(3.5) and torque(268.0) == 3.5


def test_feet_are_stretched_and_swung_by_two_motors_each() -> None:
    rest = math.pi - 1.5 * math.pi / 4
    eighth = math.pi / 8
    action = np.array([0.5, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0])
    left, right = np.split(np.array(minitaur._motor_angles(action)), 2)
    assert left == pytest.approx([rest + eighth, rest - eighth, rest - eighth, rest - eighth])
    assert right == pytest.approx([rest - eighth, rest + eighth, rest, rest])
    beyond = minitaur._motor_angles(np.full(8, 3, np.int64))
    assert beyond == minitaur._motor_angles(np.full(8, 1.01))


def test_every_episode_has_a_robot_of_its_own(ours: Any) -> None:
    found = set()
    for seed in (0, 1):
        ours.reset(seed=seed)
        mass, friction = pybullet.getDynamicsInfo(ours._body, 3, ours._client)[:2]
        found.add((mass, friction, ours._voltage, ours._back_emf))
        assert 14.8 <= ours._voltage <= 16.8 and 0.8 <= friction <= 1.5
    assert len(found) == 2
