"""What worlds that draw themselves share: how they are drawn, how large, and a window."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium.core import ActType, ObsType
from numpy.typing import NDArray

from envs.window import Window

LARGEST_PICTURE = 2**24  # pixels


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
        modes = self.metadata["render_modes"]
        if render_mode not in (None, *modes):
            known = ", ".join(map(repr, modes))
            raise ValueError(f"render_mode={render_mode!r}; it is None or one of {known}")
        if width < 1 or height < 1 or width * height > LARGEST_PICTURE:
            raise ValueError(
                f"width={width}, height={height}; a picture has at least 1x1 pixels and at most "
                f"{LARGEST_PICTURE:,}"
            )
        self.render_mode, self._size = render_mode, (width, height)
        self._window = Window(type(self).__name__) if render_mode == "human" else None

    @abstractmethod
    def _picture(self) -> NDArray[np.uint8]:
        """The world as uint8 [height, width, 3]."""

    def render(self) -> Any:
        """Return uint8 [height, width, 3] in mode "rgb_array"; a window updates by itself."""
        if self.render_mode == "rgb_array":
            return self._picture()
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode; make() it with 'rgb_array'")
        return None

    def _show(self) -> None:
        """Update the window, if there is one."""
        if self._window is not None:
            self._window.show(self._picture())

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
