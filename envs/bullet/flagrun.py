"""Two humanoid tasks. HumanoidFlagrun: run from flag to flag. Harder: also get up after falls.

They match the tasks of `pybullet_envs_gymnasium` 0.6.0 bit for bit in the second episode of a
reference instance. In the reference, the first episode differs, and later ones may, because Bullet
remembers contacts (see `robots.Robot.filters`); here episodes do not depend on earlier ones.
Everything is as in `locomotion`, except:

    target      a flag in a field of 26.25 by 12.5 m, centred on the robot's start. It moves to a
                new random place when the mean position of all parts is within 1 m of it, or after
                150 observations.
    progress    as in `locomotion`
    flag        by which a move of the flag shortens the distance, over 0.0165 s
    flags       reached, by coming within 1 m
    metres      moved nearer to the flags; the flags' own moves do not count

The reference intends to exclude the flag's move from the reward, but stores the new potential where
nothing reads it: reaching a flag costs as much as the next one is farther away. It also intends the
robot to start facing any direction (Flagrun) or leaning (Harder), but sets these flags on the
environment and reads them from the robot, which therefore starts like Humanoid. Both are kept here.
"""

from __future__ import annotations

import math

import numpy as np

from envs.bullet import robots
from envs.bullet.base import Observation
from envs.bullet.client import model_path, pybullet
from envs.bullet.locomotion import DOWN, LocomotionEnv
from envs.bullet.renderer import Colour, Point, Scene

# From the reference's `robot_locomotors.py` and `scene_stadium.py`.
FIELD_X, FIELD_Y = 13.125, 6.25  # metres to either side
_FLAG_HEIGHT = 0.7  # metres
NEAR = 1.0  # metres
PATIENCE = 150  # observations
_UPRIGHT = 0.0, 0.0, 0.0, 1.0  # a quaternion

_CUBE_START: Point = (-1.5, 0.0, 0.05)  # metres
_CUBE_MASS = 1.2  # kg
_CUBE_FILTERS = 1, -1  # PyBullet's default for a body; see `Robot.filters`
TALL = 0.8  # torso height in metres above which the robot is up
LEAK = 100.0  # potential per unit of `_leak` (the reference's `potential_leak`)
GET_UP = 170  # the episode ends when steps down minus steps up reach this

_FLAG_COLOUR: Colour = (0.16, 0.62, 0.36, 1.0)
_CUBE_COLOUR: Colour = (0.55, 0.12, 0.45, 1.0)
_ASIDE = 20.0  # degrees; from straight behind, the robot would hide the flag


class HumanoidFlagrun(LocomotionEnv):
    """Run from flag to flag; the robot is down at a torso height of 0.78 m."""

    robot = robots.HUMANOID_FLAGRUN
    reward_terms = *LocomotionEnv.reward_terms, "flag"
    measures = "flags", *LocomotionEnv.measures
    _shift = 0.0  # what the flag's move in this step adds to the potential

    def _load(self, client: int) -> Scene:
        scene = super()._load(client)
        # The flag is only visible: it has no mass and no collision shape.
        flag: int = pybullet.loadURDF(model_path("sphere2red_nocol.urdf"), physicsClientId=client)
        return Scene(scene.floor, (*scene.bodies, flag), {flag: _FLAG_COLOUR})

    def _arrange(self, rng: np.random.Generator) -> None:
        super()._arrange(rng)
        self._rng = rng  # for later moves of the flag
        self._move_flag()

    def _move_flag(self) -> None:
        self._target_x = self._rng.uniform(-FIELD_X, FIELD_X)
        self._target_y = self._rng.uniform(-FIELD_Y, FIELD_Y)
        self._patience = PATIENCE
        pybullet.resetBasePositionAndOrientation(
            self._scene.bodies[1],
            (self._target_x, self._target_y, _FLAG_HEIGHT),
            _UPRIGHT,
            self._client,
        )

    def _observe(self) -> Observation:
        self._patience -= 1
        self._shift = 0.0
        obs = super()._observe()
        distance = self._distance
        if distance < NEAR or self._patience <= 0:
            self._move_flag()
            metres = self._measured["metres"]
            obs = super()._observe()
            self._measured["metres"] = metres
            self._measured["flags"] += distance < NEAR
            self._shift = (distance - self._distance) / self.time_step
        return obs

    def _find_progress(self) -> float:
        before, self._potential = self._potential, self._find_potential()
        gain, flag = self._potential - before, self._shift
        progress = gain - flag
        self._terms["progress"] += progress
        self._terms["flag"] += flag
        weight, other = self.reward_weights[1], self.reward_weights[5]
        if weight == other:  # rounded as one sum, as the reference does
            return weight * gain
        return weight * progress + other * flag

    def _yaw(self) -> float:
        x, y, _ = self._focus()
        return math.degrees(math.atan2(self._target_y - y, self._target_x - x)) - 90.0 + _ASIDE


