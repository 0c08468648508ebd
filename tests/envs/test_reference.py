"""Robots have the bits of the worlds that they come from, whoever acts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from references import PORTED, Reference

NEVER_END = {"HalfCheetah", "InvertedPendulumSwingup", "Reacher", "Pusher", "Thrower"}
# Linear feedback on the observation that keeps poles up till the time is up.
BALANCE = {
    "InvertedPendulum": [0.9, 0.9, 0.0, 6.2, 1.3],
    "InvertedDoublePendulum": [-0.7, -1.0, 0.0, 0.0, -5.8, -2.9, 0.0, -16.7, -2.8],
}
Actor = Callable[[int, Any], Any]


def random_actor(size: int, rng: np.random.Generator) -> Actor:
    return lambda t, obs: rng.uniform(-1.0, 1.0, size)


def saturated_actor(size: int, rng: np.random.Generator) -> Actor:
    return lambda t, obs: rng.choice([-3.0, -1.0, 1.0, 3.0], size)


def still_actor(size: int, rng: np.random.Generator) -> Actor:
    return lambda t, obs: np.zeros(size)


def swinging_actor(size: int, rng: np.random.Generator) -> Actor:
    """A slow open-loop gait; it keeps robots up longer than noise does."""
    phase, amplitude = rng.uniform(0.0, 2.0 * np.pi, size), rng.uniform(0.05, 0.6)
    return lambda t, obs: amplitude * np.sin(0.15 * t + phase)


ACTORS = [random_actor, saturated_actor, still_actor, swinging_actor]


def compare(ours: Any, reference: Reference, act: Actor, seed: int, steps: int, dtype: Any) -> bool:
    """Compare every bit of an episode; return whether the robot ended it."""
    obs, want = ours.reset(seed=seed)[0], reference.reset(seed)[0]
    assert obs.dtype == want.dtype == np.float32 and obs.tobytes() == want.tobytes()
    for t in range(steps):
        action = act(t, obs).astype(dtype)
        got, want = ours.step(action), reference.step(action)
        obs = got[0]
        assert obs.dtype == np.float32 and obs.tobytes() == want[0].tobytes(), f"{seed=} {t=}"
        assert (type(got[1]), type(got[2])) == (float, bool)
        assert got[1:3] == want[1:3], f"{seed=} {t=}"
        if got[2]:
            return True
    return False


@pytest.mark.parametrize("name", PORTED)
def test_every_bit_of_the_reference(name: str, make: Callable[..., Any]) -> None:
    env = make(name)
    ours, longest = env.unwrapped, env.spec.max_episode_steps
    reference = Reference(ours)
    assert ours.action_space == reference.env.action_space
    assert ours.observation_space == reference.env.observation_space
    ended = 0
    for seed in range(20):
        act = ACTORS[seed % 4](ours.action_space.shape[0], np.random.default_rng(seed))
        dtype = np.float64 if seed % 5 == 4 else np.float32
        # Whole episodes are long for runners, and slow for arms.
        steps = longest if seed == 3 else min(longest, 250) if seed < 4 else longest // 4
        ended += compare(ours, reference, act, seed, steps, dtype)
    reference.close()
    assert (ended == 0) == (name in NEVER_END), "the actors are too tame, or the robot is"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BALANCE)
def test_every_bit_of_the_reference_while_poles_stand(
    name: str, dtype: Any, make: Callable[..., Any]
) -> None:
    env = make(name)
    reference = Reference(env.unwrapped)
    gains = np.array([BALANCE[name]])
    for seed in range(2):
        assert not compare(
            env.unwrapped, reference, lambda t, obs: gains @ obs, seed, 1000, dtype
        ), "the pole fell"
    reference.close()


@pytest.mark.parametrize("name", ["Pusher", "Thrower"])
def test_the_reference_as_it_is_agrees_where_no_past_shows(
    name: str, make: Callable[..., Any]
) -> None:
    ours = make(name).unwrapped
    reference = Reference(ours, forget=False)
    reference.step(np.zeros(7, np.float32))  # at least Thrower's parts settle in a step
    for seed in range(4):
        act = random_actor(7, np.random.default_rng(seed))
        compare(ours, reference, act, seed, 25, np.float32)
    reference.close()


def test_short_sums_have_the_bits_of_the_references_functions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20_000):
        scale = 10.0 ** rng.uniform(-3, 2)
        gap = rng.normal(0.0, scale, 3)
        for size in (2, 3):
            listed = tuple(gap[:size].tolist())
            assert math.sqrt(np.dot(listed, listed)) == np.linalg.norm(gap[:size])
        assert float(gap[0]) ** 2 == gap[0] ** 2
        speeds = rng.normal(0.0, scale, 7)
        for action in (rng.normal(size=7), rng.normal(size=7).astype(np.float32)):
            work = np.dot(np.abs(action), np.abs(speeds.tolist()))
            assert work == np.matmul(np.abs(action), np.abs(speeds))
            total = squares = action.dtype.type(0.0)
            for a in action:
                total, squares = total + a, squares + a * a
            assert total == np.sum(action) and squares == np.square(action).sum()
