"""Does an environment repeat itself? An evaluation's first episode, played again now and then.

What a few steps at the start do not show, such as random numbers drawn late in an episode, the
order of a set, or a state that leaks from one episode to the next, is found here: in another
process, after other episodes, or after a resume. It costs an episode after 1, 2, 4, 8 ...
evaluations and one at the end. The first of those evaluations' episodes also tells what the
observations have become since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ars.common.seeding import Stream
from ars.rollout.episode import Episode
from ars.rollout.task import Task
from policies import RunningMeanStd


class Played(NamedTuple):
    """What an episode came to."""

    total_reward: float
    length: int

    @classmethod
    def of(cls, episode: Episode) -> Played:
        """That of an episode."""
        return cls(float(episode.total_reward), int(episode.length))


def difference(env_id: str, first: Played, again: Played) -> str | None:
    """What to tell the user of an episode that was played twice; None if it repeated itself."""
    if first == again:
        return None
    return (
        f"{env_id}: an episode that was played twice gave {first.total_reward:,.6g} in "
        f"{first.length:,} steps and {again.total_reward:,.6g} in {again.length:,}: it depends on "
        "more than its seed and actions (global random numbers, the order of a set, earlier "
        "episodes, another version or machine), so results will not repeat exactly"
    )


class RepetitionCheck:
    """The tasks of a run's evaluations, some with one to repeat, and what they tell.

    Args:
        env_id: the environment.
        n: episodes of an evaluation; nothing is repeated where it is one.
        notify: called with a warning, once.
        known: whether the user knows already that the environment does not repeat itself.
        look: called with the statistics of an episode's observations where one would be repeated;
            returns a warning, after which it is not called again.
    """

    FIRST = Task(Stream.EVALUATION, 0, 0)

    def __init__(
        self,
        env_id: str,
        n: int,
        notify: Callable[[str], None],
        known: bool,
        look: Callable[[RunningMeanStd], str | None] | None = None,
    ) -> None:
        self._env_id, self._n, self._notify, self._look = env_id, n, notify, look
        self._off = known or n == 1
        self._evaluations = 0

    def scheduled(self) -> list[Task]:
        """The tasks of a scheduled evaluation, and its first once more if that is due."""
        self._evaluations += 1
        due = self._evaluations & (self._evaluations - 1) == 0
        return self._tasks(Stream.EVALUATION, repeat=due)

    def final(self, best: Played | None) -> list[Task]:
        """The tasks of the final evaluation of a policy whose first episode was `best`."""
        return self._tasks(Stream.FINAL_EVALUATION, repeat=best is not None)

    def _tasks(self, stream: Stream, repeat: bool) -> list[Task]:
        tasks = [Task(stream, 0, episode) for episode in range(self._n)]
        if repeat and self._look is not None:
            tasks[0] = replace(tasks[0], watched=True)
        return [*tasks, self.FIRST] if repeat and not self._off else tasks

    def evaluated(self, episodes: list[Episode], first: Played | None = None) -> list[Episode]:
        """The evaluation's own episodes; `first`: with what to compare, by default its first."""
        own, again = episodes[: self._n], episodes[self._n :]
        seen = own[0].statistics
        if self._look is not None and seen is not None and (warning := self._look(seen)):
            self._look = None
            self._notify(f"warning: {warning}")
        for episode in again:
            if own[0].fault is not None or episode.fault is not None:
                continue  # such numbers compare with nothing
            found = difference(self._env_id, first or Played.of(own[0]), Played.of(episode))
            if found is not None:
                self._off = True
                self._notify(f"warning: {found}")
        return own
