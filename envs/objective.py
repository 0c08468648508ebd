"""What a reward is made of: named terms, weighed and added up over an episode; and measures.

Robots of ours name their terms and weigh them in their own arithmetic, in compiled code too. Other
environments name theirs in `info`, as Gymnasium's MuJoCo robots do (`reward_forward`,
`reward_ctrl` ...); a term of weight w then adds (w - 1) times itself to the reward. Measures are
what else is counted in an episode: the metres that a robot travels, the flags that it reaches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import gymnasium

_PREFIX = "reward_"
# Columns of a log are named `TERM_mean`: these are taken.
_TAKEN = ("return", "length", "metres", "flags")


class ObjectiveSpec(NamedTuple):
    """What is known of an environment's reward.

    Attributes:
        terms: their names, in the order in which weights and sums are given.
        measures: names of what else is counted.
        step_seconds: seconds of simulated time in a step; None where there are none.
        can_be_down: whether there is a state, down, that can end an episode.
        adds_up: whether the terms add up to the reward; not where a wrapper changes a robot's.
    """

    terms: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    step_seconds: float | None = None
    can_be_down: bool = False
    adds_up: bool = True


NOTHING_KNOWN = ObjectiveSpec()


class Tally(NamedTuple):
    """What an episode came to.

    Attributes:
        total_reward: the sum of the rewards without weights; None where nobody knows it.
        terms: what each term added up to without its weight.
        measures: what else was counted, by name.
    """

    total_reward: float | None
    terms: tuple[float, ...]
    measures: Mapping[str, float]

    def true_return(self, paid: float) -> float:
        """The sum of the rewards without weights, or what was paid where nobody knows that."""
        return paid if self.total_reward is None else self.total_reward


class Objective:
    """The terms of one environment's reward, whoever keeps them.

    Args:
        env: the environment, wrapped or not.
        known: of its reward; a robot of ours knows its own terms.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], known: ObjectiveSpec = NOTHING_KNOWN) -> None:
        robot: Any = getattr(env, "unwrapped", env)
        own = robot.reward_terms if hasattr(robot, "term_sums") else None
        self._robot = None if own is None else robot
        self.terms = tuple(known.terms if own is None else own)
        self.in_info = own is None and bool(known.terms)  # whether `weigh` must see every step
        self.weighs, self._adds_up = False, known.adds_up
        self._env, self._keys = env, [_PREFIX + name for name in self.terms]
        self._factors: list[tuple[int, float]] = []  # less one, of the terms that have another
        self._sums = [0.0] * len(self.terms)
        self._total, self._start = 0.0, 0.0
        self._info: Mapping[str, Any] = {}

    def weigh_by(self, weights: Sequence[float] | None, end_when_down: bool = False) -> None:
        """Weigh the terms from the next step on; None for the environment's own reward."""
        self.weighs = weights is not None
        if self._robot is not None:
            self._robot.reward_weights[:] = weights or [1.0] * len(self.terms)
            self._robot.end_when_down = end_when_down
        else:
            self._factors = [(i, w - 1.0) for i, w in enumerate(weights or ()) if w != 1.0]

    def begin(self, info: Any) -> None:
        """An episode begins; `info` is its reset's."""
        self._sums, self._total, self._info = [0.0] * len(self.terms), 0.0, {}
        self._start = _number(info, "x_position") or 0.0

    def weigh(self, reward: float, info: Mapping[str, Any]) -> float:
        """The weighed reward of a step; only where the terms are `in_info`.

        Raises:
            ValueError: a term that has a weight is no finite number.
        """
        sums = self._sums
        for i, key in enumerate(self._keys):
            sums[i] += _finite(info.get(key)) or 0.0
        self._total += reward
        for i, factor in self._factors:
            key = self._keys[i]
            if (term := _finite(info.get(key))) is None and key in info:
                raise ValueError(f"{key} in `info` is {info[key]!r}, and must be a finite number")
            reward += factor * (term or 0.0)
        return reward

    def end(self, info: Any = None) -> Tally:
        """The episode is over; `info` is that of its last step, None where nobody saw it."""
        if self._robot is not None:
            terms = tuple(self._robot.term_sums)
            return Tally(sum(terms) if self._adds_up else None, terms, self._robot.measured)
        self._info = info if isinstance(info, Mapping) else {}
        x = _number(self._info, "x_position")
        measures = {} if x is None else {"metres": x - self._start}
        return Tally(self._total, tuple(self._sums), measures)

    def describe(self, paid: float = math.nan) -> ObjectiveSpec:
        """What is known of the reward, after an episode's `end`; `paid`: its return, if known."""
        robot = self._robot
        if robot is not None:
            # Terms are added up in another order than rewards.
            close = math.isclose(sum(robot.term_sums), paid, rel_tol=1e-6, abs_tol=1e-6)
            adds_up = close or not math.isfinite(paid)
            told = self.terms, robot.measures, float(robot.dt), robot.falls_down
            return ObjectiveSpec(*told, adds_up)
        found = [key for key in self._info if _number(self._info, key) is not None]
        named = [key.removeprefix(_PREFIX) for key in found if key.startswith(_PREFIX)]
        terms = tuple(name for name in named if name and name not in _TAKEN)
        seconds: Any = getattr(getattr(self._env, "unwrapped", self._env), "dt", None)
        usable = isinstance(seconds, int | float) and seconds > 0
        measures = ("metres",) if "x_position" in found else ()
        return ObjectiveSpec(terms, measures, float(seconds) if usable else None)


def _number(info: Any, name: str) -> float | None:
    """What `info` holds under `name`, if that is a finite number."""
    return _finite(info.get(name)) if isinstance(info, Mapping) and isinstance(name, str) else None


def _finite(value: Any) -> float | None:
    """A value, if it is a finite number."""
    if not isinstance(value, float):  # as nearly all are; each step asks
        if not isinstance(value, Real) or isinstance(value, bool):
            return None
        value = float(value)
    return value if math.isfinite(value) else None
