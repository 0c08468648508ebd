"""Squash: a small game with pixel observations that can be learned on a CPU in minutes.

A ball bounces off the far wall at a random angle, and off the side walls like a mirror. The player
moves a paddle at the near end. Hitting the ball gives a reward of 1. Missing it gives -1 and ends
the episode, and so does the tenth hit. Episode returns range from -1 to 10.

The game is written in NumPy, and a step takes a few microseconds. An episode depends only on its
seed and actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.actions import number_of
from envs.drawing.pictured import Pictured

SIZE = 24  # pixels of the court, which is square; every length below is in pixels
BALL, PADDLE, THICKNESS = 2, 5, 2
BALL_SPEED = 2.0  # along the court, per step
SIDE_SPEED = 1.25  # across the court, at most
PADDLE_SPEED = 1.5
NEAR = float(SIZE - THICKNESS - BALL)  # where the ball reaches the paddle
WINNING = 10
ACTIONS = ("left", "stay", "right")

_BALL_GREY, _PADDLE_GREY = 255, 128
_COURT_COLOUR, _BALL_COLOUR, _PADDLE_COLOUR = (28, 58, 82), (250, 236, 120), (237, 107, 33)


class Squash(Pictured[NDArray[np.uint8], Any]):
    """Observations: the last two frames, uint8 [2, 24, 24], the newest last.

    Actions: 0 moves left, 1 stays, 2 moves right.

    Args:
        render_mode: None, "rgb_array", or "human" for a window.
        width: width of a rendered image, in pixels.
        height: height of a rendered image, in pixels.

    Raises:
        ValueError: `render_mode`, `width` or `height` is not usable.
        gymnasium.error.Error: "human" without a display.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 20}  # noqa: RUF012
    stack_size = 2  # frames per observation, named as in gymnasium.wrappers.FrameStackObservation

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 480) -> None:
        super().__init__(render_mode, width, height)
        shape = (self.stack_size, SIZE, SIZE)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))
        self._frames = np.zeros(shape, np.uint8)
        self._x = self._y = self._across = self._along = self._paddle = 0.0
        self._returned = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        self._x = float(self.np_random.uniform(0.0, SIZE - BALL))
        self._serve()
        self._paddle, self._returned = (SIZE - PADDLE) / 2, 0
        self._frames = np.empty_like(self._frames)
        self._frames[:] = self._frame()
        self._show()
        return self._frames.copy(), {}

    def _serve(self) -> None:
        """Let the ball leave the far wall at a new angle."""
        self._y, self._along = 0.0, BALL_SPEED
        self._across = float(self.np_random.uniform(-SIDE_SPEED, SIDE_SPEED))

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self._check_begun()
        move = number_of(action, ACTIONS, "Squash") - 1
        self._paddle = min(max(self._paddle + move * PADDLE_SPEED, 0.0), float(SIZE - PADDLE))
        self._fly()
        reward, over = 0.0, False
        if self._y >= NEAR and self._along > 0:
            if self._paddle - BALL < self._x < self._paddle + PADDLE:
                self._along, self._returned, reward = -BALL_SPEED, self._returned + 1, 1.0
                over = self._returned == WINNING
            else:
                reward, over = -1.0, True
        self._frames[:-1] = self._frames[1:]
        self._frames[-1] = self._frame()
        self._show()
        return self._frames.copy(), reward, over, False, {}

    def _fly(self) -> None:
        self._y += self._along
        if self._y <= 0.0:
            self._serve()
        self._x += self._across
        last = float(SIZE - BALL)
        if not 0.0 <= self._x <= last:
            self._x = -self._x if self._x < 0.0 else 2 * last - self._x
            self._across = -self._across

    def _frame(self) -> NDArray[np.uint8]:
        frame = np.zeros((SIZE, SIZE), np.uint8)
        x, y, paddle = round(self._x), round(self._y), round(self._paddle)
        frame[SIZE - THICKNESS :, paddle : paddle + PADDLE] = _PADDLE_GREY
        frame[y : y + BALL, x : x + BALL] = _BALL_GREY
        return frame

    def _picture(self) -> NDArray[np.uint8]:
        width, height = self._size
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = _COURT_COLOUR
        for x, y, across, along, colour in (
            (self._paddle, SIZE - THICKNESS, PADDLE, THICKNESS, _PADDLE_COLOUR),
            (self._x, self._y, BALL, BALL, _BALL_COLOUR),
        ):
            rows = slice(round(y * height / SIZE), round((y + along) * height / SIZE))
            columns = slice(round(x * width / SIZE), round((x + across) * width / SIZE))
            picture[rows, columns] = colour
        return picture
