"""What the result of a run means for its robot, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import envs
from ars.algorithms import ALGORITHMS
from ars.common.words import rounded
from envs.published import published_for

# Where a robot stands instead of running: it stays up for some time and does not get far.
_UP_FOR, _NOT_FAR = 200, 5.0  # steps; metres
_FOR_STANDING = {"alive": "progress", "survive": "forward"}  # terms, and those for running
_COSTS = "electricity", "stall", "ctrl"


def travelled(final: dict[str, Any]) -> list[str]:
    """How far and how fast the robot came, and to how many flags; nothing where it goes nowhere."""
    if "metres_mean" not in final:
        return []
    words = [f"{rounded(final['metres_mean'])} metres"]
    if "metres_per_second" in final:
        words.append(f"{rounded(final['metres_per_second'], 2)} m/s")
    if "flags_mean" in final:
        words.append(f"{rounded(final['flags_mean'])} flags")
    return words


class Share(NamedTuple):
    """A return beside one that others have published.

    Attributes:
        percent: of the published one, in digits; empty where either is not positive.
        of: what was published, in words.
    """

    percent: str
    of: str

    def __str__(self) -> str:
        return f"{self.percent} % of the {self.of}" if self.percent else self.of


def shares(env_id: str, return_mean: float) -> list[Share]:
    """The return beside what others have published for the robot with an algorithm of ours."""
    if env_id not in {name for row in envs.table() for name in (row.name, row.id)}:
        return []
    return [
        Share(f"{100 * return_mean / figure:,.0f}", f"published {algorithm} ({figure:,g})")
        if min(figure, return_mean) > 0
        else Share("", f"published {algorithm}: {figure:,g}")
        for algorithm, figure, _ in published_for(env_id)[1]
        if algorithm.lower() in ALGORITHMS
    ]


def standing(final: Mapping[str, Any], weighed: bool) -> str:
    """A line for a robot that earns by standing; else nothing.

    Args:
        final: its evaluation.
        weighed: whether it was trained with `reward_weights`, which may help where there are none.
    """
    for standing, running in _FOR_STANDING.items():
        up, ran = final.get(f"{standing}_mean", 0.0), final.get(f"{running}_mean", math.inf)
        near = final.get("metres_mean", math.inf) < _NOT_FAR
        if up > max(ran, 0.0) and near and final["length_mean"] >= _UP_FOR:
            off = [f"{name}=0" for name in (standing, *_COSTS) if f"{name}_mean" in final]
            found = (
                f"it stands rather than runs: {up:,.0f} of its return are for being up "
                f"({standing}), {round(ran):,} for getting on ({running})"
            )
            may_help = f"`reward_weights` {' '.join(off)} `anneal_weights` 2000000"
            return found if weighed else f"{found}; what may help: {may_help}"
    return ""
