"""Minitaur: a quadruped with eight motors and a model of their electronics.

It matches PyBullet 3.2.7's example `MinitaurBulletEnv` (`pybullet_envs.bullet`) bit for bit, made
with its default arguments: an accurate motor model, the leg model, no noise, and random masses,
friction, voltage and damping in every episode. The example was written for the old Gym. Here random
numbers come from the environment's generator, and observations are rounded to float32. Each of the
four feet connects two legs, and each leg has one motor:

    action [8]      0-3 extension of each foot, 4-7 swing of each foot, from -1 to 1; values beyond
                    1.01, where the example raises an error, are clipped to 1.01
    observation [28], float32
        0 ..  7     angles of the motors, rad
        8 .. 15     their angular velocities, rad/s
        16 .. 23    their torques as observed by the controller, N m
        24 .. 27    orientation of the body, a quaternion
    reward          forward, the distance moved along +x, m (in the first step, from the origin),
                    minus energy, 0.005 times the energy, J, that all motors use in 0.002 s
    metres          along +x, from the origin
    termination     when the body tilts by more than 31.8 degrees or is lower than 0.13 m

A step lasts 0.01 s: five steps of the simulation and the controller. A motor that delivers more
than 2.45 N m for over 1 s overheats and is disabled for the rest of the episode.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.bullet.base import BulletEnv, Observation, check_action
from envs.bullet.client import model_path, pybullet, quiet
from envs.bullet.renderer import Point, Scene, View

# The numbers come from the example's `minitaur.py`, `motor.py` and `minitaur_env_randomizer.py`.
_LEGS = "front_left", "back_left", "front_right", "back_right"
_MOTORS = [f"motor_{leg}{side}_joint" for leg in _LEGS for side in "LR"]
_KNEES = [f"knee_{leg}{side}_link" for leg in _LEGS for side in "LR"]
_TURNS = (-1.0,) * 4 + (1.0,) * 4  # sense of rotation of each motor
_MOTOR_LINKS = 1, 4, 7, 10, 14, 17, 20, 23
_LEG_LINKS = 2, 3, 5, 6, 8, 9, 11, 12, 15, 16, 18, 19, 21, 22, 24, 25
_FEET = 3, 6, 9, 12, 16, 19, 22, 25
_START: Point = (0.0, 0.0, 0.2)  # metres
_HIP, _KNEE = math.pi / 2.0, -2.1834  # initial angles, rad
_SETTLING = 100  # simulation steps before an episode
_REPEATS = 5  # simulation steps per environment step

_GAIN, _DAMPING = 1.0, 0.02  # of the controller, 1/rad and s/rad
_RESISTANCE = 0.186  # ohm
_TORQUE_CONSTANT = 0.0954  # N m / A, and V s / rad
_NET_VOLTAGE, _OBSERVED_TORQUE = 50.0, 5.7  # largest, V and N m
_CURRENTS = 0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0  # A
_TORQUES = 0.0, 1.0, 1.9, 2.45, 3.0, 3.25, 3.5  # N m, at these currents
_SLOPES = *((b - a) / 10.0 for a, b in itertools.pairwise(_TORQUES)), 0.0
_HOT_TORQUE, _HOT_STEPS = 2.45, 500

_MASSES = 0.8, 1.2  # factors
_VOLTAGES = 14.8, 16.8  # V
_VISCOSITIES = 0.0, 0.01  # V s / rad, added to the torque constant
_FRICTIONS = 0.8, 1.5
_LARGEST_ACTION = 1.01
_LEAN, _LOW = 0.85, 0.13  # termination: cosine of the tilt; height in metres
_ENERGY = 0.005

_FAR_LEGS = [
    f"{part}_leg_{leg}{side}_link"
    for part in ("upper", "lower")
    for leg in ("front_left", "back_left")
    for side in "LR"
]
_VIEW = View(1.0, height=0.14, yaw=-25.0, pitch=-20.0, dark=(*_FAR_LEGS, "chassis_left"))


class Minitaur(BulletEnv):
    """A quadruped that runs along +x. The module documents action, observation and reward."""

    metadata: dict[str, Any] = {**BulletEnv.metadata, "render_fps": 100}  # noqa: RUF012
    time_step: ClassVar[float] = 0.002
    reward_terms = "forward", "energy"
    measures = ("metres",)

    def __init__(self, render_mode: str | None = None, width: int = 640, height: int = 480) -> None:
        super().__init__(28, 8, _VIEW, render_mode, width, height)
        speed = 16.0 / _TORQUE_CONSTANT
        bounds = np.repeat((math.pi, speed, _OBSERVED_TORQUE, 1.0), (8, 8, 8, 4)) + 0.01
        high = bounds.astype(np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)

    @property
    def dt(self) -> float:
        """Seconds of simulated time in a step."""
        return self.time_step * _REPEATS

    def _set_physics(self) -> None:
        client = self._client
        pybullet.setPhysicsEngineParameter(numSolverIterations=60, physicsClientId=client)
        pybullet.setTimeStep(self.time_step, client)
        pybullet.setGravity(0, 0, -10, physicsClientId=client)

    def _load(self, client: int) -> Scene:
        floor: int = pybullet.loadURDF(model_path("plane.urdf"), physicsClientId=client)
        body: int = pybullet.loadURDF(
            model_path("quadruped", "minitaur.urdf"),
            _START,
            flags=pybullet.URDF_USE_SELF_COLLISION,
            physicsClientId=client,
        )
        return Scene(floor, (body,))

    def _survey(self) -> None:
        client, body = self._client, self._scene.bodies[0]
        self._body = body
        infos = [
            pybullet.getJointInfo(body, joint, client)
            for joint in range(pybullet.getNumJoints(body, client))
        ]
        number = {info[1].decode(): info[0] for info in infos}
        self._motors = [number[name] for name in _MOTORS]
        knees = [number[name] for name in _KNEES]
        for motor, knee, turn in zip(self._motors, knees, _TURNS, strict=True):
            pybullet.resetJointState(body, motor, turn * _HIP, 0.0, client)
            pybullet.resetJointState(body, knee, turn * _KNEE, 0.0, client)
        for left, right in zip(knees[0::2], knees[1::2], strict=True):
            pybullet.createConstraint(
                body,
                right,
                body,
                left,
                pybullet.JOINT_POINT2POINT,
                (0.0, 0.0, 0.0),
                (0.0, 0.005, 0.2),
                (0.0, 0.01, 0.2),
                physicsClientId=client,
            )
        # By default Bullet brakes every joint; a motor with zero force replaces the brake.
        for joint in self._motors + knees:
            pybullet.setJointMotorControl2(
                body, joint, pybullet.VELOCITY_CONTROL, force=0.0, physicsClientId=client
            )
        self._body_mass, leg_mass, motor_mass = (
            pybullet.getDynamicsInfo(body, link, client)[0]
            for link in (-1, _LEG_LINKS[0], _MOTOR_LINKS[0])
        )
        self._leg_masses = leg_mass, motor_mass

    def _restart(self, rng: np.random.Generator) -> Observation:
        # A restored simulation remembers contacts; a new one, as in the example, does not. Building
        # it takes 7 ms, a tenth of the time that the robot then needs to settle.
        with quiet():
            pybullet.resetSimulation(physicsClientId=self._client)
            self._set_physics()
            self._scene = self._load(self._client)
        self._survey()
        return self._begin(rng)

    def _begin(self, rng: np.random.Generator) -> Observation:
        self._randomise(rng)
        self._hot_steps = [0] * 8  # consecutive simulation steps at high torque, by motor
        self._disabled = [False] * 8  # motors that have overheated
        for _ in range(_SETTLING):
            self._drive([_HIP] * 8)
        self._x = 0.0
        return self._observe()

    def _randomise(self, rng: np.random.Generator) -> None:
        def draw(mass: float) -> float:
            return rng.uniform(mass * _MASSES[0], mass * _MASSES[1])

        def change(link: int, **dynamics: float) -> None:
            pybullet.changeDynamics(self._body, link, physicsClientId=self._client, **dynamics)

        change(-1, mass=draw(self._body_mass))
        for links, mass in zip(
            (_LEG_LINKS, _MOTOR_LINKS), map(draw, self._leg_masses), strict=True
        ):
            for link in links:
                change(link, mass=mass)
        self._voltage = rng.uniform(*_VOLTAGES)
        self._back_emf = _TORQUE_CONSTANT + rng.uniform(*_VISCOSITIES)
        friction = rng.uniform(*_FRICTIONS)
        for link in _FEET:
            change(link, lateralFriction=friction)

    def _drive(self, goals: list[float]) -> None:
        """Turn the motors towards `goals`, [8] rad, for 0.002 s."""
        states = pybullet.getJointStates(self._body, self._motors, self._client)
        observed_torques, forces = [], []
        for i, (goal, turn, state) in enumerate(zip(goals, _TURNS, states, strict=True)):
            rate = state[1] * turn
            duty = _clip(-_GAIN * (state[0] * turn - goal) - _DAMPING * rate, 1.0)
            voltage = duty * self._voltage
            observed_torques.append(
                _clip(_TORQUE_CONSTANT * (voltage / _RESISTANCE), _OBSERVED_TORQUE)
            )
            torque = _motor_torque(_clip(voltage - self._back_emf * rate, _NET_VOLTAGE))
            self._hot_steps[i] = self._hot_steps[i] + 1 if abs(torque) > _HOT_TORQUE else 0
            if self._hot_steps[i] > _HOT_STEPS:
                self._disabled[i] = True
            forces.append(0.0 if self._disabled[i] else torque * turn)
        self._observed_torques = observed_torques
        pybullet.setJointMotorControlArray(
            self._body,
            self._motors,
            pybullet.TORQUE_CONTROL,
            forces=forces,
            physicsClientId=self._client,
        )
        pybullet.stepSimulation(self._client)

    def _observe(self) -> Observation:
        states = pybullet.getJointStates(self._body, self._motors, self._client)
        self._rates = [state[1] * turn for state, turn in zip(states, _TURNS, strict=True)]
        self._position, self._attitude = pybullet.getBasePositionAndOrientation(
            self._body, self._client
        )
        angles = [state[0] * turn for state, turn in zip(states, _TURNS, strict=True)]
        return np.array(
            [*angles, *self._rates, *self._observed_torques, *self._attitude], np.float32
        )

    def _advance(self, action: NDArray[Any]) -> None:
        check_action(action, self._action_shape)
        goals = _motor_angles(action)
        for _ in range(_REPEATS):
            self._drive(goals)

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        before, self._x = self._x, self._position[0]
        # Uses BLAS, as the example does; see `locomotion.LocomotionEnv`.
        energy = abs(float(np.dot(self._observed_torques, self._rates))) * self.time_step
        forward, cost = self._x - before, _ENERGY * energy
        self._measured["metres"] = self._x
        self._terms["forward"] += forward
        self._terms["energy"] -= cost
        reward = self.reward_weights[0] * forward - self.reward_weights[1] * cost
        upright = pybullet.getMatrixFromQuaternion(self._attitude)[8]
        return reward, upright < _LEAN or self._position[2] < _LOW

    def _focus(self) -> Point:
        (x, y, z), _ = pybullet.getBasePositionAndOrientation(self._body, self._client)
        return x, y, z


def _motor_angles(action: NDArray[Any]) -> list[float]:
    """Return the motor angles, [8] rad, for the extension and swing of the feet in `action` [8]."""
    if action.dtype != np.float32:
        action = action.astype(np.float64)
    quarter = math.pi / 4.0
    action = np.clip(action, -_LARGEST_ACTION, _LARGEST_ACTION)
    swing = math.pi + -quarter * (action[4:] + 1.5)
    stretch = np.array((1, 1, -1, -1), action.dtype) * (quarter * action[:4])
    angles: list[float] = np.stack((swing + stretch, swing - stretch), 1).ravel().tolist()
    return angles


def _motor_torque(voltage: float) -> float:
    """Return the torque, N m, for a voltage; it saturates as the current increases."""
    current = abs(voltage / _RESISTANCE)
    i = bisect_right(_CURRENTS, current) - 1
    return math.copysign(_SLOPES[i] * (current - _CURRENTS[i]) + _TORQUES[i], voltage)


def _clip(value: float, bound: float) -> float:
    return bound if value > bound else -bound if value < -bound else value
