"""The linear-quadratic regulator of the ARS paper, whose best controller is known exactly.

Mania, Guy and Recht (2018), section 4.3, after Dean et al. (2017), arXiv 1710.01688:

    x' = A x + B u + w,    w normal with identity covariance,    cost x^T Q x + u^T R u

with A of 1.01 on its diagonal and 0.01 beside it, B = R = I, Q = I / 1000, over 300 steps from 0. A
is slightly unstable, so that without control the state drifts away.

    envs.lqr.optimal_cost()        the least expected cost of an episode, by dynamic programming
    envs.lqr.expected_cost(K)      that of u = K x, exactly, without playing any episode
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.drawing.canvas import HERE, PALE, Canvas
from envs.drawing.pictured import Pictured

Array = NDArray[np.float64]

SIZE, HORIZON = 3, 300
STATE_COST = 0.001
BOUND = 1.0  # of the space of actions; the best controller's deviate by 0.2, and none is cut here
OWN, BESIDE = 1.01, 0.01  # how much of itself and of its neighbours a number becomes in a step
A: Array = OWN * np.eye(SIZE) + BESIDE * (np.eye(SIZE, k=1) + np.eye(SIZE, k=-1))
B: Array = np.eye(SIZE)
Q: Array = STATE_COST * np.eye(SIZE)
R: Array = np.eye(SIZE)


def optimal_gains(horizon: int = HORIZON) -> list[Array]:
    """The best controller: `u_t = K_t x_t` of every step, each [3, 3] (Riccati recursion)."""
    cost_to_go: Array = np.zeros((SIZE, SIZE))
    gains: list[Array] = []
    for _ in range(horizon):
        bends, pulls = R + B.T @ cost_to_go @ B, B.T @ cost_to_go @ A
        gain: Array = -np.linalg.solve(bends, pulls).astype(np.float64)
        cost_to_go = _before(cost_to_go, gain)
        gains.append(gain)
    return gains[::-1]


def optimal_cost(horizon: int = HORIZON) -> float:
    """The least expected cost of an episode that begins at 0."""
    return _expected(optimal_gains(horizon))


def expected_cost(gain: Array, horizon: int = HORIZON) -> float:
    """The expected cost of an episode under `u = K x`; `gain`: K, [3, 3]."""
    return _expected([np.asarray(gain, np.float64)] * horizon)


def _before(cost_to_go: Array, gain: Array) -> Array:
    """The quadratic cost of a step and all that follow, from that of those that follow."""
    closed = A + B @ gain
    before: Array = Q + gain.T @ R @ gain + closed.T @ cost_to_go @ closed
    return before


def _expected(gains: list[Array]) -> float:
    cost_to_go, expected = np.zeros((SIZE, SIZE)), 0.0
    for gain in reversed(gains):
        expected += float(np.trace(cost_to_go))  # what the noise of this step will cost
        cost_to_go = _before(cost_to_go, gain)
    return expected  # from 0


class LQR(Pictured[Array, Array]):
    """Observations: the state x, float64 [3]. Actions: u, float64 [3]. Reward: the negative cost.

    Args:
        render_mode: None or "rgb_array".
        width: of a picture, in pixels.
        height: of a picture, in pixels.

    Raises:
        ValueError: `render_mode`, `width` or `height` is not usable.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 360) -> None:
        super().__init__(render_mode, width, height)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (SIZE,), np.float64)
        self.action_space = gymnasium.spaces.Box(-BOUND, BOUND, (SIZE,), np.float64)
        self._x = np.zeros(SIZE)
        self._last: list[Array] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self._x, self._last = np.zeros(SIZE), []
        return self._x.copy(), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self._check_begun()
        u = np.asarray(action, np.float64)
        if u.shape != (SIZE,):
            raise ValueError(f"action of shape {u.shape}; LQR takes {SIZE} numbers")
        # Number by number: in half the time of arrays, and in the same order everywhere.
        (x, y, z), (a, b, c) = self._x.tolist(), u.tolist()
        if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
            raise ValueError(f"action is not finite: {[a, b, c]}")
        reward = -(STATE_COST * (x * x + y * y + z * z) + (a * a + b * b + c * c))
        n = self.np_random.standard_normal(SIZE).tolist()
        if self.render_mode is not None:
            self._last = [*self._last[-99:], self._x]
        self._x = np.array(
            [
                OWN * x + BESIDE * y + a + n[0],
                BESIDE * x + OWN * y + BESIDE * z + b + n[1],
                BESIDE * y + OWN * z + c + n[2],
            ]
        )
        return self._x.copy(), reward, False, False, {}

    def _picture(self) -> NDArray[np.uint8]:
        """The last hundred values of each number of the state."""
        canvas = Canvas(*self._size)
        for number in range(SIZE):
            middle = (number + 0.5) / SIZE
            canvas.box((0.0, middle - 0.001), (1.0, middle + 0.001), PALE)
            for at, x in enumerate([*self._last, self._x]):
                y = middle - float(np.clip(x[number] / 40, -1, 1)) / (2 * SIZE)
                canvas.disc((at / 100, y), 0.006, HERE, HERE)
        return canvas.pixels()