class HumanoidFlagrunHarder(HumanoidFlagrun):
    """Run from flag to flag while being hit by a cube, and get up after a fall.

    alive       u = min(1 + torso height / 0.8 m, 2); -1 in the last step, see below
    progress    made with the torso under 0.8 m does not count, so that crawling is not rewarded
    flag        nor does a move of the flag then
    posture     the increase of 100 u in the step
    cube        1.2 kg, thrown from 4 m away at 20 to 30 m/s towards where the torso will be, after
                every 30th step from the 121st on, while the robot is up
    termination when a counter reaches 170, or 1 with `end_when_down`; it increases by one in each
                step that ends with the torso under 0.8 m, and decreases by one, but not below zero,
                in every other step

    The reference intends motors to cost a quarter of what they cost Humanoid, but overwrites that.
    """

    reward_terms = *HumanoidFlagrun.reward_terms, "posture"

    def _load(self, client: int) -> Scene:
        scene = super()._load(client)
        cube: int = pybullet.loadURDF(
            model_path("cube_small.urdf"), _CUBE_START, physicsClientId=client
        )
        pybullet.changeDynamics(cube, -1, mass=_CUBE_MASS, physicsClientId=client)
        colours = {**scene.colours, cube: _CUBE_COLOUR}
        return Scene(scene.floor, (*scene.bodies, cube), colours)

    def _survey(self) -> None:
        super()._survey()
        self._renewed.append((self._scene.bodies[2], -1, *_CUBE_FILTERS))

    def _arrange(self, rng: np.random.Generator) -> None:
        super()._arrange(rng)
        self._frame = self._frames_down = 0
        self._crawl_start: float | None = None  # progress when the robot went down
        self._crawled = 0.0  # progress since it last went down

    def _find_alive(self, obs: Observation) -> float:
        if self._frame > 100 and self._frame % 30 == 0 and self._frames_down == 0:
            self._throw_cube()
        self._frame += 1
        if obs[0] + self._stand < TALL:
            self._frames_down += 1
        elif self._frames_down > 0:
            self._frames_down -= 1
        return self._leak() if self._frames_down < self.get_up else DOWN

    @property
    def get_up(self) -> int:
        """Steps that it may be down for before the episode ends."""
        return 1 if self.end_when_down else GET_UP

    def _leak(self) -> float:
        """Return 1 for a torso on the floor up to 2 for one at 0.8 m."""
        return min(max(self._position[2], 0.0), TALL) / TALL + 1.0

    def _find_potential(self) -> float:
        progress = super()._find_potential()
        if self._position[2] < TALL:
            if self._crawl_start is None:
                self._crawl_start = progress - self._crawled
            else:
                self._shift = 0.0
            self._crawled = progress - self._crawl_start
            progress = self._crawl_start
        else:
            self._crawl_start = None
            progress -= self._crawled
        self._parts = progress, self._leak() * LEAK
        return progress + self._parts[1]

    def _find_progress(self) -> float:
        (ran, stood), before = self._parts, self._potential
        self._potential = self._find_potential()
        flag = self._shift
        progress, posture = self._parts[0] - ran - flag, self._parts[1] - stood
        self._terms["progress"] += progress
        self._terms["flag"] += flag
        self._terms["posture"] += posture
        weight, other, third = self.reward_weights[1], *self.reward_weights[5:]
        if weight == other == third:  # rounded as one sum, as the reference does
            return weight * (self._potential - before)
        return weight * progress + other * flag + third * posture

    def _throw_cube(self) -> None:
        """Throw the cube at the robot from a random direction, slightly from above."""
        rng, cube, client = self._rng, self._scene.bodies[2], self._client
        angle, speed = rng.uniform(-3.14, 3.14), rng.uniform(20.0, 30.0)
        away, lead = 4.0, 4.0 / speed  # metres, seconds
        velocity, _ = pybullet.getBaseVelocity(self._body, client)
        x, y, z = (at + rate * lead for at, rate in zip(self._position, velocity, strict=True))
        start = x + away * math.cos(angle), y + away * math.sin(angle), z + 1.0
        path = [to - since for to, since in zip((x, y, z), start, strict=True)]
        gain = speed / math.sqrt(np.dot(path, path))  # BLAS, as in `LocomotionEnv._observe`
        throw = [
            gain * part + aside
            for part, aside in zip(path, rng.uniform(-1.0, 1.0, 3).tolist(), strict=True)
        ]
        _, attitude = pybullet.getBasePositionAndOrientation(cube, client)
        pybullet.resetBasePositionAndOrientation(cube, start, attitude, client)
        pybullet.resetBaseVelocity(cube, throw, (0.0, 0.0, 0.0), client)
