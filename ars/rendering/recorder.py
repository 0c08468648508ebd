"""What shows an environment: a camera, labels on its pictures, a window in real time."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ars.common.errors import RunError, failures, one_line
from envs.drawing.possible import drawing_hint
from envs.objective import Objective

Env = gymnasium.Env[Any, Any]


class Shot(NamedTuple):
    """A picture of a moment.

    Attributes:
        picture: uint8 [height, width, 3].
        episode: its index, from 0.
        step: steps taken in the episode.
        total: the return so far.
        measures: what else was counted so far, by name.
    """

    picture: NDArray[np.uint8]
    episode: int
    step: int
    total: float
    measures: Mapping[str, float] = {}


def as_picture(given: Any) -> NDArray[np.uint8]:
    """What an environment's render() gave, as uint8 [height, width, 3].

    Taken are a Pillow image and an array [height, width] or [height, width, 1, 3 or 4] of whole
    numbers from 0 to 255; a fourth value, transparency, is left out.

    Raises:
        RunError: it is something else; the message says what.
    """
    if isinstance(given, Image.Image):
        return np.asarray(given.convert("RGB"))
    if not isinstance(given, np.ndarray):
        found = "nothing (None)" if given is None else f"an object of type {type(given).__name__}"
        raise RunError(f"render() gave {found}; it must give {_PICTURE}")
    shape = list(given.shape)
    array = given[..., None] if given.ndim == 2 else given
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in shape:
        first = given.ndim == 3 and shape[0] in (1, 3, 4) and shape[2] > 4
        order = "; the colours must come last" if first else ""
        raise RunError(f"render() gave an array of shape {shape}{order}; it must give {_PICTURE}")
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        span = f"{array.dtype} from {array.min():g} to {array.max():g}"
        raise RunError(f"render() gave numbers of type {span}; it must give {_PICTURE}")
    colours = array.repeat(3, axis=2) if array.shape[2] == 1 else array[:, :, :3]
    return colours.astype(np.uint8, copy=False)


_PICTURE = "a picture: uint8 [height, width, 3]"


class Camera(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes pictures of an environment's steps without affecting its episodes.

    Args:
        env: it must render to arrays.
        wants: called with episode, step, 0 after a reset, and whether the episode has ended;
            whether to take a picture.
        take: called with each picture.

    Raises:
        RunError: the environment draws no picture.
    """

    def __init__(
        self,
        env: Env,
        wants: Callable[[int, int, bool], bool],
        take: Callable[[Shot], None],
    ) -> None:
        super().__init__(env)
        self._wants, self._take = wants, take
        self._episode, self._step, self._total = -1, 0, 0.0
        self._objective, self._info = Objective(env), dict[str, Any]()
        self._size: tuple[int, int] | None = None  # of every picture: width, height

    def reset(self, **details: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode, and take a picture if it is wanted."""
        result = self.env.reset(**details)
        self._episode, self._step, self._total = self._episode + 1, 0, 0.0
        self._info = result[1]
        self._objective.begin(self._info)
        self._take_if_wanted(ended=False)
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step, and a picture if it is wanted."""
        result = self.env.step(action)
        self._step += 1
        self._total += float(result[1])
        self._info = result[4]
        self._take_if_wanted(ended=bool(result[2] or result[3]))
        return result

    def _take_if_wanted(self, ended: bool) -> None:
        if self._wants(self._episode, self._step, ended):
            picture, counted = self._draw(), self._objective.end(self._info).measures
            self._take(Shot(picture, self._episode, self._step, self._total, counted))

    def _draw(self) -> NDArray[np.uint8]:
        try:
            picture: Any = self.env.render()
        except failures() as error:
            reason = one_line(error) + drawing_hint(self.env.spec, error)
            raise RunError(f"no picture could be drawn: {reason}") from error
        found = as_picture(picture)
        height, width = found.shape[:2]
        self._size = self._size or (width, height)
        if self._size != (width, height):
            before, now = ("x".join(map(str, size)) for size in (self._size, (width, height)))
            raise RunError(f"render() gave a picture of {now}, after one of {before}")
        return found


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


def draw_within(env: Env, width: int | None) -> None:
    """Have a robot of ours draw no wider than a film shows; others draw what they draw."""
    world: Any = env.unwrapped
    if width is not None and hasattr(world, "draw_within"):
        world.draw_within(width)


def follows_a_robot(env: Env) -> bool:
    """Whether a robot of ours or of Gymnasium's MuJoCo is drawn, and by a camera of its own.

    Any corner of other pictures may matter: they often show a whole world from above.
    """
    return hasattr(env.unwrapped, "mujoco_renderer") or hasattr(env.unwrapped, "draw_within")


def drawn_smoothly(env: Env) -> bool:
    """Whether there is nothing better to draw an environment with."""
    return bool(getattr(env.unwrapped, "drawn_smoothly", True))


def at_speed(env: Env, steps_per_second: float) -> Env:
    """An environment whose window shows so many steps a second; those that pace themselves do."""
    world: Any = env.unwrapped
    world.metadata = {**(world.metadata or {}), "render_fps": steps_per_second}
    return Paced(env, steps_per_second)


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


_DARK = (16, 20, 28)


class Caption:
    """Writes a few lines on a dark box in the upper left corner of a picture, or above it.

    A picture so small that the box would have half its height has no fourth line, or no box.

    Args:
        above: whether the picture stays whole and gets a band above it, an even number of pixels
            high.
    """

    def __init__(self, above: bool = False) -> None:
        self._above, self._width = above, 0.0

    def draw(self, image: Image.Image, lines: Sequence[str]) -> Image.Image:
        """An RGB image with the lines; unless they go above, it is drawn on in place."""
        font = _font(max(13, image.height // 24))
        ascent, descent = font.getmetrics()
        line, margin = (ascent + descent) * 1.1, ascent * 0.5
        room = int((image.height / 2 - 2 * margin) / line)
        if room < min(len(lines), 3):
            return image
        lines = lines[:room]
        height = 2 * margin + line * len(lines)
        if self._above:
            band = 2 * (int(height) // 2 + 1)
            whole = Image.new("RGB", (image.width, image.height + band), _DARK)
            whole.paste(image, (0, band))
            image = whole
        pen = ImageDraw.Draw(image, "RGBA")
        # The box never shrinks: it would flicker as digits come and go.
        self._width = max(self._width, *(pen.textlength(text, font) for text in lines))
        pen.rectangle(((0, 0), (2 * margin + self._width, height)), fill=(*_DARK, 190))
        for row, text in enumerate(lines):
            pen.text((margin, margin + row * line), text, font=font, fill=(255, 255, 255, 255))
        return image
