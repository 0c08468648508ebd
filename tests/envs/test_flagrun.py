"""The humanoid's two tasks with a flag: what random actions alone do not get to, bit for bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from references import Reference

from envs.bullet.client import pybullet
from envs.bullet.flagrun import HumanoidFlagrun, HumanoidFlagrunHarder

BOTH = ["HumanoidFlagrun", "HumanoidFlagrunHarder"]
UP = 0.0, 0.0, 0.0, 1.0  # a quaternion


@pytest.fixture
def make(make: Callable[..., Any]) -> Callable[..., Any]:
    """Makes environments without their time limits."""
    return lambda name, **kwargs: make(name, **kwargs).unwrapped


def actions(seed: int, count: int) -> Any:
    """Noise, or still, or a swing that lasts longer, float32 or float64."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0.0, 6.0, 17)
    chosen = [
        rng.uniform(-1.5, 1.5, (count, 17)),
        np.zeros((count, 17)),
        0.4 * np.sin(0.15 * np.arange(count)[:, None] + phase),
    ][seed % 3]
    return chosen.astype(np.float64 if seed % 4 == 3 else np.float32)


def hand(env: HumanoidFlagrun, t: int, fall_at: int) -> tuple[float, float, float] | None:
    """Where a helping hand stands the robot up at step t, if it does: once near the flag.

    It lets the robot fall at first, where that is not the end.
    """
    first = 40 if isinstance(env, HumanoidFlagrunHarder) else 8
    if t % 8 or not first <= t < fall_at:
        return None
    if t == 96:
        return env._target_x + 0.3, env._target_y, 1.4
    return env._position[0], env._position[1], 1.4


def stand_up(client: int, body: int, where: tuple[float, float, float]) -> None:
    pybullet.resetBasePositionAndOrientation(body, where, UP, client)
    pybullet.resetBaseVelocity(body, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), client)


