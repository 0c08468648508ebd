"""Three arms and what they reach for: Reacher, Pusher, Thrower."""

from __future__ import annotations

import math
from itertools import accumulate, repeat
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.bullet.base import (
    BulletEnv,
    Observation,
    check_action,
    load_robot,
    place_joints,
    release_joints,
)
from envs.bullet.client import pybullet
from envs.bullet.stage import Look, Point, World

STRENGTH = 0.05  # N m, of every motor


class _Group(NamedTuple):
    """The joints of a body that move, with the lowest value and the range of each."""

    body: int
    joints: list[int]
    limits: list[tuple[float, float]]


class Arm(BulletEnv):
    """An arm and things in its reach; see the module for observation, reward and termination."""

    model: ClassVar[str]
    motors: ClassVar[int]
    obs_size: ClassVar[int]
    look: ClassVar[Look]

    def __init__(self, render_mode: str | None = None, width: int = 640, height: int = 480) -> None:
        super().__init__(self.obs_size, self.motors, self.look, render_mode, width, height)

    def _load(self, client: int) -> World:
        floor, *bodies = load_robot(self.model, client)
        return World(floor, tuple(bodies))

    def _survey(self) -> None:
        client = self._client
        self._groups: list[_Group] = []
        self._links: dict[str, tuple[int, int]] = {}  # body and link; -1 is the body's base
        for body in self._world.bodies:
            self._links[pybullet.getBodyInfo(body, client)[0].decode()] = body, -1
            count = pybullet.getNumJoints(body, client)
            if count == 0:
                continue
            infos = [pybullet.getJointInfo(body, joint, client) for joint in range(count)]
            self._links |= {info[12].decode(): (body, info[0]) for info in infos}
            moving = [info for info in infos if info[2] != pybullet.JOINT_FIXED]
            limits = [(info[8], info[9] - info[8]) for info in moving]
            self._groups.append(_Group(body, [info[0] for info in moving], limits))
            release_joints(body, client)
        self._arm = self._groups[0]
        self._body, self._motors, _ = self._arm

    def _focus(self) -> Point:
        return 0.0, 0.0, 0.0

    def _states(self) -> list[tuple[float, float]]:
        """Return position and velocity of every joint: rad, or metres where it slides."""
        return [
            state[:2]
            for body, joints, _ in self._groups
            for state in pybullet.getJointStates(body, joints, self._client)
        ]

    def _position(self, name: str) -> Point:
        body, link = self._links[name]
        position: Point
        if link < 0:
            position, _ = pybullet.getBasePositionAndOrientation(body, self._client)
        else:
            position = pybullet.getLinkState(body, link, 0, 0, self._client)[0]
        return position

    def _torques(self, action: NDArray[Any]) -> list[float]:
        shares = action.tolist()
        if not all(map(math.isfinite, shares)):
            check_action(action, self._action_shape)
        return [STRENGTH * (1.0 if a > 1.0 else -1.0 if a < -1.0 else a) for a in shares]


