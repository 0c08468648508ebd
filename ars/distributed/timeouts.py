"""How long to wait for a worker, learned from the rollouts that came back. Pure: no Ray, no clock.

An ordinary rollout takes at most the usual seconds per step times the steps it may have. A call
that takes several times that is late: it is worth a second copy where a worker has nothing else
to do. One that takes many times that is given up and its worker replaced.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable

LATE_SECONDS, LATE_TIMES = 2.0, 3.0
HUNG_SECONDS, HUNG_TIMES = 20.0, 10.0
# Before the first answer; the first rollout of an environment may compile something.
FIRST_LATE_SECONDS, FIRST_HUNG_SECONDS = 30.0, 300.0
# Of a start: a construction may compile something too, and many at once share a processor.
HUNG_START_SECONDS, FIRST_HUNG_START_SECONDS = 60.0, 300.0
# Episodes differ in length, as far as this; beyond it, what takes so long is no step.
LONGEST_TIMES = 20.0
WINDOW = 64  # calls; the median of them does not heed a straggler or a slow machine


class Deadlines:
    """Learns the pace of rollouts that have at most `rollout_length` steps."""

    def __init__(self, rollout_length: int) -> None:
        self._rollout_length = rollout_length
        self._per_rollout: deque[float] = deque(maxlen=WINDOW)
        self._per_step: deque[float] = deque(maxlen=WINDOW)
        self._starts: deque[float] = deque(maxlen=WINDOW)
        self.pace: float | None = None  # seconds per rollout, a moving average

    def learn(self, seconds: float, n_rollouts: int, n_steps: int) -> None:
        """Take in a call that came back: the seconds its worker needed for it."""
        pace = seconds / n_rollouts
        self.pace = pace if self.pace is None else self.pace + 0.3 * (pace - self.pace)
        self._per_rollout.append(pace)
        self._per_step.append(seconds / max(n_steps, 1))

    def late(self, n_rollouts: int) -> float:
        """Seconds after which a call of `n_rollouts` is worth a second copy."""
        if not self._per_rollout:
            return FIRST_LATE_SECONDS
        return LATE_SECONDS + LATE_TIMES * n_rollouts * self._longest()

    def hung(self, n_rollouts: int, tries: int = 0) -> float:
        """Seconds after which it is given up; twice as many for each of the `tries` before."""
        if not self._per_rollout:
            return FIRST_HUNG_SECONDS * 2.0**tries
        return (HUNG_SECONDS + HUNG_TIMES * n_rollouts * self._longest()) * 2.0**tries

    def learn_start(self, seconds: float) -> None:
        """Take in a worker that was built: its seconds."""
        self._starts.append(seconds)

    def hung_start(self) -> float:
        """Seconds after which a worker that is being built is given up."""
        if not self._starts:
            return FIRST_HUNG_START_SECONDS
        return HUNG_START_SECONDS + HUNG_TIMES * statistics.median(self._starts)

    def _longest(self) -> float:
        """Seconds of the longest ordinary rollout."""
        return min(
            statistics.median(self._per_step) * self._rollout_length,
            statistics.median(self._per_rollout) * LONGEST_TIMES,
        )


class Watch:
    """A clock that a long look away hardly moves.

    So a driver that was busy or stopped for a while does not hold it against its workers.
    """

    LONGEST = 2.0  # seconds between two looks that count

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen = clock()
        self.now = 0.0

    def look(self) -> float:
        """Seconds watched so far; `now` has the same until the next look."""
        seen = self._clock()
        self.now += min(seen - self._seen, self.LONGEST)
        self._seen = seen
        return self.now
