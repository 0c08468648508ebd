"""How long to wait for a worker, learned from the rollouts that came back. No Ray, no clock here.

An ordinary rollout takes at most the usual seconds per step times the most steps it may have. A
call that takes several times as long is late: it is worth a second copy on a worker that has
nothing else to do. One that takes many times as long has hung: its worker is replaced.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable

LATE_SECONDS, LATE_TIMES = 2.0, 3.0
HUNG_SECONDS, HUNG_TIMES = 20.0, 10.0
# Before the first answer; the first rollout of an environment may compile something.
FIRST_LATE_SECONDS, FIRST_HUNG_SECONDS = 30.0, 300.0
# The same for building an environment, which may compile too; many at once share a processor.
HUNG_START_SECONDS, FIRST_HUNG_START_SECONDS = 60.0, 300.0
# Episodes differ in length by up to this factor; beyond it, steps are not what takes the time.
LONGEST_TIMES = 20.0
WINDOW = 64  # calls; their median ignores a straggler or a slow machine


class Timeouts:
    """Learns the pace of rollouts.

    Args:
        rollout_length: the most steps that one has.
        env_seconds: how long making an environment took elsewhere, as far as is known.
    """

    def __init__(self, rollout_length: int, env_seconds: float = 0.0) -> None:
        self._rollout_length = rollout_length
        self._env_seconds = env_seconds
        self._per_rollout: deque[float] = deque(maxlen=WINDOW)
        self._per_step: deque[float] = deque(maxlen=WINDOW)
        self._starts: deque[float] = deque(maxlen=WINDOW)
        self.pace: float | None = None  # seconds per rollout, a moving average

    def learn(self, seconds: float, n_rollouts: int, n_steps: int) -> None:
        """Learn from a call that came back: how long its worker needed, and for what."""
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
        """Seconds after which a call is given up, doubled for each of the `tries` before."""
        if not self._per_rollout:
            return FIRST_HUNG_SECONDS * 2.0**tries
        return (HUNG_SECONDS + HUNG_TIMES * n_rollouts * self._longest()) * 2.0**tries

    def learn_start(self, seconds: float) -> None:
        """Learn from how long a worker took to build its environment."""
        self._starts.append(seconds)

    def hung_start(self) -> float:
        """Seconds after which a worker that is still building is given up."""
        if not self._starts:
            return self.patience(FIRST_HUNG_START_SECONDS)
        return HUNG_START_SECONDS + HUNG_TIMES * statistics.median(self._starts)

    def patience(self, seconds: float) -> float:
        """The seconds to wait for a first worker, more where making an environment takes long."""
        return seconds + HUNG_TIMES * self._env_seconds

    def _longest(self) -> float:
        """Seconds of the longest ordinary rollout."""
        return min(
            statistics.median(self._per_step) * self._rollout_length,
            statistics.median(self._per_rollout) * LONGEST_TIMES,
        )


class SteadyClock:
    """A clock that advances by a bounded time from one call of `look` to the next.

    So workers do not seem late because the driver itself was busy or stopped for a while.
    """

    LONGEST = 2.0  # the most seconds that count between two calls

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen = clock()
        self.now = 0.0

    def look(self) -> float:
        """Advance `now`, which stays the same until the next call, and return it."""
        seen = self._clock()
        self.now += min(seen - self._seen, self.LONGEST)
        self._seen = seen
        return self.now
