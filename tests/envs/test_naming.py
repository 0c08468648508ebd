"""Names for the numbers of observations and actions are those of the environments."""

from __future__ import annotations

from typing import Any

import pytest

import envs
from envs.clock import Clock
from envs.naming import SPACE_NAMES, space_names
from policies import space_spec


@pytest.mark.parametrize("env_id", [name for name in SPACE_NAMES if name != "LunarLander-v3"])
def test_each_number_has_one_name(env_id: str) -> None:
    env = envs.make(env_id)
    try:
        (size,) = env.observation_space.shape or ()
        sizes = size, space_spec(env.action_space, "action").size
    finally:
        env.close()
    names = SPACE_NAMES[env_id]
    assert (len(names.observation), len(names.action)) == sizes
    assert all(len(set(words)) == len(words) for words in names)


def test_every_robot_is_known_by_either_name() -> None:
    for row in envs.table():
        if row.id.startswith(("bullet/", "driving/")):
            names = SPACE_NAMES[row.name]
            assert names == space_names(row.id, len(names.observation), len(names.action))


@pytest.mark.parametrize("robot", ["HalfCheetah", "Hopper", "Walker2D", "Ant", "Humanoid"])
def test_joints_and_contacts_are_in_the_model_s_order(robot: str) -> None:
    from envs.bullet.client import pybullet

    env = envs.make(robot)
    try:
        ours: Any = env.unwrapped
        joints = [
            pybullet.getJointInfo(ours._body, joint, ours._client)[1].decode()
            for joint in ours._motors
        ]
        feet = ours.robot.feet
    finally:
        env.close()
    names = SPACE_NAMES[robot]
    for model, ours_name in zip(
        (*joints, *feet), (*names.action, *names.observation[-len(feet) :]), strict=True
    ):
        assert _words(model) == _words(ours_name.removesuffix(" contact")), (model, ours_name)


def _words(name: str) -> list[str]:
    """The parts of a joint's or link's name in one spelling."""
    for old, new in {
        "bthigh": "back_thigh",
        "bshin": "back_shin",
        "bfoot": "back_foot",
        "fthigh": "front_thigh",
        "fshin": "front_shin",
        "ffoot": "front_foot",
        "_joint": "",
        "shoulder1": "shoulder_1",
        "shoulder2": "shoulder_2",
    }.items():
        name = name.replace(old, new) if name != "foot" else name
    return sorted(name.replace(" ", "_").split("_"))


def test_of_a_changed_world_the_numbers_have_indices() -> None:
    names = space_names("CartPole-v1", 5, 2)
    assert names.observation == tuple(f"input {index}" for index in range(5))
    assert names.action == ("push left", "push right")
    assert space_names("Unheard-v0", 1, 1) == (("input 0",), ("action 0",))


@pytest.mark.parametrize(
    "env_id", ["Minitaur", "Hopper", "Pendulum-v1", "MountainCarContinuous-v0"]
)
def test_a_clock_s_numbers_are_named_after_the_others(env_id: str) -> None:
    env = envs.make(env_id, clock=[6.4, 1.5])
    try:
        (size,) = env.observation_space.shape or ()
        assert isinstance(env, Clock)
        after = env.after(1)  # a step: sines first, and the faster one is the larger
    finally:
        env.close()
    own, action = SPACE_NAMES[env_id]
    names = space_names(env_id, size, len(action), [6.4, 1.5])
    clock = "clock 6.4 Hz sine", "clock 6.4 Hz cosine", "clock 1.5 Hz sine", "clock 1.5 Hz cosine"
    assert names == ((*own, *clock), action) and len(names.observation) == size
    assert after[0] > after[2] > 0 and after[1] < after[3] < 1
    assert space_names("Unheard-v0", 3, 1, [1.0]).observation == (
        *("input 0", "clock 1 Hz sine", "clock 1 Hz cosine"),
    )
    assert space_names("Unheard-v0", 1, 1, [1.0]).observation == ("input 0",)
