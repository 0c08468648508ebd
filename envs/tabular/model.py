"""The transitions of a finite world, laid out to draw from as the world does, and to plan with."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from numpy.typing import NDArray

# Probability, next state, reward, and whether the episode terminates: as in Gymnasium's toy_text.
Outcome = tuple[float, int, float, bool]
Transitions = Mapping[int, Mapping[int, Sequence[Outcome]]]

_CHANGE_NOTHING = (TimeLimit, OrderEnforcing, PassiveEnvChecker)  # wrappers that leave P true
# Worlds of Gymnasium's that draw each step from P and nothing else, with these arguments.
_DRAW_FROM_P = {
    "gymnasium.envs.toy_text.cliffwalking:CliffWalkingEnv": {},
    "gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv": {},
    "gymnasium.envs.toy_text.taxi:TaxiEnv": {"fickle_passenger": False},
}


@dataclass(frozen=True)
class Model:
    """What may follow each action in each state.

    Attributes:
        outcomes: of each state and action, the (next state, reward, terminated) that may follow.
        heights: of each state and action, the cumulative probabilities of its outcomes.
        start_heights: of each state, the cumulative probability that an episode begins in it.
        starts: of each state, the probability that an episode begins in it; float64 [n_states].
        truncates_at: states in which an episode is cut short when they are reached.
        draws: whether anything is left to chance.
    """

    outcomes: list[list[list[tuple[int, float, bool]]]]
    heights: list[list[list[float]]]
    start_heights: list[float]
    starts: NDArray[np.float64]
    truncates_at: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls, transitions: Transitions, starts: Iterable[float], truncates_at: Sequence[int] = ()
    ) -> Model:
        """Lay out transitions. Raises: ValueError if they are none."""
        states = range(len(transitions))
        rows = [[transitions[s][a] for a in range(len(transitions[s]))] for s in states]
        pairs = ((s, a) for s in states for a in range(len(rows[s])))
        for s, a in pairs:
            row = rows[s][a]
            total = math.fsum(p for p, *_ in row)
            if not row or abs(total - 1.0) > 1e-6 or min(p for p, *_ in row) < 0:
                raise ValueError(f"P[{s}][{a}]: probabilities that add up to {total:g}, not 1")
            if not all(n in states and math.isfinite(r) for _, n, r, _ in row):
                raise ValueError(f"P[{s}][{a}]: an unknown state, or a reward that is not finite")
        return cls(
            [[[(int(n), float(r), bool(t)) for _, n, r, t in row] for row in of] for of in rows],
            [[heights([p for p, *_ in row]) for row in of] for of in rows],
            heights(starts),
            np.array([*starts], np.float64),
            frozenset(truncates_at),
        )

    @property
    def n_states(self) -> int:
        """How many states there are."""
        return len(self.outcomes)

    @property
    def n_actions(self) -> int:
        """How many actions there are in every state."""
        return len(self.outcomes[0])

    @property
    def draws(self) -> bool:
        """Whether anything is left to chance."""
        several = any(len(row) > 1 for of in self.outcomes for row in of)
        return several or int(np.count_nonzero(self.starts)) > 1


def heights(probabilities: Iterable[float]) -> list[float]:
    """Cumulative probabilities, to draw from with `drawn`."""
    return list(itertools.accumulate(map(float, probabilities)))


def drawn(heights: Sequence[float], uniform: float) -> int:
    """The first whose cumulative probability exceeds a uniform number, as toy_text draws."""
    at = bisect_right(heights, uniform)
    return at if at < len(heights) else 0  # as toy_text's argmax, where sums round


def model_of(env: gymnasium.Env[Any, Any]) -> Model | None:
    """The model of an environment that has `P[s][a]` and states counted from 0; None without one.

    None too in a wrapper that may change what the environment does.

    Raises: ValueError if `P` is no model.
    """
    world = _bare(env)
    transitions, spaces = getattr(world, "P", None), (env.observation_space, env.action_space)
    if world is None or not isinstance(transitions, Mapping):
        return None
    if not all(isinstance(s, gymnasium.spaces.Discrete) and s.start == 0 for s in spaces):
        return None
    n_states, n_actions = (int(space.n) for space in spaces)  # type: ignore[attr-defined]
    if set(transitions) != set(range(n_states)) or not all(
        set(row) == set(range(n_actions)) for row in transitions.values()
    ):
        raise ValueError("P does not have every state, and every action of each")
    starts = getattr(world, "initial_state_distrib", None)
    if starts is None or len(starts) != n_states:
        starts = np.full(n_states, 1.0 / n_states)
    return Model.of(transitions, starts, getattr(world, "truncates_at", ()))


def draws_from_model(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether an environment's every step is drawn from its `P`, in the way of toy_text.

    `reset` then draws a state, and `step` an outcome, each by one uniform number of `np_random`.
    """
    world = _bare(env)
    if world is None or world.render_mode is not None:
        return False
    if getattr(type(world), "draws_from_p", False):
        return True
    known = _DRAW_FROM_P.get(f"{type(world).__module__}:{type(world).__qualname__}")
    return known is not None and all(
        getattr(world, name, value) == value for name, value in known.items()
    )


def _bare(env: gymnasium.Env[Any, Any]) -> Any:
    """The environment within wrappers that change nothing; None if another is among them."""
    layer: Any = env
    while type(layer) in _CHANGE_NOTHING:
        layer = layer.env
    return None if isinstance(layer, gymnasium.Wrapper) else layer
