"""What training rewards: the terms of the reward weighed, at first or throughout.

Standing still can be the nearest optimum of a robot's reward, and there a search stays. A term that
counts for nothing at first, and comes back once the robot has learned to run, does not hold it.
Evaluations always judge the true reward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ars.common.errors import UsageError
from ars.common.settings import in_words, near, setting
from envs.objective import ObjectiveSpec


def parse_weights(words: Sequence[str]) -> dict[str, float]:
    """The weights that words such as `alive=0` name. Raises: UsageError."""
    found: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not name or not math.isfinite(weight):
            raise UsageError(f"`reward_weights` {word}: must be a term and a number, as alive=0")
        if name in found:
            raise UsageError(f"`reward_weights` {in_words(words)}: weighs {name} twice")
        found[name] = weight
    return found


@dataclass(frozen=True)
class ObjectiveConfig:
    """Settings of what training rewards; evaluations always judge the true reward."""

    reward_weights: tuple[str, ...] = setting(
        (),
        "factors of terms of the reward while training: alive=0 electricity=0",
        parse=parse_weights,
        metavar="TERM=W",
    )
    anneal_weights: int | None = setting(
        None,
        "timesteps over which `reward_weights` come back to 1 (default: they stay)",
        at_least=1,
        depends_on=("reward_weights",),
    )
    anneal_from: int = setting(
        0,
        "timestep from which `reward_weights` come back",
        at_least=0,
        depends_on=("reward_weights", "anneal_weights"),
    )
    end_when_down: bool = setting(
        False, "end training's episodes of a robot that goes on when it is down"
    )

    def __post_init__(self) -> None:
        if self.anneal_weights is not None and not self.reward_weights:
            raise UsageError(
                f"`anneal_weights` {self.anneal_weights}: has no meaning without `reward_weights`"
            )
        if self.anneal_from and self.anneal_weights is None:
            raise UsageError(
                f"`anneal_from` {self.anneal_from}: has no meaning without `anneal_weights`"
            )


class WeightSchedule:
    """The weights of the reward's terms while training, at any timestep.

    Args:
        config: the settings.
        env_id: of the environment, for messages.
        objective: what is known of its reward.

    Raises:
        UsageError: the environment's reward has no such terms, or its robot cannot be down.
    """

    def __init__(self, config: ObjectiveConfig, env_id: str, objective: ObjectiveSpec) -> None:
        given, known = parse_weights(config.reward_weights), objective.terms
        for name, weight in given.items():
            where = f"`reward_weights` {name}={weight:g}: "
            if not known:
                raise UsageError(f"{where}{env_id} does not name terms of its reward")
            if name not in known:
                raise UsageError(
                    f"{where}the reward of {env_id} has no such term{near(name, known)}; its terms "
                    f"are {', '.join(known)}"
                )
        if config.end_when_down and not objective.can_be_down:
            raise UsageError(f"`end_when_down`: {env_id} has no state that counts as down")
        self._first = tuple(given.get(name, 1.0) for name in known)
        self._from, self._over = config.anneal_from, config.anneal_weights
        self.used = any(weight != 1.0 for weight in self._first)

    def at(self, timesteps: int) -> tuple[float, ...] | None:
        """The weights after so many timesteps of the run; None where all are one."""
        since = max(0, timesteps - self._from)
        if not self.used or (self._over is not None and since >= self._over):
            return None
        share = 0.0 if self._over is None else since / self._over
        return tuple(weight + share * (1.0 - weight) for weight in self._first)
