"""What the closing of a run says: what was reached, whether the robot runs, and how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import envs
from ars.cli.program import hint
from ars.common.settings import counted
from ars.common.words import digits, duration
from ars.results.in_words import shares, standing, travelled
from envs.drawing.possible import why_not_drawn


def summary(env_id: str, result: dict[str, Any], weighed: bool) -> str:
    """What a run reached and cost, from what result.json holds; `weighed`: see `standing`."""
    final = result["final_evaluation"]
    seconds = max(result["seconds"], 1e-3)  # none have passed where a clock stands still
    first = final["iteration"] == 0 < result["iterations"]
    robot = ", ".join([*travelled(final), *map(str, shares(env_id, final["return_mean"]))])
    lines = [
        f"{env_id}: evaluated {digits(final['return_mean'])} ± {digits(final['return_std'])} over "
        f"{counted(final['episodes'], 'new episode')} (best policy, iteration "
        f"{final['iteration']:,}{': the one it began with' if first else ''})"
        f"{':' if robot else ''}",
        robot,
        standing(final, weighed),
        "nothing better was learned: what to try is in docs/troubleshooting.md, under Learning"
        if first
        else "",
        f"{result['stopped']}: {counted(result['timesteps'], 'timestep')}, "
        f"{counted(result['iterations'], 'iteration')} in {duration(seconds)} "
        f"({result['timesteps'] / seconds:,.0f} steps/s)",
    ]
    return "\n" + "\n".join(line for line in lines if line)


def seeing(env_id: str, folder: Path) -> str:
    """The command that shows a run, or why it cannot be drawn."""
    reason = why_not_drawn(envs.resolve(env_id))
    return f"cannot be drawn: {reason}" if reason else hint("render", folder)


def has_converged(result: dict[str, Any]) -> bool:
    """Whether a run ended because there is nothing more to learn, so that none goes on with it."""
    return str(result["stopped"]).startswith("values converged")


def going_on(result: dict[str, Any], horizon: int | None) -> dict[str, int]:
    """The settings with which a run that has ended goes on: for as long again.

    Args:
        result: what result.json holds.
        horizon: of the run's schedules, which moves if they would end before; None without.
    """
    if result["stopped"].startswith("time budget"):  # it has the same one again
        return {}
    planned = 2 * result["timesteps"]
    ends_before = horizon is not None and horizon < planned
    return {"total_timesteps": planned, **({"horizon": planned} if ends_before else {})}
