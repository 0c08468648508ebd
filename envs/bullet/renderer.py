"""Images of a simulation, rendered in a copy of it.

The copy is a second PyBullet client with the same models. It is never stepped; for each image all
poses are copied to it. Nothing that rendering needs (a window, EGL, colours, a light) therefore
affects the simulation, and the copy stays near the origin, where alone PyBullet casts shadows.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.bullet.client import Connection, pybullet, quiet

Point = tuple[float, float, float]
Colour = tuple[float, float, float, float]  # red, green, blue and opacity, 0 to 1


class Scene(NamedTuple):
    """The contents of a simulation, by PyBullet's body ids.

    Attributes:
        floor: the floor, or None.
        bodies: all other bodies.
        colours: the colours of bodies that do not use those of the view.
    """

    floor: int | None
    bodies: tuple[int, ...]
    colours: Mapping[int, Colour] = {}


@dataclass(frozen=True)
class View:
    """How a robot is rendered: the camera position and the colours.

    Attributes:
        distance: metres from the camera to the point it follows.
        height: height in metres at which the camera aims.
        yaw: degrees around the vertical; at 0 the camera looks along +y, and +x points right.
        pitch: degrees; negative looks down.
        dark: links in the second colour, to tell them apart from the others.
        goal: links in the third colour, which mark a target.
        floor: height of the floor in metres.
    """

    distance: float
    height: float
    yaw: float = 0.0
    pitch: float = -14.0
    dark: tuple[str, ...] = ()
    goal: tuple[str, ...] = ()
    floor: float = 0.0


_LIGHT_COLOUR, _DARK_COLOUR = (0.93, 0.42, 0.13, 1.0), (0.16, 0.24, 0.36, 1.0)
_GOAL_COLOUR = (0.13, 0.55, 0.35, 1.0)
_FLOOR_COLOUR = (0.92, 0.95, 0.98, 1.0)
_CHECKERS = 2.0  # metres after which the floor's pattern repeats
_FIELD_OF_VIEW = 45.0  # degrees, vertical
_NEAR, _FAR = 0.1, 100.0  # metres
_LIGHT = (2.0, -5.0, 12.0)  # from above and behind the camera


class Renderer:
    """Renders a copy of the scene, in a window or off screen.

    Args:
        client: the simulation to render.
        scene: its contents.
        load: loads the same bodies into a given client.
        view: the camera position and the colours.
        window: open PyBullet's own window instead of rendering off screen.
    """

    def __init__(
        self,
        client: int,
        scene: Scene,
        load: Callable[[int], Scene],
        view: View,
        *,
        window: bool = False,
    ) -> None:
        self._client, self._bodies, self._view = client, scene.bodies, view
        # A window redraws at any time, possibly between moving the robot and moving the camera.
        # Both therefore jump less often there, but before the robot leaves the area with shadows.
        self._period = 4 * _CHECKERS if window else _CHECKERS
        self._connection = Connection(window=window)
        self.close = self._connection.close
        self._copy = self._connection.id
        self._backend: int = pybullet.ER_TINY_RENDERER
        with quiet():
            # The plugin draws only what is loaded after it.
            if not window and _start_egl(self._connection):
                self._backend = pybullet.ER_BULLET_HARDWARE_OPENGL
            copy = load(self._copy)
            self._copies = copy.bodies
            self._paint(copy)
            if window:
                pybullet.configureDebugVisualizer(
                    pybullet.COV_ENABLE_GUI, 0, physicsClientId=self._copy
                )
            else:
                for _ in range(2):  # EGL prints a banner in the first two, and casts no shadows yet
                    self._capture(8, 8, (0.0, 0.0, 0.0), view.yaw)

    def _paint(self, scene: Scene) -> None:
        assert scene.floor is not None  # a copy always has a floor
        pybullet.changeVisualShape(
            scene.floor,
            -1,
            rgbaColor=_FLOOR_COLOUR,
            specularColor=(0.0, 0.0, 0.0),
            physicsClientId=self._copy,
        )
        for body, link, colour in painted(self._copy, scene, self._view):
            pybullet.changeVisualShape(
                body,
                link,
                rgbaColor=colour,
                specularColor=(0.2, 0.2, 0.2),
                physicsClientId=self._copy,
            )

    def _mirror(self, target: Point) -> Point:
        """Copy all poses, shifted by whole checkers towards the origin; return where to aim."""
        dx, dy = (self._period * math.floor(x / self._period) for x in target[:2])
        for body, copy in zip(self._bodies, self._copies, strict=True):
            (x, y, z), attitude = pybullet.getBasePositionAndOrientation(body, self._client)
            pybullet.resetBasePositionAndOrientation(
                copy, (x - dx, y - dy, z), attitude, self._copy
            )
            joints = range(pybullet.getNumJoints(body, self._client))
            states = pybullet.getJointStates(body, joints, self._client) if joints else ()
            for joint, state in enumerate(states):
                pybullet.resetJointState(copy, joint, state[0], 0.0, self._copy)
        return target[0] - dx, target[1] - dy, self._view.height

    def picture(self, target: Point, yaw: float, width: int, height: int) -> NDArray[np.uint8]:
        """Render an image.

        With EGL, one and a half times as many rows and columns are drawn and scaled down, which
        makes edges smooth. A frame of 640x480 costs 50 ms of a processor with a software driver,
        and with twice as many, which look the same, 84 ms (`scripts/bench_render.py`): 11 ms for
        any size, and 40 ns a pixel. The tiny renderer is slower, and takes one sample a pixel.

        Args:
            target: the point followed by the camera.
            yaw: direction of the camera, as `View.yaw`.
            width: in pixels.
            height: in pixels.

        Returns:
            uint8 [height, width, 3].
        """
        aim = self._mirror(target)
        if self._backend == pybullet.ER_TINY_RENDERER:
            return self._capture(width, height, aim, yaw)
        from PIL import Image

        fine = Image.fromarray(self._capture(-(-3 * width // 2), -(-3 * height // 2), aim, yaw))
        # A copy, which can be drawn on.
        return np.array(fine.resize((width, height), Image.Resampling.HAMMING))

    @property
    def smooth(self) -> bool:
        """Whether EGL draws, which casts shadows too, or at least could."""
        return self._backend != pybullet.ER_TINY_RENDERER or _egl_works()

    def _capture(self, width: int, height: int, aim: Point, yaw: float) -> NDArray[np.uint8]:
        view = self._view
        _, _, pixels, _, _ = pybullet.getCameraImage(
            width,
            height,
            viewMatrix=pybullet.computeViewMatrixFromYawPitchRoll(
                aim, view.distance, yaw, view.pitch, 0.0, 2
            ),
            projectionMatrix=pybullet.computeProjectionMatrixFOV(
                _FIELD_OF_VIEW, width / height, _NEAR, _FAR
            ),
            lightDirection=_LIGHT,
            lightDistance=math.hypot(*_LIGHT),
            lightSpecularCoeff=0.0,
            # The tiny renderer would shade the whole floor.
            shadow=int(self._backend != pybullet.ER_TINY_RENDERER),
            renderer=self._backend,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._copy,
        )
        rgba = np.asarray(pixels, np.uint8).reshape(height, width, 4)
        return np.ascontiguousarray(rgba[:, :, :3])

    def show(self, target: Point, yaw: float) -> None:
        """Update the window; the arguments are those of `picture`."""
        view = self._view
        pybullet.resetDebugVisualizerCamera(
            view.distance, yaw, view.pitch, self._mirror(target), self._copy
        )


def painted(client: int, scene: Scene, view: View) -> Iterator[tuple[int, int, Colour]]:
    """Every body and link of a scene, -1 for a body's base, with its colour in a view."""
    colours = dict.fromkeys(view.dark, _DARK_COLOUR) | dict.fromkeys(view.goal, _GOAL_COLOUR)
    for body in scene.bodies:
        for link in range(-1, pybullet.getNumJoints(body, client)):
            name = (
                pybullet.getBodyInfo(body, client)[0]
                if link < 0
                else pybullet.getJointInfo(body, link, client)[12]
            ).decode()
            yield body, link, scene.colours.get(body, colours.get(name, _LIGHT_COLOUR))


