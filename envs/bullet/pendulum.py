"""Three poles on a cart: InvertedPendulum, InvertedPendulumSwingup, InvertedDoublePendulum.

They match the tasks of the same names in `pybullet_envs_gymnasium` 0.6.0 bit for bit.

    action [1]      force on the cart along x, as a fraction of 100 N (double: 200 N), clipped to
                    -1 .. 1
    observation [5] of the single pole, float32
        0, 1        position of the cart on its rail, m, about -1 to 1 (the end stops are soft), and
                    its velocity, m/s
        2, 3, 4     the pole's angle from upright: cosine, sine; and angular velocity, rad/s
    observation [9] of the double pole, float32
        0, 1        as above
        2           x of the upper pole's centre, m
        3, 4, 5     the lower pole's angle from upright: cosine, sine; and angular velocity, rad/s
        6, 7, 8     the same for the upper pole's angle relative to the lower pole
    reward
        InvertedPendulum            1
        InvertedPendulumSwingup     cosine of the pole's angle
        InvertedDoublePendulum      10 - x^2 / 100 - (z - 1.7)^2; (x, z): the upper pole's centre
    terms of the reward
        InvertedPendulum            alive
        InvertedPendulumSwingup     height
        InvertedDoublePendulum      alive, the 10; position and height, the squares
    termination
        InvertedPendulum            the pole leans by more than 0.2 rad
        InvertedPendulumSwingup     never
        InvertedDoublePendulum      the upper pole's centre is at 0.7 m or lower

Everything starts at rest, with the cart in the middle and each pole uniformly within +-0.1 rad of
upright; for Swingup, within +-0.1 rad of 3.1415 rad from upright. A step lasts 0.0165 s.

Oddities of the reference that are kept: the double pendulum's reward uses the upper pole's tip,
0.3 m above its centre, and asks for a height of 2 m although at most 1.2 m can be reached, so that
standing still is worth 9.36 per step; its penalty on velocity is switched off.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

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

_LEAN = 0.1  # initial angles are within plus or minus this, rad


class PendulumEnv(BulletEnv):
    """Poles on a cart on a rail. The module documents observation, reward and termination."""

    substeps = 1

    model: ClassVar[str]
    strength: ClassVar[float]  # N
    hinges: ClassVar[tuple[str, ...]] = ("hinge",)
    obs_size: ClassVar[int] = 5
    down: ClassVar[float] = 0.0  # mean initial angle of the first pole from upright, rad
    view: ClassVar[View] = View(3.0, height=0.2, pitch=-7.0, dark=("rail", "cart"), floor=-0.7)

    def __init__(self, render_mode: str | None = None, width: int = 640, height: int = 480) -> None:
        super().__init__(self.obs_size, 1, self.view, render_mode, width, height)

    def _load(self, client: int) -> Scene:
        return Scene(None, load_robot(self.model, client)[-2:])  # without the double model's floor

    def _load_copy(self, client: int) -> Scene:
        floor = load_floor(client, self.view.floor)
        return Scene(floor, load_robot(self.model, client, floor=False))

    def _survey(self) -> None:
        self._body = self._scene.bodies[-1]
        count = pybullet.getNumJoints(self._body, self._client)
        infos = [pybullet.getJointInfo(self._body, joint, self._client) for joint in range(count)]
        joints = {info[1].decode(): info[0] for info in infos}
        self._joints = [joints[name] for name in ("slider", *self.hinges)]
        self._motors = self._joints[:1]
        self._top = count - 1  # the link of the uppermost pole
        release_joints(self._body, self._client)

    def _begin(self, rng: np.random.Generator) -> Observation:
        angles = rng.uniform(-_LEAN, _LEAN, len(self.hinges)).tolist()
        angles[0] += self.down
        place_joints(self._body, self._joints[1:], angles, self._client)
        return self._observe()

    def _focus(self) -> Point:
        return 0.0, 0.0, 0.0

    def _torques(self, action: NDArray[Any]) -> list[float]:
        push = float(action[0])
        if not abs(push) < math.inf:
            check_action(action, self._action_shape)
        return [self.strength * min(max(push, -1.0), 1.0)]


class InvertedPendulum(PendulumEnv):
    """A pole to be balanced, observation [5]."""

    reward_terms: ClassVar[tuple[str, ...]] = ("alive",)
    model = "inverted_pendulum.xml"
    strength = 100.0

    def _observe(self) -> Observation:
        (x, vx, _, _), (self._angle, rate, _, _) = pybullet.getJointStates(
            self._body, self._joints, self._client
        )
        angle = self._angle
        return np.array((x, vx, math.cos(angle), math.sin(angle), rate), np.float32)

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        self._terms["alive"] += 1.0
        return self.reward_weights[0], abs(self._angle) > 0.2


class InvertedPendulumSwingup(InvertedPendulum):
    """A hanging pole to be swung up, observation [5]; only the time limit ends the episode."""

    reward_terms = ("height",)
    down = 3.1415

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        height = math.cos(self._angle)
        self._terms["height"] += height
        return self.reward_weights[0] * height, False


class InvertedDoublePendulum(PendulumEnv):
    """Two poles, one on top of the other, to be balanced, observation [9]."""

    reward_terms = "alive", "position", "height"
    model = "inverted_double_pendulum.xml"
    strength = 200.0
    hinges = ("hinge", "hinge2")
    obs_size = 9

    def _observe(self) -> Observation:
        body, client = self._body, self._client
        cart, lower, upper = pybullet.getJointStates(body, self._joints, client)
        (self._top_x, _, self._top_z), *_ = pybullet.getLinkState(body, self._top, 0, 0, client)
        return np.array(
            (
                cart[0],
                cart[1],
                self._top_x,
                math.cos(lower[0]),
                math.sin(lower[0]),
                lower[1],
                math.cos(upper[0]),
                math.sin(upper[0]),
                upper[1],
            ),
            np.float32,
        )

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        # Squares with C's pow(), as in the reference; a product may differ in the last bit.
        tip = self._top_z + 0.3
        aside, below = 0.01 * self._top_x**2, (tip - 2.0) ** 2
        terms, weights = self._terms, self.reward_weights
        terms["alive"] += 10.0
        terms["position"] -= aside
        terms["height"] -= below
        return weights[0] * 10.0 - (weights[1] * aside + weights[2] * below), tip <= 1.0
