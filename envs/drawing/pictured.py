"""What worlds that draw themselves share: how they are drawn, how large, a window, and its pace."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NoReturn

import gymnasium
import numpy as np
from gymnasium.core import ActType, ObsType
from numpy.typing import NDArray

from envs.drawing.window import Window

LARGEST_PICTURE = 2**24  # pixels; one takes up to 48 bytes each while it is drawn


def check_picture(render_mode: str | None, modes: Sequence[str], width: int, height: int) -> None:
    """Raises: ValueError for a mode or a size in which no picture is drawn."""
    if render_mode not in (None, *modes):
        known = ", ".join(map(repr, modes))
        raise ValueError(f"render_mode={render_mode!r}; it is None or one of {known}")
    if width < 1 or height < 1 or width * height > LARGEST_PICTURE:
        raise ValueError(
            f"width={width}, height={height}; a picture has at least 1x1 pixels and at most "
            f"{LARGEST_PICTURE:,}"
        )


def refuse(call: str, closed: bool) -> NoReturn:
    """Raises: gymnasium.error.Error for a call after `close` or before the first `reset`."""
    if closed:
        raise gymnasium.error.Error(f"{call} after close()")
    raise gymnasium.error.ResetNeeded(f"{call} before the first reset()")


class Pace:
    """The moments at which a window's frames are due."""

    def __init__(self) -> None:
        self._due = 0.0  # on time.perf_counter's clock

    def wait(self, per_second: float) -> None:
        """Wait until the frame that is shown now is due; a delay is not made up for."""
        now = time.perf_counter()
        time.sleep(max(self._due - now, 0.0))
        self._due = max(self._due, now) + 1.0 / per_second


class Pictured(gymnasium.Env[ObsType, ActType]):
    """A world that draws itself, in one of the modes in its `metadata`.

    Args:
        render_mode: None, or how it is drawn.
        width: of a picture, in pixels.
        height: of a picture, in pixels.

    Raises:
        ValueError: one of them is not usable.
        gymnasium.error.Error: "human" without a display.
    """

    def __init__(self, render_mode: str | None, width: int, height: int) -> None:
        check_picture(render_mode, self.metadata["render_modes"], width, height)
        self.render_mode, self._size = render_mode, (width, height)
        self._window = Window(type(self).__name__) if render_mode == "human" else None
        self._pace = Pace()
        self._began = self._closed = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Seed the generator, and let steps follow; a subclass begins an episode."""
        if self._closed:
            refuse("reset()", closed=True)
        self._began = True
        return super().reset(seed=seed)

    def _check_begun(self, call: str = "step()") -> None:
        """Raises: gymnasium.error.Error for a call before the first reset, or after `close`."""
        if not self._began or self._closed:
            refuse(call, self._closed)

    def _picture(self) -> NDArray[np.uint8]:
        """The world as uint8 [height, width, 3]."""
        raise NotImplementedError

    def render(self) -> Any:
        """Return uint8 [height, width, 3] in mode "rgb_array"; a window updates by itself."""
        if self.render_mode == "rgb_array":
            self._check_begun("render()")
            return self._picture()
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode; make() it with 'rgb_array'")
        return None

    def _show(self) -> None:
        """Update the window, if there is one, and wait until its next frame is due."""
        if self._window is not None:
            self._window.show(self._picture())
            self._pace.wait(self.metadata["render_fps"])

    def close(self) -> None:
        """Close the window, if there is one; further calls do nothing."""
        self._closed = True
        if self._window is not None:
            self._window.close()