def watch(env: HumanoidFlagrun, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what happens in `env`."""
    seen: Counter[str] = Counter()
    move = env._move_flag

    def move_flag() -> None:
        seen["reached"] += env._distance < 1.0
        seen["late"] += env._patience == 0
        move()

    monkeypatch.setattr(env, "_distance", np.inf, raising=False)
    monkeypatch.setattr(env, "_move_flag", move_flag)
    if isinstance(env, HumanoidFlagrunHarder):
        throw = env._throw_cube

        def throw_cube() -> None:
            seen["thrown"] += 1
            throw()

        monkeypatch.setattr(env, "_throw_cube", throw_cube)
    return seen


@pytest.mark.parametrize("name", BOTH)
def test_every_bit_of_the_reference_with_a_helping_hand(
    name: str, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = make(name)
    reference = Reference(ours)
    seen = watch(ours, monkeypatch)
    harder = isinstance(ours, HumanoidFlagrunHarder)
    for seed in range(6):
        want, got = reference.reset(seed=seed)[0], ours.reset(seed=seed)[0]
        assert got.tobytes() == want.tobytes()
        for t, action in enumerate(actions(seed, 460)):
            where = hand(ours, t, fall_at=280)
            if where is not None:
                stand_up(ours._client, ours._body, where)
                stand_up(reference.client, reference.env.robot.objects[0], where)
            want, got = reference.step(action), ours.step(action)
            assert got[0].tobytes() == want[0].tobytes(), f"seed {seed}, step {t}"
            assert (type(got[1]), *got[1:3]) == (float, *want[1:3]), f"seed {seed}, step {t}"
            if harder:
                cube = pybullet.getContactPoints(
                    ours._body, ours._scene.bodies[2], physicsClientId=ours._client
                )
                seen["hit"] += len(cube) > 0
                seen["crawling"] += ours._crawl_start is not None
                seen["up again"] += ours._crawl_start is None and ours._crawled != 0.0
            if want[2]:
                seen["ended on the floor"] += t > 170 and harder
                break
    reference.close()
    wanted = {"reached", "late"}
    if harder:
        wanted |= {"thrown", "hit", "crawling", "up again", "ended on the floor"}
    assert wanted <= {event for event, count in seen.items() if count > 0}


@pytest.mark.parametrize("name", ["Humanoid", *BOTH])
def test_bullet_forgets_what_the_robot_touched(name: str, make: Callable[..., Any]) -> None:
    def play(env: Any, seed: int) -> list[Any]:
        steps: list[Any] = [env.reset(seed=seed)[0].tobytes()]
        return steps + [env.step(action)[0].tobytes() for action in actions(seed, 180)]

    env = make(name)
    first = [play(env, seed) for seed in range(3)]
    assert [play(env, seed) for seed in (2, 0, 1)] == [first[seed] for seed in (2, 0, 1)]
    assert play(make(name), 2) == first[2]


@pytest.mark.parametrize("name", BOTH)
def test_draws_within_an_episode_depend_on_its_seed_alone(
    name: str, make: Callable[..., Any]
) -> None:
    def play(env: HumanoidFlagrun, seed: int) -> list[Any]:
        steps: list[Any] = [env.reset(seed=seed)[0].tobytes()]
        for t, action in enumerate(actions(2, 170)):
            where = hand(env, t, fall_at=999)
            if where is not None:
                stand_up(env._client, env._body, where)
            obs, reward, terminated, _, _ = env.step(action)
            steps.append((obs.tobytes(), reward, terminated))
        return steps

    env = make(name)
    first = play(env, 3)
    env.reset()
    play(env, 4)
    assert play(env, 3) == first
    other = make(name)
    env.reset(seed=1)
    assert play(other, 3) == first


def worth(env: HumanoidFlagrun, action: Any) -> float:
    """The reward of a step, less what it costs to have joints at their limits."""
    _, reward, _, _, _ = env.step(action)
    return float(reward + 0.1 * env._at_limit)


def test_moving_the_flag_is_rewarded_as_if_the_robot_had_moved(make: Callable[..., Any]) -> None:
    env = make("HumanoidFlagrun")
    env.reset(seed=0)
    stand_up(env._client, env._body, (env._target_x, env._target_y, 1.4))
    before, flag = env._potential, (env._target_x, env._target_y)
    gain = worth(env, np.zeros(17, np.float32))
    assert (env._target_x, env._target_y) != flag
    assert gain == pytest.approx(2.0 - env._distance / 0.0165 - before)
    assert abs(env._target_x) <= 13.125 and abs(env._target_y) <= 6.25


def test_lying_ends_the_harder_task_after_170_steps_and_crawling_is_not_paid(
    make: Callable[..., Any],
) -> None:
    env = make("HumanoidFlagrunHarder")
    env.reset(seed=0)
    gains, leaks = [], []
    for _ in range(300):
        gains.append(worth(env, np.zeros(17, np.float32)))
        leaks.append(env._leak())
        if env._frames_down == 170:
            break
    assert 180 < len(gains) < 300 and abs(env._crawled) > 1.0
    sunk = 100.0 * np.diff(leaks)
    assert np.allclose(gains[101:-1], leaks[101:-1] + sunk[100:-1])  # and no progress
    assert gains[-1] == pytest.approx(-1.0 + sunk[-1])
    assert env.step(np.zeros(17, np.float32))[2]


def test_flag_and_cube_are_seen_and_the_camera_turns_to_the_flag(make: Callable[..., Any]) -> None:
    env = make("HumanoidFlagrunHarder", render_mode="rgb_array", width=320, height=240)
    for seed in range(3):
        env.reset(seed=seed)
        for flag in ((6.0, 0.0), (-3.0, 5.0)):
            env._target_x, env._target_y = flag
            _, flag_body, cube_body = env._scene.bodies
            pybullet.resetBasePositionAndOrientation(flag_body, (*flag, 0.7), UP, env._client)
            pybullet.resetBasePositionAndOrientation(cube_body, (0.3, 0.3, 1.0), UP, env._client)
            red, green, blue = np.moveaxis(env.render().astype(int), 2, 0)
            assert ((green - red > 20) & (green - blue > 20)).sum() > 100
            assert ((red - green > 20) & (blue - green > 20)).sum() > 3