class Reacher(Arm):
    """Two joints in a plane, observation [9]; the fingertip shall come to a point."""

    gravity = 0.0
    substeps = 1
    model = "reacher.xml"
    motors = 2
    obs_size = 9
    look = Look(0.8, height=0.0, pitch=-50.0)

    def _begin(self, rng: np.random.Generator) -> Observation:
        high = np.array((0.27, 0.27, 3.14, 3.14))
        *target, shoulder, elbow = rng.uniform(-high, high).tolist()
        arm, goal = self._groups
        place_joints(arm.body, arm.joints, (shoulder, elbow), self._client)
        place_joints(goal.body, goal.joints, target, self._client)
        obs = self._observe()
        self._potential = -100.0 * self._distance
        return obs

    def _observe(self) -> Observation:
        (turn, rate), (bend, bend_rate), (target_x, _), (target_y, _) = self._states()
        (lowest, extent), (elbow_lowest, elbow_extent) = self._arm.limits
        angle = 2.0 * (turn - lowest) / extent - 1.0
        self._rates = 0.1 * rate, 0.1 * bend_rate
        self._elbow = 2.0 * (bend - elbow_lowest) / elbow_extent - 1.0
        x, y, z = self._position("fingertip")
        goal_x, goal_y, goal_z = self._position("target")
        gap = x - goal_x, y - goal_y, z - goal_z
        self._distance = math.sqrt(np.dot(gap, gap))
        return np.array(
            (
                target_x,
                target_y,
                gap[0],
                gap[1],
                math.cos(angle),
                math.sin(angle),
                self._rates[0],
                self._elbow,
                self._rates[1],
            ),
            np.float32,
        )

    def _judge(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        before, self._potential = self._potential, -100.0 * self._distance
        (first, second), (rate, bend_rate) = action, self._rates
        # In the action's own precision, which a Python number takes over from a NumPy one.
        electricity = -0.1 * (abs(first * rate) + abs(second * bend_rate)) - 0.01 * (
            abs(first) + abs(second)
        )
        stuck = -0.1 if abs(abs(self._elbow) - 1.0) < 0.01 else 0.0
        return self._potential - before + float(electricity) + stuck, False


STUCK = list(accumulate(repeat(-0.1, 11), initial=0.0))


class Handler(Arm):
    """An arm of seven joints beside a thing and its place."""

    time_step = 0.01
    substeps = 5
    motors = 7

    def _survey(self) -> None:
        super()._survey()
        floor, wrist = self._world.floor, self._links["wrist_roll_link"]
        pybullet.setCollisionFilterPair(floor, wrist[0], -1, wrist[1], 1, self._client)

    def _restart(self, rng: np.random.Generator) -> Observation:
        obs = super()._restart(rng)
        client = self._client
        for mode in (2, 1):
            pybullet.setPhysicsEngineParameter(collisionFilterMode=mode, physicsClientId=client)
            for body in self._world.bodies:
                pybullet.setCollisionFilterPair(body, -1, -1, -1, 0, client)
            if mode == 2:
                pybullet.performCollisionDetection(client)
        return obs

    def _settle(self, gap) -> Observation:
        self._gap = gap.tolist()
        return self._observe()

    def _observe(self) -> Observation:
        values, scaled = [], []
        limits = [limit for group in self._groups for limit in group.limits]
        stuck = 0
        states = self._states()
        for (turn, rate), (lowest, extent) in zip(states, limits, strict=True):
            share = 2.0 * (turn - lowest) / extent - 1.0
            if abs(share) - 1.0 < 0.01:
                stuck += 1
            values += turn, rate
            scaled += share, 0.1 * rate
        self._stuck = stuck
        self._rates = [rate for _, rate in states[:7]]
        self._object, self._target = self._position("object"), self._position("target")
        return np.array(
            (
                *values,
                *scaled,
                *self._gap,
                *self._position("fingertip"),
                *self._object,
                *self._target,
            ),
            np.float32,
        )

    def _judge(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        rates = self._rates
        rates[4] = rates[2]
        power = float(np.dot(np.abs(action), np.abs(rates)))
        electricity = -0.1 * power - float(0.01 * np.add.reduce(action))
        return electricity + STUCK[self._stuck], False


class Pusher(Handler):
    """Observation [55]; a puck shall come to its place on the table."""

    gravity = 9.81
    model = "pusher.xml"
    obs_size = 55
    look = Look(2.5, height=0.0, pitch=-30.0)

    def _begin(self, rng: np.random.Generator) -> Observation:
        low = np.array((-1.0, -1.0, 0.5, -1.0, -1.0, 0.1, *[-3.14] * 7))
        high = np.array((1.0, 1.0, 0.8, 1.0, 1.0, 0.4, *[3.14] * 7))
        draw = rng.uniform(low, high)
        target = draw[:2] / np.linalg.norm(draw[:2]) * draw[2]
        thing = draw[3:5] / np.linalg.norm(draw[3:5] - target) * draw[5]
        arm, puck, goal = self._groups
        offset = (0.45, 0.55)
        place_joints(goal.body, goal.joints, (target - offset).tolist(), self._client)
        place_joints(puck.body, puck.joints, (thing - offset).tolist(), self._client)
        place_joints(arm.body, arm.joints, draw[6:].tolist(), self._client)
        return self._settle(target - thing)


class Thrower(Handler):
    """Observation [48]; a ball shall come into a box."""

    gravity = 0.0
    model = "thrower.xml"
    obs_size = 48
    look = Look(2.5, height=0.0, pitch=-30.0)

    def _begin(self, rng: np.random.Generator) -> Observation:
        low = np.array((*[-3.14] * 7, -1.0, -1.0, -1.0, 0.1, -1.0, -1.0, -1.0, 0.1))
        high = np.array((*[3.14] * 7, 1.0, 1.0, 1.0, 0.8, 1.0, 1.0, 1.0, 0.8))
        draw = rng.uniform(low, high)
        ball = draw[7:10] / np.linalg.norm(draw[7:10]) * draw[10]
        target = draw[11:14] / np.linalg.norm(draw[11:14]) * draw[14]
        place_joints(self._arm.body, self._arm.joints, draw[:7].tolist(), self._client)
        offset = (0.45, 0.55, 0.0)
        for name, place in (("object", ball), ("target", target)):
            pybullet.resetBasePositionAndOrientation(
                self._links[name][0], (place - offset).tolist(), (0, 0, 0, 1), self._client
            )
        self._landed = None
        return self._settle(target - ball)

    def _judge(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        reward, _ = super()._judge(obs, action)
        if self._landed is None and self._object[2] < -0.25:
            self._landed = self._object
        x, y, _ = self._landed or self._object
        gap = x - self._target[0], y - self._target[1]
        distance = math.sqrt(np.dot(gap, gap))
        effort = float(0.002 * -np.add.reduce(np.square(action)))
        return reward - distance + effort, False
