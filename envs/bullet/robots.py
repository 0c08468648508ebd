"""The parameters of the running robots.

Strengths, thresholds and costs come from `robot_locomotors.py` and `gym_locomotion_envs.py` of
`pybullet_envs_gymnasium` 0.6.0; the models are in `pybullet_data`. The views are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from envs.bullet.renderer import View


@dataclass(frozen=True)
class Robot:
    """The parameters that distinguish one running robot from another.

    Attributes:
        model: file name of the MJCF model in `pybullet_data`.
        power: strength factor of all motors.
        strengths: strength of each joint, in the model's order; times `power`, this is the largest
            torque in N m.
        feet: links whose contact with the floor is observed.
        view: how the robot is rendered.
        min_height: torso height in metres at or below which the robot is down.
        max_pitch: absolute pitch in rad at or above which the robot is down.
        knees: indices into `feet` of the links that must not touch the floor.
        alive_bonus: reward for a step while the robot is up.
        falls: whether being down ends the episode.
        costs: factor on both electricity terms.
        rest_height: height that the observed height is relative to; None uses the height at the
            start of the episode.
        float32_torque: whether float32 actions are multiplied in float32.
        filters: the model's collision group and mask (`contype`, `conaffinity`). Setting them again
            makes Bullet forget contacts: else it solves those of an episode in an order that may
            depend on earlier episodes, in spite of `restoreState`. Forgetting costs a Humanoid's
            reset 0.1 ms.
    """

    model: str
    power: float
    strengths: tuple[float, ...]
    feet: tuple[str, ...]
    view: View
    filters: tuple[int, int]
    min_height: float = -math.inf
    max_pitch: float = math.inf
    knees: tuple[int, ...] = ()
    alive_bonus: float = 1.0
    falls: bool = True
    costs: float = 1.0
    rest_height: float | None = None
    float32_torque: bool = False


HALF_CHEETAH = Robot(
    model="half_cheetah.xml",
    power=0.9,
    strengths=(120.0, 90.0, 60.0, 140.0, 60.0, 30.0),
    feet=("ffoot", "fshin", "fthigh", "bfoot", "bshin", "bthigh"),
    view=View(2.3, height=0.45, dark=("bthigh", "bshin", "bfoot")),
    filters=(1, 0),
    max_pitch=1.0,
    knees=(1, 2, 4, 5),
    falls=False,
)

HOPPER = Robot(
    model="hopper.xml",
    power=0.75,
    strengths=(100.0, 100.0, 100.0),
    feet=("foot",),
    view=View(2.4, height=0.7, dark=("thigh", "foot")),
    filters=(1, 1),
    min_height=0.8,
    max_pitch=1.0,
)

WALKER_2D = Robot(
    model="walker2d.xml",
    power=0.4,
    strengths=(100.0, 100.0, 30.0, 100.0, 100.0, 30.0),
    feet=("foot", "foot_left"),
    view=View(2.4, height=0.7, dark=("thigh_left", "leg_left", "foot_left")),
    filters=(1, 0),
    min_height=0.8,
    max_pitch=1.0,
)

ANT = Robot(
    model="ant.xml",
    power=2.5,
    strengths=(100.0,) * 8,
    feet=("front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot"),
    view=View(2.8, height=0.4, yaw=-20.0, pitch=-25.0, dark=("aux_1", "aux_2", "aux_3", "aux_4")),
    filters=(1, 0),
    min_height=0.26,
)

HUMANOID = Robot(
    model="humanoid_symmetric.xml",
    power=0.41,
    strengths=(100.0,) * 5 + (300.0, 200.0, 100.0, 100.0, 300.0, 200.0) + (75.0,) * 6,
    feet=("right_foot", "left_foot"),
    view=View(
        2.8,
        height=0.8,
        yaw=-20.0,
        dark=("left_thigh", "left_shin", "left_foot", "left_upper_arm", "left_lower_arm"),
    ),
    min_height=0.78,
    alive_bonus=2.0,
    costs=4.25,
    rest_height=0.8,
    float32_torque=True,
    filters=(1, 1),
)

# The camera is farther away, behind the robot, and looks towards the flag.
HUMANOID_FLAGRUN = replace(HUMANOID, view=replace(HUMANOID.view, distance=3.4, pitch=-12.0))
