"""What the closing of a run says: what was reached, whether the robot runs, and how to go on."""

from __future__ import annotations

import math
from typing import Any

import envs
from ars.algorithms import ALGORITHMS
from ars.common.settings import counted
from ars.common.words import digits, duration, rounded
from envs.published import published_for

# Where a robot stands instead of running: it stays up for some time and does not get far.
_UP_FOR, _NOT_FAR = 200, 5.0  # steps; metres
_FOR_STANDING = {"alive": "progress", "survive": "forward"}  # terms, and those for running
_COSTS = "electricity", "stall", "ctrl"


def summary(env_id: str, result: dict[str, Any]) -> str:
    """What a run reached and cost, from what result.json holds."""
    final = result["final_evaluation"]
    seconds = max(result["seconds"], 1e-3)  # none have passed where a clock stands still
    robot = ", ".join([*_travelled(final), *_shares(env_id, final["return_mean"])])
    lines = [
        f"{env_id}: evaluated {digits(final['return_mean'])} ± {digits(final['return_std'])} over "
        f"{counted(final['episodes'], 'new episode')} (best policy, iteration "
        f"{final['iteration']:,}){':' if robot else ''}",
        robot,
        _standing(final),
        f"{result['stopped']}: {counted(result['timesteps'], 'timestep')}, "
        f"{counted(result['iterations'], 'iteration')} in {duration(seconds)} "
        f"({result['timesteps'] / seconds:,.0f} steps/s)",
    ]
    return "\n" + "\n".join(line for line in lines if line)


def going_on(result: dict[str, Any], stretch: bool) -> dict[str, int]:
    """The settings with which a run that has ended goes on: for as long again.

    Args:
        result: what result.json holds.
        stretch: whether there are schedules, whose horizon has to move too.
    """
    if result["stopped"].startswith("time budget"):  # it has the same one again
        return {}
    longer = {"total_timesteps": 2 * result["timesteps"]}
    return {**longer, "horizon": longer["total_timesteps"]} if stretch else longer


def _travelled(final: dict[str, Any]) -> list[str]:
    """How far and how fast the robot came; nothing where metres are not counted."""
    if "metres_mean" not in final:
        return []
    words = [f"{rounded(final['metres_mean'])} metres"]
    if "metres_per_second" in final:
        words.append(f"{rounded(final['metres_per_second'], 2)} m/s")
    return words


def _shares(env_id: str, return_mean: float) -> list[str]:
    """The return beside what others have published for the robot with an algorithm of ours."""
    if env_id not in {name for row in envs.table() for name in (row.name, row.id)}:
        return []
    return [
        f"{100 * return_mean / figure:,.0f} % of the published {algorithm} ({figure:,g})"
        if min(figure, return_mean) > 0
        else f"published {algorithm}: {figure:,g}"
        for algorithm, figure, _ in published_for(env_id)[1]
        if algorithm.lower() in ALGORITHMS
    ]


def _standing(final: dict[str, Any]) -> str:
    """A line for a robot that earns by standing, with what may help; else nothing."""
    for standing, running in _FOR_STANDING.items():
        up, ran = final.get(f"{standing}_mean", 0.0), final.get(f"{running}_mean", math.inf)
        near = final.get("metres_mean", math.inf) < _NOT_FAR
        if up > max(ran, 0.0) and near and final["length_mean"] >= _UP_FOR:
            off = [f"{name}=0" for name in (standing, *_COSTS) if f"{name}_mean" in final]
            return (
                f"it stands rather than runs: {up:,.0f} of its return are for being up "
                f"({standing}), {ran:,.0f} for getting on ({running}); what may help: "
                f"`reward_weights` {' '.join(off)} `anneal_weights` 2000000"
            )
    return ""
