"""Three arms that reach for a target or move an object to it: Reacher, Pusher, Thrower.

They match the tasks of the same names in `pybullet_envs_gymnasium` 0.6.0 bit for bit, as far as the
reference is repeatable; see `forget_contacts`.

    action          torque of each motor as a fraction of 0.05 N m, clipped to -1 .. 1: Reacher [2]
                    shoulder and elbow; the others [7] shoulder pan, shoulder lift, upper arm roll,
                    elbow, forearm roll, wrist flex, wrist roll
    observation [9] of Reacher, float32
        0, 1        position of the target, m
        2, 3        x and y from the target to the fingertip, m
        4, 5        cosine and sine of 1 - 2q, where q is the shoulder's angle, rad
        6           the shoulder's velocity, 0.1 times rad/s
        7, 8        the elbow's angle, scaled to -1 .. 1 between its limits, and its velocity, 0.1
                    times rad/s
    observation [55] of Pusher and [48] of Thrower, float32; n joints, 11 and 9: the arm's, x and y
    of the puck (Pusher only), x and y of the target
        0 ..        for each joint its angle, rad, or position, m, and its velocity, rad/s or m/s
        2n ..       for each joint the same, scaled to -1 .. 1 between its limits, and 0.1 times its
                    velocity
        4n ..       from the object to the target as they were drawn, m: x, y; for Thrower also z
        last 9      x, y, z of the fingertip, of the object and of the target, m
    reward of Reacher, the sum of
        progress    100 times the decrease of the fingertip's distance from the target, m
        electricity -0.1 sum|action * 0.1 velocity|
        stall       -0.01 sum|action|
        limits      -0.1 if the elbow is within 1% of its limit
    reward of Pusher and Thrower, the sum of
        electricity -0.1 sum|action * velocity|
        stall       -0.01 sum(action)
        limits      -0.1 for each joint that is not beyond a limit by more than 1%
        distance    Thrower: minus the horizontal distance, m, from the target to the ball, or to
                    where the ball first fell below -0.25 m
        effort      Thrower: -0.002 sum(action^2)
    termination     never

Everything starts at rest, with joint angles uniform within +-3.14 rad. A step lasts 0.0165 s; for
Pusher and Thrower 0.01 s.

Oddities of the reference that are kept:

- Reacher: the shoulder has no limits, and Bullet reports 1 and 0. The angle is scaled between these
  before its cosine is taken, so opposite poses look alike.
- Pusher and Thrower: the vector from object to target, and so any reward for progress, is constant
  within an episode.
- Pusher and Thrower: the electricity of the forearm roll is computed with the upper arm's velocity,
  and negative actions are rewarded.
- Pusher and Thrower: the limit cost applies to joints within their limits, nearly always all of
  them.
- Pusher and Thrower: arms start far outside their limits, which push them back violently.
- Pusher and Thrower: puck and target, and ball and box, are not as far apart as drawn, because
  their models displace them.
- Thrower has no gravity.

One oddity is not kept: in the reference, a box that was pushed stays there in the next episode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, repeat
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.bullet.base import (
    BulletEnv,
    Observation,
    check_action,
    load_floor,
    load_robot,
    place_joints,
    release_joints,
)
from envs.bullet.client import pybullet
from envs.bullet.renderer import Point, Scene, View

STRENGTH = 0.05  # N m, of every motor
_TURN = 3.14  # initial joint angles are within plus or minus this, rad

# Pusher and Thrower: the joint whose velocity each action is multiplied by.
_SPEED_OF = (0, 1, 2, 3, 2, 5, 6)
# The limit cost by number of joints, summed one by one.
LIMIT_COSTS = tuple(accumulate(repeat(-0.1, 11), initial=0.0))

# Bullet's collision filter modes. In the first, two parts may collide if the mask of either one
# contains the other's group, as in MuJoCo. With an unknown mode, no parts collide.
_EITHER_NAMES_THE_OTHER, _NONE = 1, 2


class _Group(NamedTuple):
    """The movable joints of a body, and the lower limit and range of each."""

    body: int
    joints: list[int]
    limits: list[tuple[float, float]]


class ManipulationEnv(BulletEnv):
    """An arm and its surroundings. The module documents observation, reward and termination."""

    model: ClassVar[str]
    motors: ClassVar[int]
    obs_size: ClassVar[int]
    view: ClassVar[View]

    def __init__(self, render_mode: str | None = None, width: int = 640, height: int = 480) -> None:
        super().__init__(self.obs_size, self.motors, self.view, render_mode, width, height)

    def _load(self, client: int) -> Scene:
        floor, *bodies = load_robot(self.model, client)
        return Scene(floor, tuple(bodies))

    def _load_copy(self, client: int) -> Scene:
        floor = load_floor(client, self.view.floor)
        return Scene(floor, load_robot(self.model, client, floor=False))

    def _survey(self) -> None:
        client = self._client
        groups = []
        self._parts: dict[str, tuple[int, int]] = {}  # body and link; -1 is the base
        for body in self._scene.bodies:
            self._parts[pybullet.getBodyInfo(body, client)[0].decode()] = body, -1
            count = pybullet.getNumJoints(body, client)
            infos = [pybullet.getJointInfo(body, joint, client) for joint in range(count)]
            self._parts |= {info[12].decode(): (body, info[0]) for info in infos}
            moving = [info for info in infos if info[2] != pybullet.JOINT_FIXED]
            if moving:
                limits = [(info[8], info[9] - info[8]) for info in moving]
                groups.append(_Group(body, [info[0] for info in moving], limits))
                release_joints(body, client)
        self._groups = groups
        self._body, self._motors, _ = groups[0]
        self._limits = [limit for group in groups for limit in group.limits]

    def _focus(self) -> Point:
        return 0.0, 0.0, 0.0

    def _states(self) -> list[tuple[float, float]]:
        """Return position and velocity of every joint."""
        return [
            state[:2]
            for body, joints, _ in self._groups
            for state in pybullet.getJointStates(body, joints, self._client)
        ]

    def _position(self, part: str) -> Point:
        body, link = self._parts[part]
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


class Reacher(ManipulationEnv):
    """Two joints in a plane, observation [9]; the fingertip has to reach a target."""

    reward_terms = "progress", "electricity", "stall", "limits"
    model = "reacher.xml"
    motors = 2
    obs_size = 9
    view = View(
        0.75,
        height=0.0,
        pitch=-60.0,
        dark=("sideS", "sideE", "sideN", "sideW"),
        goal=("target",),
        floor=-0.02,
    )
    gravity = 0.0
    substeps = 1

    def _begin(self, rng: np.random.Generator) -> Observation:
        high = np.array((0.27, 0.27, _TURN, _TURN))
        *target, shoulder, elbow = rng.uniform(-high, high).tolist()
        arm, goal = self._groups
        place_joints(arm.body, arm.joints, (shoulder, elbow), self._client)
        place_joints(goal.body, goal.joints, target, self._client)
        obs = self._observe()
        self._potential = -100.0 * self._distance
        return obs

    def _observe(self) -> Observation:
        (turn, speed), (bend, bend_speed), (target_x, _), (target_y, _) = self._states()
        (lowest, extent), (elbow_lowest, elbow_extent), *_ = self._limits
        angle = 2.0 * (turn - lowest) / extent - 1.0
        self._speeds = 0.1 * speed, 0.1 * bend_speed
        self._elbow = 2.0 * (bend - elbow_lowest) / elbow_extent - 1.0
        x, y, z = self._position("fingertip")
        goal_x, goal_y, goal_z = self._position("target")
        gap = x - goal_x, y - goal_y, z - goal_z
        # Uses BLAS, here and below, as the reference does: some BLAS kernels round a sum of
        # products once and others twice, and the result must round in the same way.
        self._distance = math.sqrt(np.dot(gap, gap))
        return np.array(
            (
                target_x,
                target_y,
                gap[0],
                gap[1],
                math.cos(angle),
                math.sin(angle),
                self._speeds[0],
                self._elbow,
                self._speeds[1],
            ),
            np.float32,
        )

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        before, self._potential = self._potential, -100.0 * self._distance
        # In the action's precision: a NumPy scalar times a Python float keeps the NumPy dtype.
        (shoulder, elbow), (speed, bend_speed) = action, self._speeds
        work = abs(shoulder * speed) + abs(elbow * bend_speed)
        power, stall = -0.1 * work, 0.01 * (abs(shoulder) + abs(elbow))
        limits = -0.1 if abs(abs(self._elbow) - 1.0) < 0.01 else 0.0
        progress, terms, weights = self._potential - before, self._terms, self.reward_weights
        terms["progress"] += progress
        terms["electricity"] += float(power)
        terms["stall"] -= float(stall)
        terms["limits"] += limits
        if weights[1] == weights[2]:
            electricity = weights[1] * float(power - stall)
        else:
            electricity = weights[1] * float(power) - weights[2] * float(stall)
        return weights[0] * progress + electricity + weights[3] * limits, False


class ObjectManipulationEnv(ManipulationEnv):
    """An arm of seven joints, an object and a target."""

    metadata: dict[str, Any] = {**BulletEnv.metadata, "render_fps": 100}  # noqa: RUF012
    reward_terms: ClassVar[tuple[str, ...]] = ("electricity", "stall", "limits")
    motors = 7
    time_step = 0.01
    substeps = 5
    wrist: ClassVar[str] = "wrist_roll_link"
    view = View(
        2.4,
        height=0.0,
        yaw=40.0,
        pitch=-28.0,
        dark=("shoulder_pan_link", "elbow_flex_link", "forearm_roll_link", "forearm_link"),
        goal=("target",),
        floor=-0.325,
    )

    def _survey(self) -> None:
        super()._survey()
        keep_one_pair(self._client, self._scene.floor, *self._parts[self.wrist])

    def _restart(self, rng: np.random.Generator) -> Observation:
        obs = super()._restart(rng)
        forget_contacts(self._client, self._scene.bodies)
        return obs

    def _focus(self) -> Point:
        return 0.1, -0.45, 0.0

    def _start(self, gap: NDArray[np.float64]) -> Observation:
        """Return the first observation; `gap` is the vector from the object to the target."""
        self._gap = gap.tolist()
        return self._observe()

    def _observe(self) -> Observation:
        values: list[float] = []
        scaled: list[float] = []
        within = 0
        states = self._states()
        for (value, speed), (lowest, extent) in zip(states, self._limits, strict=True):
            share = 2.0 * (value - lowest) / extent - 1.0
            if abs(share) - 1.0 < 0.01:
                within += 1
            values += value, speed
            scaled += share, 0.1 * speed
        self._within = within
        self._speeds = [states[joint][1] for joint in _SPEED_OF]
        self._object, self._target = self._position("object"), self._position("target")
        places = *self._position("fingertip"), *self._object, *self._target
        return np.array((*values, *scaled, *self._gap, *places), np.float32)

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        work = float(np.dot(np.abs(action), np.abs(self._speeds)))
        # The sum is in the action's precision, the work in float64.
        power, stall = -0.1 * work, float(0.01 * np.add.reduce(action))
        limits, terms, weights = LIMIT_COSTS[self._within], self._terms, self.reward_weights
        terms["electricity"] += power
        terms["stall"] -= stall
        terms["limits"] += limits
        return weights[0] * power - weights[1] * stall + weights[2] * limits, False


class Pusher(ObjectManipulationEnv):
    """An arm that pushes a puck to a target on the table, observation [55]."""

    model = "pusher.xml"
    obs_size = 55
    gravity = 9.81

    def _begin(self, rng: np.random.Generator) -> Observation:
        high = np.array((1.0, 1.0, 0.8, 1.0, 1.0, 0.4, *[_TURN] * 7))
        low = np.array((-1.0, -1.0, 0.5, -1.0, -1.0, 0.1, *[-_TURN] * 7))
        drawn = rng.uniform(low, high)
        target = drawn[0:2] / np.linalg.norm(drawn[0:2]) * drawn[2]
        puck = drawn[3:5] / np.linalg.norm(drawn[3:5] - target) * drawn[5]
        origin = 0.45, 0.55  # of the drawn positions, relative to where the models stand
        places = drawn[6:], puck - origin, target - origin
        for (body, joints, _), place in zip(self._groups, places, strict=True):
            place_joints(body, joints, place.tolist(), self._client)
        return self._start(target - puck)


class Thrower(ObjectManipulationEnv):
    """An arm that throws a ball into a box, observation [48]."""

    reward_terms = *ObjectManipulationEnv.reward_terms, "distance", "effort"
    model = "thrower.xml"
    obs_size = 48
    gravity = 0.0

    def _begin(self, rng: np.random.Generator) -> Observation:
        high = np.array((*[_TURN] * 7, 1.0, 1.0, 1.0, 0.8, 1.0, 1.0, 1.0, 0.8))
        low = np.array((*[-_TURN] * 7, -1.0, -1.0, -1.0, 0.1, -1.0, -1.0, -1.0, 0.1))
        drawn = rng.uniform(low, high)
        ball = drawn[7:10] / np.linalg.norm(drawn[7:10]) * drawn[10]
        target = drawn[11:14] / np.linalg.norm(drawn[11:14]) * drawn[14]
        place_joints(self._body, self._motors, drawn[:7].tolist(), self._client)
        origin = 0.45, 0.55, 0.0
        for part, place in ("object", ball - origin), ("target", target - origin):
            pybullet.resetBasePositionAndOrientation(
                self._parts[part][0], place.tolist(), (0.0, 0.0, 0.0, 1.0), self._client
            )
        self._landing: Point | None = None
        return self._start(target - ball)

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        reward, _ = super()._reward_and_termination(obs, action)
        if self._landing is None and self._object[2] < -0.25:
            self._landing = self._object
        x, y, _ = self._landing or self._object
        gap = x - self._target[0], y - self._target[1]
        distance = math.sqrt(np.dot(gap, gap))
        effort = float(0.002 * np.add.reduce(action * action))
        terms, weights = self._terms, self.reward_weights
        terms["distance"] -= distance
        terms["effort"] -= effort
        return reward - weights[3] * distance - weights[4] * effort, False


def keep_one_pair(client: int, floor: int | None, body: int, link: int) -> None:
    """Keep a link and the floor as the only collision pair while no other parts may collide."""
    pybullet.setCollisionFilterPair(floor, body, -1, link, 1, client)


def forget_contacts(client: int, bodies: Sequence[int]) -> None:
    """Make Bullet forget which parts of `bodies` touched or were close to each other.

    Bullet keeps pairs of parts that came close to each other, and drops separated pairs one at a
    time. While the arm and the object form a pair, it solves their motion together, in a different
    order, which changes the last bits. Such pairs survive the move from the end of an episode to
    the start of the next one, so the reference's episodes depend on earlier ones: for 4 (Pusher)
    and 7 (Thrower) of 60 seeds, three instances with different histories differed within 20 steps.
    Consecutive episodes of one reference instance agree with ours for 49 (Pusher) and 48 (Thrower)
    of 50 seeds. If the reference is made to forget as well, all agree, as
    `tests/envs/test_reference.py` checks.

    Setting a body's filter gives it new pairs for its current position. The index at which Bullet
    resumes its search for separated pairs is not reset by this, but by a search with a single pair,
    which `keep_one_pair` ensures.
    """
    for mode in (_NONE, _EITHER_NAMES_THE_OTHER):
        pybullet.setPhysicsEngineParameter(collisionFilterMode=mode, physicsClientId=client)
        for body in bodies:
            pybullet.setCollisionFilterPair(body, -1, -1, -1, 0, client)
        if mode == _NONE:
            pybullet.performCollisionDetection(client)
