"""The time that a run may take, kept within an iteration, with a share for what comes after it.

A budget listens to the pool of rollouts: from what it hears it knows how fast they come back, and
so how long the evaluations at the end of the run will take.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ars.common.words import duration

ROOM = 1.2  # of the estimate: evaluations differ in length, and files are written
# The first rollouts of a process load and compile much, so none is judged by: the pace is that of
# the fastest of the last ones, once there are some. Where it is too hopeful, the final evaluation
# has fewer episodes.
ENOUGH, LAST = 5, 50


class OutOfTime(Exception):
    """No time is left for what is being waited for."""


class TimeBudget:
    """A `Watch` of a pool that ends a wait when the time of a run is used.

    Args:
        seconds: of the run, from now or from `begin` on; None for no limit.
        eval_episodes: of an evaluation.
        stretch: an evaluation's longest episode as a multiple of training's longest.
        clock: gives seconds.

    Attributes:
        seconds: as given.
        played: rollouts that have come back since none was waited for.
        expected: rollouts that were submitted since then.
    """

    def __init__(
        self,
        seconds: float | None = None,
        eval_episodes: int = 1,
        stretch: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._eval_episodes, self._stretch, self._clock = eval_episodes, stretch, clock
        self._began = clock()
        self.played = self.expected = 0
        self._rollouts = self._steps = 0
        self._paces: deque[float] = deque(maxlen=LAST)  # seconds a step
        # Seconds that rollouts took, in which some were waited for, and since when some are.
        self._busy, self._waited, self._since = 0.0, 0.0, math.inf
        self._eval_length = 0.0
        self._kept_for: int | None = None

    def begin(self) -> None:
        """Count from now on."""
        self._began = self._clock()

    @property
    def spent(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._began

    def submitted(self, rollouts: int) -> None:
        """Hear of rollouts that are now waited for."""
        if self.played >= self.expected:
            self.played = self.expected = 0
        self.expected += rollouts

    def answered(self, rollouts: int, steps: int, seconds: float) -> None:
        """Hear of rollouts that came back, and what they cost one processor."""
        self.played += rollouts
        self._rollouts += rollouts
        self._steps += steps
        self._busy += seconds
        self._paces.append(seconds / max(steps, 1))
        self._since = min(self._since, self._clock() - seconds)
        if 0 < self.expected <= self.played:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._since < math.inf:
            self._waited += self._clock() - self._since
        self._since = math.inf

    def waiting(self) -> None:
        """Raises: OutOfTime within `kept_for`, once the time is used."""
        if self._kept_for is not None and self.is_used(self._kept_for):
            raise OutOfTime

    def evaluated(self, mean_length: float) -> None:
        """Hear of an evaluation's episodes: the longest so far are expected at the end."""
        self._eval_length = max(self._eval_length, mean_length)

    def forget(self) -> None:
        """No rollout is waited for any more."""
        self._stop_waiting()
        self.played = self.expected = 0

    def is_used(self, evaluations: int) -> bool:
        """Whether no more time is left than so many evaluations will take, or half of it all."""
        if self.seconds is None:
            return False
        needed = min(evaluations * self.evaluation_seconds(), 0.5 * self.seconds)
        return self.spent + needed >= self.seconds

    @contextmanager
    def kept_for(self, evaluations: int) -> Iterator[None]:
        """A block in which waits end once no more time is left than so many evaluations take."""
        self._kept_for = evaluations
        try:
            yield
        finally:
            self._kept_for = None

    def evaluation_seconds(self) -> float:
        """How long an evaluation will take, from what was heard; 0 while that is too little."""
        if len(self._paces) < ENOUGH:
            return 0.0
        seconds_each = min(self._paces) * self._length()
        waited = self._waited + max(0.0, self._clock() - self._since)
        at_once = max(1.0, self._busy / max(waited, 1e-9))
        return ROOM * math.ceil(self._eval_episodes / at_once) * seconds_each

    def overrun(self, iteration_seconds: float) -> str | None:
        """A line where the run took noticeably longer than it had.

        Args:
            iteration_seconds: of the last iteration, if iterations cannot be dropped; otherwise 0.
        """
        if self.seconds is None or self.spent <= 1.1 * self.seconds + 1.0:
            return None
        evaluation = self.evaluation_seconds()
        why = (
            f"an iteration is always finished, and the last took {duration(iteration_seconds)}"
            if iteration_seconds > evaluation
            else f"an evaluation takes about {duration(evaluation)}; fewer `eval_episodes` would "
            "shorten it"
        )
        return f"the time budget is passed by {duration(self.spent - self.seconds)}: {why}"

    def _length(self) -> float:
        """The steps to expect of an evaluation's episode."""
        return self._eval_length or self._stretch * self._steps / self._rollouts
