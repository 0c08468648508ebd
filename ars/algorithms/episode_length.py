"""How long episodes are: by default as long as the environment's own time limit lets them be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from ars.algorithms.objective import ObjectiveConfig
from ars.common.settings import setting

# Where neither the user nor the environment sets a limit; also what stored runs without a value
# mean.
UNLIMITED = 1000


@dataclass(frozen=True)
class EpisodeConfig(ObjectiveConfig):
    """Settings of how long episodes are, and of what training rewards in them."""

    rollout_length: int | None = setting(
        None,
        "most steps in a training episode (default: the environment's own limit; 1,000 where it "
        "has none)",
        at_least=1,
    )
    eval_length: int | None = setting(
        None,
        "most steps in an evaluation's episode (default: the environment's own limit; "
        "`rollout_length` where it has none)",
        at_least=1,
    )

    @property
    def most_steps(self) -> int:
        """The most steps in a training episode."""
        return UNLIMITED if self.rollout_length is None else self.rollout_length

    def within(self, time_limit: int | None) -> Self:
        """These settings for an environment, with every length a number.

        Args:
            time_limit: the environment's own, in steps; None if it has none. A smaller one than
                lengths that are given holds as well, since the environment sees to it.
        """
        rollout_length = self.rollout_length or time_limit or UNLIMITED
        eval_length = self.eval_length or time_limit or rollout_length
        return replace(self, rollout_length=rollout_length, eval_length=eval_length)
