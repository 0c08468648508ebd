"""Five robots that are rewarded for running along +x: HalfCheetah, Hopper, Walker2D, Ant, Humanoid.

They match the locomotion tasks of `pybullet_envs_gymnasium` 0.6.0, which descend from OpenAI's
Roboschool, bit for bit. In the reference, the first episode of an instance differs from all later
ones; here every episode is like the later ones. For n joints and f feet:

    action [n]      torque of each joint as a fraction of its motor's strength, clipped to -1 .. 1
    observation [8 + 2n + f], float32, each component clipped to -5 .. 5
        0           height of the torso's centre relative to its resting height, metres
        1, 2        sine and cosine of the angle between heading and target (1 km along +x)
        3, 4, 5     velocity of the torso relative to its heading, forward, left, up: 0.3 times m/s
        6, 7        roll and pitch of the torso, rad
        8 ..        for each joint its angle, scaled to -1 .. 1 between the joint's limits, and its
                    angular velocity, 0.1 times rad/s
        last f      1 for each foot that touched the floor after the previous step, else 0
    reward, the sum of
        alive       +1 (Humanoid +2) while the robot is up, -1 when it is down
        progress    decrease of the distance between the mean position of all parts and the target,
                    per time step of 0.0165 s: the speed in m/s
        electricity -0.2 mean|action * joint velocity|, velocities in rad/s; Humanoid 4.25 times
                    that
        stall       -0.1 mean(action^2); Humanoid 4.25 times that
        limits      -0.1 for each joint within 0.5% of its range from a limit
    metres          by which the distance to the target has decreased in the episode
    termination     when the robot is down (HalfCheetah never is) or the observation is not a number

Joint angles start uniformly within +-0.1 rad. A step lasts 0.0165 s: about 61 steps a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from envs.bullet import robots
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
from envs.bullet.renderer import Point, Scene
from envs.bullet.robots import Robot

TARGET_X = 1000.0  # metres along the track; too far to reach
_ELECTRICITY, _STALL, JOINT_AT_LIMIT = -2.0, -0.1, -0.1
DOWN = -1.0  # reward for a step after which the robot is down

# A joint is at its limit if float32(|angle|) > float32(0.99). This is the same test for the
# unrounded angle: the midpoint of float32(0.99) and its successor (a tie rounds down, to even).
AT_LIMIT = 0.5 * float(np.float32(0.99)) + 0.5 * float(
    np.nextafter(np.float32(0.99), np.float32(1.0))
)


def pairwise_sum(values: Sequence[float]) -> float:
    """Sum up to 128 numbers in the order of NumPy's `add.reduce`: eight running sums, then a tree.

    The reference averages with NumPy. This gives the same bits, also in the compiled loop.
    """
    blocks = len(values) - len(values) % 8
    total = 0.0
    if blocks:
        a, b, c, d, e, f, g, h = values[:8]
        for i in range(8, blocks, 8):
            a += values[i]
            b += values[i + 1]
            c += values[i + 2]
            d += values[i + 3]
            e += values[i + 4]
            f += values[i + 5]
            g += values[i + 6]
            h += values[i + 7]
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for value in values[blocks:]:
        total += value
    return total


class LocomotionEnv(BulletEnv):
    """A robot on a flat floor. The module documents observation, reward and termination."""

    reward_terms: ClassVar[tuple[str, ...]] = "alive", "progress", "electricity", "stall", "limits"
    measures: ClassVar[tuple[str, ...]] = ("metres",)
    falls_down = True

    robot: ClassVar[Robot]
    _target_x, _target_y = TARGET_X, 0.0  # metres
    _distance = 0.0  # metres

    def __init__(self, render_mode: str | None = None, width: int = 640, height: int = 480) -> None:
        robot = self.robot
        joints = len(robot.strengths)
        self._joint_count = joints
        self._gains = [robot.power * strength for strength in robot.strengths]
        self._gains32 = np.array(self._gains, np.float32)
        self._costs = robot.costs * _ELECTRICITY, robot.costs * _STALL
        size = 8 + 2 * joints + len(robot.feet)
        self._low = np.full(size, -5.0, np.float32)
        self._high = np.full(size, 5.0, np.float32)
        super().__init__(size, joints, robot.view, render_mode, width, height)

    def _load(self, client: int) -> Scene:
        floor = load_floor(client)
        pybullet.changeDynamics(
            floor, -1, lateralFriction=0.8, restitution=0.5, physicsClientId=client
        )
        return Scene(floor, load_robot(self.robot.model, client))

    def _survey(self) -> None:
        client = self._client
        floor, self._body = self._scene.floor, self._scene.bodies[0]
        assert floor is not None  # `_load` always loads one
        self._floor = floor
        count = pybullet.getNumJoints(self._body, client)
        infos = [pybullet.getJointInfo(self._body, joint, client) for joint in range(count)]
        link = {info[12].decode(): joint for joint, info in enumerate(infos)}
        self._torso = link.get("torso", -1)  # the torso of Ant and Humanoid is the base, not a link
        self._feet = [link[foot] for foot in self.robot.feet]
        # The order in which the mean over the parts adds them: the torso comes second.
        self._links = [joint for joint in range(count) if joint != self._torso]
        if self._torso >= 0:
            self._links.insert(1, self._torso)
        # The reference counts the floor as a part: it adds nothing to the sum but one to the count.
        self._part_count = len(self._links) + (self._torso < 0) + 1
        moving = [i for i in infos if not i[1].decode().startswith(("ignore", "jointfix"))]
        self._joints = self._motors = [info[0] for info in moving]
        self._limits = [(info[8], info[9] - info[8]) for info in moving]  # lowest, range
        release_joints(self._body, client)
        self._renewed = [(self._body, link, *self.robot.filters) for link in range(-1, count)]

    def _restart(self, rng: np.random.Generator) -> Observation:
        # Setting a link's filters, even to the same values, makes Bullet forget its contacts.
        for body, link, group, mask in self._renewed:
            pybullet.setCollisionFilterGroupMask(
                body, link, group, mask, physicsClientId=self._client
            )
        return super()._restart(rng)

    def _arrange(self, rng: np.random.Generator) -> None:
        """Draw and set the positions at the start of an episode."""
        angles = rng.uniform(-0.1, 0.1, self._joint_count).tolist()
        place_joints(self._body, self._joints, angles, self._client)

    def _begin(self, rng: np.random.Generator) -> Observation:
        self._arrange(rng)
        self._contacts = [0.0] * len(self._feet)
        rest = self.robot.rest_height
        self._rest_height = self._focus()[2] if rest is None else rest
        # Later added to a float32. As in the reference, a fixed height is float32 too.
        self._stand = np.float64(self._rest_height) if rest is None else np.float32(rest)
        obs = self._observe()
        self._potential = self._find_potential()
        self._measured = dict.fromkeys(self.measures, 0.0)
        return obs

    def _focus(self) -> Point:
        if self._torso < 0:
            position, _ = pybullet.getBasePositionAndOrientation(self._body, self._client)
        else:
            position = pybullet.getLinkState(self._body, self._torso, 0, 0, self._client)[0]
        x, y, z = position
        return x, y, z

    def _observe(self) -> Observation:
        body, client = self._body, self._client
        y = 0.0  # a robot whose torso is a link moves in the plane y = 0
        if self._torso < 0:
            links = pybullet.getLinkStates(body, self._links, 0, 0, client)
            position, attitude = pybullet.getBasePositionAndOrientation(body, client)
            (vx, vy, vz), _ = pybullet.getBaseVelocity(body, client)
            positions = [link[0] for link in links]
            positions.insert(1, position)
            y = pairwise_sum([y for _, y, _ in positions]) / self._part_count
        else:
            links = pybullet.getLinkStates(body, self._links, 1, 0, client)
            position, attitude, _, _, _, _, (vx, vy, vz), _ = links[1]
            positions = [link[0] for link in links]
        x = pairwise_sum([x for x, _, _ in positions]) / self._part_count
        self._position: Point = (x, y, position[2])
        dx, dy = self._target_x - x, self._target_y - y
        # Uses BLAS, as the reference does: some BLAS kernels round a sum of products once and
        # others twice, and the result must round in the same way.
        distance = abs(dx) if dy == 0.0 else math.sqrt(np.dot((dy, dx), (dy, dx)))
        self._measured["metres"] += self._distance - distance
        self._distance = distance
        roll, self._pitch, yaw = pybullet.getEulerFromQuaternion(attitude)
        angle = math.atan2(dy, dx) - yaw
        cosine, sine = math.cos(yaw), math.sin(yaw)
        values = [
            position[2] - self._rest_height,
            math.sin(angle),
            math.cos(angle),
            0.3 * (cosine * vx + sine * vy),
            0.3 * (cosine * vy - sine * vx),
            0.3 * vz,
            roll,
            self._pitch,
        ]
        at_limit = 0
        states = pybullet.getJointStates(body, self._joints, client)
        for (turn, rate, _, _), (lowest, extent) in zip(states, self._limits, strict=True):
            scaled = 2.0 * (turn - lowest) / extent - 1.0
            if abs(scaled) > AT_LIMIT:
                at_limit += 1
            values.append(scaled)
            values.append(0.1 * rate)
        self._at_limit = at_limit
        values += self._contacts
        exact = np.array(values, np.float32)
        self._speeds = exact[9 : 9 + 2 * self._joint_count : 2]
        return np.minimum(np.maximum(exact, self._low), self._high)

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        alive = self._find_alive(obs)
        touched = {
            point[3]
            for point in pybullet.getContactPoints(
                self._body, self._floor, physicsClientId=self._client
            )
        }
        self._contacts = [1.0 if foot in touched else 0.0 for foot in self._feet]

        terms, weights = self._terms, self.reward_weights
        progress = self._find_progress()
        power = float(np.add.reduce(np.abs(action * self._speeds)) / self._joint_count)
        electricity, stall = self._costs[0] * power, self._costs[1] * self._stall
        limits = JOINT_AT_LIMIT * self._at_limit
        terms["alive"] += alive
        terms["electricity"] += electricity
        terms["stall"] += stall
        terms["limits"] += limits
        reward = (
            weights[0] * alive
            + progress
            + (weights[2] * electricity + weights[3] * stall)
            + weights[4] * limits
        )
        broken = not obs.dot(obs) < math.inf  # components are at most 5, so one must be NaN
        return reward, broken or ((self.robot.falls or self.end_when_down) and alive < 0.0)

    def _torques(self, action: NDArray[Any]) -> list[float]:
        self._stall = float(np.add.reduce(action * action) / self._joint_count)
        if not self._stall < math.inf:
            check_action(action, self._action_shape)
        clipped = [1.0 if a > 1.0 else -1.0 if a < -1.0 else a for a in action.tolist()]
        if self.robot.float32_torque and action.dtype == np.float32:
            torques: list[float] = (self._gains32 * np.array(clipped, np.float32)).tolist()
            return torques
        return [gain * a for gain, a in zip(self._gains, clipped, strict=True)]

    def _find_alive(self, obs: Observation) -> float:
        """Return the reward for being up, or -1 if down; knee contacts are one step old."""
        robot, contacts = self.robot, self._contacts
        for knee in robot.knees:
            if contacts[knee]:
                return DOWN
        high = obs[0] + self._stand > robot.min_height
        return robot.alive_bonus if high and abs(self._pitch) < robot.max_pitch else DOWN

    def _find_progress(self) -> float:
        """Return what the step's increase of the potential is worth; counts it."""
        before, self._potential = self._potential, self._find_potential()
        progress = self._potential - before
        self._terms["progress"] += progress
        return self.reward_weights[1] * progress

    def _find_potential(self) -> float:
        """Return the potential; its increase in a step is the progress reward."""
        return -self._distance / self.time_step


class HalfCheetah(LocomotionEnv):
    """Two legs in a plane, 6 joints, observation [26]; only the time limit ends the episode.

    The robot is down at a pitch beyond 1 rad, or with a shin or thigh on the floor.
    """

    robot = robots.HALF_CHEETAH


class Hopper(LocomotionEnv):
    """One leg in a plane, 3 joints, observation [15]; down at 0.8 m or a pitch of 1 rad."""

    robot = robots.HOPPER


class Walker2D(LocomotionEnv):
    """Two legs in a plane, 6 joints, observation [22]; down at 0.8 m or a pitch of 1 rad."""

    robot = robots.WALKER_2D


class Ant(LocomotionEnv):
    """Four legs in space, 8 joints, observation [28]; down when the torso touches the floor."""

    robot = robots.ANT


class Humanoid(LocomotionEnv):
    """A person in space, 17 joints, observation [44]; down at 0.78 m."""

    robot = robots.HUMANOID
