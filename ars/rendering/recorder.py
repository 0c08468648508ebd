"""What shows an environment: a camera, labels on its pictures, a window in real time."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ars.common.errors import FAILURES, RunError, one_line

Env = gymnasium.Env[Any, Any]


class Shot(NamedTuple):
    """A picture of a moment.

    Attributes:
        picture: uint8 [height, width, 3].
        episode: its index, from 0.
        step: steps taken in the episode.
        total: the return so far.
    """

    picture: NDArray[np.uint8]
    episode: int
    step: int
    total: float


class Camera(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes pictures of an environment's steps without affecting its episodes.

    Args:
        env: it must render to arrays.
        wants: called with episode and step, 0 after a reset; whether to take a picture.
        take: called with each picture.

    Raises:
        RunError: the environment draws no picture.
    """

    def __init__(
        self,
        env: Env,
        wants: Callable[[int, int], bool],
        take: Callable[[Shot], None],
    ) -> None:
        super().__init__(env)
        self._wants, self._take = wants, take
        self._episode, self._step, self._total = -1, 0, 0.0

    def reset(self, **details: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode, and take a picture if it is wanted."""
        result = self.env.reset(**details)
        self._episode, self._step, self._total = self._episode + 1, 0, 0.0
        self._take_if_wanted()
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step, and a picture if it is wanted."""
        result = self.env.step(action)
        self._step += 1
        self._total += float(result[1])
        self._take_if_wanted()
        return result

    def _take_if_wanted(self) -> None:
        if self._wants(self._episode, self._step):
            self._take(Shot(self._draw(), self._episode, self._step, self._total))

    def _draw(self) -> NDArray[np.uint8]:
        try:
            picture: Any = self.env.render()
        except FAILURES as error:
            reason = one_line(error) + drawing_hint(self.env.spec)
            raise RunError(f"no picture could be drawn: {reason}") from error
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3:
            raise RunError("render() gave something else than a uint8 picture")
        return picture[:, :, :3]


def drawing_hint(spec: EnvSpec | None) -> str:
    """What may help if an environment could not draw: MuJoCo needs an OpenGL driver."""
    if "mujoco" not in str(spec and spec.entry_point):
        return ""
    return "; MuJoCo draws with MUJOCO_GL=egl (package libegl1) or osmesa (package libosmesa6)"


def follow(env: Env) -> None:
    """Keep a MuJoCo robot of Gymnasium in the picture.

    Gymnasium 1.4 draws Ant-v5 and HalfCheetah-v5 with a fixed camera, although their models have
    one named `track`; that one is used unless the environment was given a camera.
    """
    world: Any = env.unwrapped
    renderer = getattr(world, "mujoco_renderer", None)
    if renderer is None or renderer.camera_id != -1:
        return
    if "trackbodyid" not in (renderer.default_cam_config or {}):
        with contextlib.suppress(KeyError):
            renderer.camera_id = world.model.camera("track").id


class Paced(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Slows an environment with a window down to `steps_per_second`, unless it does so itself."""

    def __init__(self, env: Env, steps_per_second: float) -> None:
        super().__init__(env)
        self._period, self._due = 1.0 / steps_per_second, time.perf_counter()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step, and wait until it is due."""
        result = self.env.step(action)
        now = time.perf_counter()
        self._due = max(self._due + self._period, now)  # a delay is not made up for
        time.sleep(self._due - now)
        return result


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # as it always is with a size
    return font


class Label:
    """Writes a few lines on a dark box in the upper left corner of a picture.

    A picture so small that the box would hide half its height is left as it is.
    """

    def __init__(self) -> None:
        self._width = 0.0

    def draw(self, image: Image.Image, lines: Sequence[str]) -> None:
        """Draw on an RGB image, in place."""
        font = _font(max(13, image.height // 24))
        pen = ImageDraw.Draw(image, "RGBA")
        ascent, descent = font.getmetrics()
        line, margin = (ascent + descent) * 1.1, ascent * 0.5
        if 2 * margin + line * len(lines) > image.height / 2:
            return
        # The box never shrinks: it would flicker as digits come and go.
        self._width = max(self._width, *(pen.textlength(text, font) for text in lines))
        corner = (2 * margin + self._width, 2 * margin + line * len(lines))
        pen.rectangle(((0, 0), corner), fill=(16, 20, 28, 190))
        for row, text in enumerate(lines):
            pen.text((margin, margin + row * line), text, font=font, fill=(255, 255, 255, 255))
