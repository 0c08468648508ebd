"""The base class of the PyBullet environments: a private simulation, seeding and rendering."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.bullet.client import Connection, model_path, pybullet, quiet
from envs.bullet.renderer import Point, Renderer, Scene, View
from envs.bullet.shapes import Shapes
from envs.drawing.pictured import Pace, check_picture, refuse
from envs.drawing.window import require_display

Observation = NDArray[np.float32]


class BulletEnv(gymnasium.Env[Observation, NDArray[Any]]):
    """A simulated scene. Subclasses define its contents, initial states, observations and rewards.

    An episode depends only on its seed and its actions, bit for bit. It does not depend on earlier
    episodes, on other environments in the process, or on rendering.

    Args:
        obs_size: length of an observation, float32.
        action_size: length of an action, each component from -1 to 1.
        view: the camera position.
        render_mode: None, "rgb_array", or "human" for a window in real time.
        width: width of a rendered image, in pixels.
        height: height of a rendered image, in pixels.

    Attributes:
        reward_weights: a factor for each of `reward_terms`; at one it changes no bit of a reward.
        end_when_down: end episodes also of a robot that goes on when it is down.

    The `info` of every step holds `reward_terms`, the sum of each term over the episode so far,
    without weights, and the `measures` so far, by name.

    Raises:
        ValueError: `render_mode`, `width` or `height` is not usable.
        gymnasium.error.Error: "human" without a display.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 60}  # noqa: RUF012
    time_step: ClassVar[float] = 0.0165  # seconds of simulated time in a step
    substeps: ClassVar[int] = 4
    gravity: ClassVar[float] = 9.8  # m/s^2, downwards
    reward_terms: ClassVar[tuple[str, ...]] = ()  # what the reward is the sum of
    measures: ClassVar[tuple[str, ...]] = ()  # what is counted beside the reward
    falls_down: ClassVar[bool] = False  # whether `end_when_down` has a meaning

    _body: int  # PyBullet's id of the robot
    _motors: list[int]  # the joints driven by actions

    def __init__(
        self,
        obs_size: int,
        action_size: int,
        view: View,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
    ) -> None:
        check_picture(render_mode, self.metadata["render_modes"], width, height)
        if render_mode == "human":
            require_display()
        self.observation_space = spaces.Box(-np.inf, np.inf, (obs_size,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (action_size,), np.float32)
        self.render_mode = render_mode
        self._action_shape = (action_size,)
        self._size = width, height
        self._view = view
        self._renderer: Renderer | None = None  # opened for the first image
        self._pace = Pace()
        self.reward_weights = [1.0] * len(self.reward_terms)
        self.end_when_down = False
        self._start_counting()
        self._ready = False
        self._connection = Connection()
        self._client = self._connection.id
        with quiet():
            self._set_physics()
            self._scene = self._load(self._client)
        self._survey()
        self._start_state: int = pybullet.saveState(physicsClientId=self._client)
        # Some scenes are repeatable only after the first restoreState.
        self._restart(np.random.default_rng(0))

    def _set_physics(self) -> None:
        client = self._client
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=self.time_step,
            numSubSteps=self.substeps,
            numSolverIterations=5,
            deterministicOverlappingPairs=1,
            physicsClientId=client,
        )
        pybullet.setGravity(0, 0, -self.gravity, physicsClientId=client)
        pybullet.setDefaultContactERP(0.9, physicsClientId=client)

    def _load(self, client: int) -> Scene:
        """Load the models into the simulation `client`."""
        raise NotImplementedError

    def _load_copy(self, client: int) -> Scene:
        """Load the same bodies and a visible floor into `client`, a copy for rendering only."""
        return self._load(client)

    def _survey(self) -> None:
        """Look up the bodies and joints that steps need, and store them as attributes."""
        raise NotImplementedError

    def _begin(self, rng: np.random.Generator) -> Observation:
        """Draw and set the initial state of an episode; return its first observation."""
        raise NotImplementedError

    def _torques(self, action: NDArray[Any]) -> list[float]:
        """Return the motors' torques in N m, or forces in N for sliding joints.

        `action` has the right shape. Raises: ValueError if it is not finite.
        """
        raise NotImplementedError

    def _advance(self, action: NDArray[Any]) -> None:
        """Simulate one time step; `action` has the right shape."""
        pybullet.setJointMotorControlArray(
            self._body,
            self._motors,
            pybullet.TORQUE_CONTROL,
            forces=self._torques(action),
            physicsClientId=self._client,
        )
        pybullet.stepSimulation(self._client)

    def _observe(self) -> Observation:
        """Return the observation; also stores what the reward needs as attributes."""
        raise NotImplementedError

    def _reward_and_termination(self, obs: Observation, action: NDArray[Any]) -> tuple[float, bool]:
        """Return the reward of the step that led to `obs`, and whether the episode is over."""
        raise NotImplementedError

    def _focus(self) -> Point:
        """Return the point followed by the camera."""
        raise NotImplementedError

    def _yaw(self) -> float:
        """Return the current direction of the camera, as `View.yaw`."""
        return self._view.yaw

    @property
    def dt(self) -> float:
        """Seconds of simulated time in a step; the name that MuJoCo's environments have for it."""
        return self.time_step

    @property
    def term_sums(self) -> list[float]:
        """What each of `reward_terms` has added up to in this episode, without its weight."""
        return list(self._terms.values())

    @property
    def measured(self) -> dict[str, float]:
        """What each of `measures` has come to in this episode."""
        return self._measured.copy()

    def _start_counting(self) -> None:
        self._terms = dict.fromkeys(self.reward_terms, 0.0)
        self._measured = dict.fromkeys(self.measures, 0.0)

    def record(self, counts: Sequence[float]) -> None:
        """Take over what another player of the episode has counted, as if it was counted here.

        Args:
            counts: of each of `reward_terms`, then of each of `measures`.
        """
        n = len(self.reward_terms)
        self._terms = dict(zip(self.reward_terms, counts[:n], strict=True))
        self._measured = dict(zip(self.measures, counts[n:], strict=True))

    def _restart(self, rng: np.random.Generator) -> Observation:
        pybullet.restoreState(self._start_state, physicsClientId=self._client)
        return self._begin(rng)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; without a `seed`, the random generator continues from its state."""
        if self._client < 0:
            refuse("reset()", closed=True)
        super().reset(seed=seed)
        self._start_counting()
        obs = self._restart(self.np_random)
        self._ready = True
        if self.render_mode == "human":
            self._show()
        return obs, {}

    def step(self, action: NDArray[Any]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Apply `action` for one time step; its dtype may affect the last bits of the reward.

        Raises:
            gymnasium.error.Error: before the first reset or after close.
            ValueError: wrong shape, or a component that is not finite.
        """
        if not self._ready:
            refuse("step()", closed=self._client < 0)
        action = np.asarray(action)
        if action.shape != self._action_shape:
            check_action(action, self._action_shape)
        self._advance(action)
        obs = self._observe()
        reward, terminated = self._reward_and_termination(obs, action)
        if self.render_mode == "human":
            self._show()
        info = {"reward_terms": self._terms.copy(), **self._measured}
        return obs, reward, terminated, False, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return uint8 [height, width, 3] in mode "rgb_array"; a window updates by itself."""
        if not self._ready:
            refuse("render()", closed=self._client < 0)
        if self.render_mode == "rgb_array":
            return self._open_renderer().picture(self._focus(), self._yaw(), *self._size)
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode; make() it with 'rgb_array'")
        return None

    def drawable(self) -> Shapes:
        """Its shapes and where they are, to be drawn by another program."""
        name = str(getattr(getattr(self, "robot", self), "model", ""))
        mjcf = model_path("mjcf", name) if name.endswith(".xml") else None
        return Shapes(self._client, self._scene, self._view, self._focus, mjcf)

    def draw_within(self, width: int) -> None:
        """Draw pictures no wider than so many pixels from the next one on, in their proportions."""
        across, down = self._size
        if width < across:
            self._size = width, max(1, round(down * width / across))

    @property
    def drawn_smoothly(self) -> bool:
        """Whether pictures have smooth edges and shadows; True before the first one."""
        return self._renderer is None or self._renderer.smooth

    def close(self) -> None:
        """End the simulation; further calls do nothing."""
        self._ready = False
        self._client = -1
        self._connection.close()
        if self._renderer is not None:
            self._renderer.close()

    def _open_renderer(self) -> Renderer:
        if self._renderer is None:
            window = self.render_mode == "human"
            self._renderer = Renderer(
                self._client, self._scene, self._load_copy, self._view, window=window
            )
        return self._renderer

    def _show(self) -> None:
        """Update the window and wait until its next frame is due."""
        self._open_renderer().show(self._focus(), self._yaw())
        self._pace.wait(self.metadata["render_fps"])


def load_floor(client: int, height: float = 0.0) -> int:
    """Load PyBullet's checkered plane at a height in metres."""
    (floor,) = pybullet.loadSDF(model_path("plane_stadium.sdf"), physicsClientId=client)
    if height:
        place = (0.0, 0.0, height), (0.0, 0.0, 0.0, 1.0)
        pybullet.resetBasePositionAndOrientation(floor, *place, physicsClientId=client)
    return int(floor)


