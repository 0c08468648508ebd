"""What finite worlds share: `P[s][a]` in the form of Gymnasium's toy_text, and pictures.

    world = envs.make("GridWorld").unwrapped
    world.P[0][1]            what may follow action 1 in state 0: (probability, next state, reward,
                             whether the episode terminates) of each outcome
    world.states, world.actions        their names, in the order of their numbers
    world.rewards                      expected reward of each action in each state

Episodes are drawn as toy_text draws them: a state at the start and an outcome at each step, each by
one uniform number looked up in the cumulative probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.actions import number_of
from envs.drawing.pictured import Pictured
from envs.tabular.model import Model, Transitions, drawn, heights

Picture = NDArray[np.uint8]


class FiniteWorld(Pictured[np.int64, np.int64]):
    """A world that is drawn from its transitions.

    Args:
        transitions: `P[s][a]`, of all states and actions.
        starts: of each state, the probability that an episode begins in it.
        states: names of the states.
        actions: names of the actions.
        render_mode: None, "ansi" for text, "rgb_array", or "human" for a window.
        width: width of a picture, in pixels.
        height: height of a picture, in pixels.
        truncates_at: states in which an episode is cut short when they are reached.

    Raises:
        ValueError: `render_mode`, `width` or `height` is not usable, or `transitions` are none.
        gymnasium.error.Error: "human" without a display.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 2}  # noqa: RUF012
    draws_from_p: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.step is not FiniteWorld.step or cls.reset is not FiniteWorld.reset
        cls.draws_from_p = not own

    def __init__(
        self,
        transitions: Transitions,
        starts: Sequence[float],
        states: Sequence[str],
        actions: Sequence[str],
        render_mode: str | None,
        width: int,
        height: int,
        truncates_at: Sequence[int] = (),
    ) -> None:
        super().__init__(render_mode, width, height)
        self.P = {s: dict(row) for s, row in transitions.items()}
        self.initial_state_distrib = np.array(starts, np.float64)
        self.states, self.actions = tuple(states), tuple(actions)
        self.truncates_at = frozenset(truncates_at)
        self.observation_space = gymnasium.spaces.Discrete(len(self.states))
        self.action_space = gymnasium.spaces.Discrete(len(self.actions))
        Model.of(self.P, starts, truncates_at)  # raises what is wrong with them
        self._start_heights = heights(starts)
        self.s = 0
        self.lastaction: int | None = None

    @property
    def rewards(self) -> NDArray[np.float64]:
        """The expected reward of every action in every state, [n_states, n_actions]."""
        return np.array(
            [[sum(p * r for p, _, r, _ in row) for row in of.values()] for of in self.P.values()]
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        super().reset(seed=seed)
        self.s = drawn(self._start_heights, self.np_random.random())
        self.lastaction = None
        self._show()
        return np.int64(self.s), {"prob": float(self.initial_state_distrib[self.s])}

    def step(self, action: Any) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        self._check_begun()
        self.lastaction = number = number_of(action, self.actions, type(self).__name__)
        outcomes = self.P[self.s][number]
        index = drawn(heights(p for p, *_ in outcomes), self.np_random.random())
        probability, self.s, reward, terminated = outcomes[index]
        self._show()
        truncated = self.s in self.truncates_at and not terminated
        return np.int64(self.s), float(reward), terminated, truncated, {"prob": probability}

    # Pictures

    def text(self) -> str:
        """The world in letters: a line, or a line a row."""
        done = "" if self.lastaction is None else f" (after {self.actions[self.lastaction]})"
        return f"{self.states[self.s]}{done}"

    def picture(self, width: int, height: int) -> Picture:
        """The world as uint8 [height, width, 3]."""
        raise NotImplementedError

    def render(self) -> Any:
        """Text, or uint8 [height, width, 3], by the mode; a window updates by itself."""
        return self.text() if self.render_mode == "ansi" else super().render()

    def _picture(self) -> Picture:
        return self.picture(*self._size)