# With a second EGL client, the first one draws wrong shapes (seen with Mesa). So only one renderer
# uses EGL at a time, the one opened first; all others use PyBullet's tiny renderer.
_egl_user: weakref.ref[Connection] | None = None


def _start_egl(connection: Connection) -> bool:
    """Use EGL for what is loaded into `connection` from now on, if EGL works and is free."""
    global _egl_user
    user = _egl_user and _egl_user()
    if (user and user.close.alive) or not _egl_works():
        return False
    plugin = importlib.util.find_spec("eglRenderer")
    assert plugin is not None  # `_egl_works` has found it
    number: int = pybullet.loadPlugin(
        plugin.origin, "_eglRendererPlugin", physicsClientId=connection.id
    )
    if number >= 0:
        _egl_user = weakref.ref(connection)
    return number >= 0


@functools.cache
def _egl_works() -> bool:
    """Whether EGL can render here, tested once in a separate process.

    Without a usable driver, the plugin ends the whole process instead of failing. The test takes a
    second but pays off: at 640x480 EGL is three times as fast, even with a software driver.
    """
    if importlib.util.find_spec("eglRenderer") is None:  # comes with PyBullet's Linux wheels
        return False
    trial = (
        "import pybullet as p, importlib.util as u; p.connect(p.DIRECT); "
        "p.loadPlugin(u.find_spec('eglRenderer').origin, '_eglRendererPlugin'); "
        "pixels = p.getCameraImage(8, 8, renderer=p.ER_BULLET_HARDWARE_OPENGL)[2]; "
        "raise SystemExit(len(pixels) == 0)"
    )
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = [sys.executable, "-c", trial]
        run = subprocess.run(command, capture_output=True, timeout=30, check=False)
        return run.returncode == 0
    return False