def load_robot(model: str, client: int, *, floor: bool = True) -> tuple[int, ...]:
    """Load one of PyBullet's MJCF models; links collide with all others but their ancestors.

    `floor=False` leaves out a plane in the model, which would make EGL end the process.
    """
    path = model_path("mjcf", model)
    if floor:
        return _load_mjcf(path, client)
    text = re.sub(r"<geom [^>]*type=\"plane\"[^>]*/>", "", Path(path).read_text())
    with tempfile.TemporaryDirectory() as folder:
        without = Path(folder, model)
        without.write_text(text)
        return _load_mjcf(str(without), client)


def _load_mjcf(path: str, client: int) -> tuple[int, ...]:
    bodies: tuple[int, ...] = pybullet.loadMJCF(
        path,
        flags=pybullet.URDF_USE_SELF_COLLISION
        | pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_ALL_PARENTS,
        physicsClientId=client,
    )
    return bodies


def release_joints(body: int, client: int) -> None:
    """Let all joints move freely, by replacing Bullet's default motors, which brake every joint."""
    count = pybullet.getNumJoints(body, client)
    pybullet.setJointMotorControlArray(
        body,
        range(count),
        pybullet.POSITION_CONTROL,
        forces=[0.0] * count,
        physicsClientId=client,
    )


def place_joints(body: int, joints: Sequence[int], angles: Iterable[float], client: int) -> None:
    """Set joints to positions at zero velocity: rad, or metres for sliding joints."""
    for joint, angle in zip(joints, angles, strict=True):
        pybullet.resetJointState(body, joint, angle, 0.0, client)


def check_action(action: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise a ValueError if an action has the wrong shape or is not finite."""
    if action.shape != shape:
        raise ValueError(f"action has shape {action.shape}; this robot takes {shape}")
    if not np.isfinite(action).all():
        raise ValueError(f"action is not finite: {action.tolist()}")
