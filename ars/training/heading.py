"""What a run says before it trains: what its returns are of, what is cut, what ends too early."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ars.algorithms.base import Algorithm
from ars.common.settings import counted
from ars.training.config import TrainingConfig


def episode_lines(
    config: TrainingConfig, algorithm: Algorithm, time_limit: int | None, resumed: bool
) -> Iterator[str]:
    """Lines on the returns that a run shows, and on the steps of their episodes.

    Args:
        config: of the run.
        algorithm: what learns.
        time_limit: the environment's own, in steps; None if it has none.
        resumed: whether the run goes on.
    """
    spec = algorithm.rollout_spec
    lengths = spec.rollout_length, spec.eval_length or spec.rollout_length
    if time_limit is None:
        yield (
            f"{config.env_id} has no time limit of its own: episodes end after "
            f"{counted(lengths[1], 'step')} at the latest; `rollout_length` sets another limit"
        )
    elif lengths[1] < time_limit:
        yield (
            f"evaluations are cut at {lengths[1]:,} of the environment's {time_limit:,} steps, so "
            "their returns are not those of whole episodes"
            + ("; a new run plays whole ones unless told otherwise" if resumed else "")
        )
    training, evaluation = (min(length, time_limit or length) for length in lengths)
    each = "" if training == evaluation else f", at most {training:,} steps each"
    first = "evaluation: the mean return of"
    if algorithm.plays:
        first = f"return: the mean of {algorithm.plays}{each}; evaluation: that of"
    yield (
        f"{first} "
        f"{counted(config.run.eval_episodes, 'episode')} of the policy itself, at most "
        f"{counted(evaluation, 'step')} each"
    )


def schedule_line(config: TrainingConfig, algorithm: Algorithm) -> str | None:
    """A line where schedules end before the run does, and nothing is learned from then on.

    Args:
        config: of the run.
        algorithm: what learns, as it begins or goes on.
    """
    horizon, names = config.horizon, config.schedules
    if horizon is None:
        return None
    last = _last_iteration_begins(config, algorithm)
    passes = last >= horizon if math.isfinite(last) else algorithm.timesteps >= horizon
    falls = " and ".join(f"`{name}`" for name in names)
    verb = "falls" if len(names) == 1 else "fall"
    if not algorithm.iteration and config.run.total_timesteps is None:
        return (
            f"{falls} {verb} to 0 at {horizon:,} timesteps, wherever the run ends; `horizon` sets "
            "another number"
        )
    if last < algorithm.timesteps or not passes:
        return None
    wider = config.run.total_timesteps or 2 * algorithm.timesteps
    return (
        f"warning: {falls} {verb} to 0 at the horizon of {horizon:,} timesteps, and nothing is "
        f"learned after it; `horizon` {wider} (now, or on resume) goes on learning, `init_from` "
        "begins a new run with this one's policy"
    )


def _last_iteration_begins(config: TrainingConfig, algorithm: Algorithm) -> float:
    """The latest timesteps at which an iteration will begin; inf where that is not known."""
    ends = [math.inf]
    if config.run.total_timesteps is not None:
        ends.append(config.run.total_timesteps - 1)
    if config.run.n_iterations is not None and algorithm.iteration:
        steps_each = algorithm.timesteps / algorithm.iteration
        ends.append((config.run.n_iterations - 1) * steps_each)
    return min(ends)
