"""The settings of a search."""

from __future__ import annotations

from dataclasses import dataclass

from ars.common.settings import LARGEST_SEED, setting
from ars.training.config import parse_duration

PRUNERS = ("median", "halving", "none")
# Results on seeds from 0 on stay honest: no search has seen them.
FIRST_SEED = 100
N_TRIALS, POINTS = 50, 10
ENOUGH_TRIALS = 20  # for a search to learn from: those that a time budget should have room for


@dataclass(frozen=True)
class TuneConfig:
    """How long to search, and how to compare.

    A trial trains the same settings on several seeds. Its value is the interquartile mean over them
    (below four seeds the mean) of the final evaluation: each run's best policy, on new episodes.
    """

    n_trials: int | None = setting(
        None,
        f"trials to make (default: {N_TRIALS}, unless there is a `time_budget`)",
        at_least=1,
        at_most=10**6,
    )
    time_budget: str | None = setting(
        None,
        "stop after this time: 90s, 30m, 1h30m; trials under way are saved, and count on resume",
        parse=parse_duration,
    )
    n_seeds: int = setting(
        3, f"seeds that each trial trains, from {FIRST_SEED} on", at_least=1, at_most=1000
    )
    total_timesteps: int | None = setting(
        None,
        "environment steps of each training (default: those of the environment's preset, or "
        f"1,000,000; less where a `time_budget` has no room for {ENOUGH_TRIALS} such trials)",
        at_least=1,
    )
    eval_timesteps: int | None = setting(
        None,
        "timesteps between evaluations, at which trials are compared (default: a tenth of "
        "`total_timesteps`)",
        at_least=1,
    )
    eval_episodes: int = setting(10, "episodes of an evaluation", at_least=1)
    pruner: str = setting(
        "median",
        "which trials end early. median: those below the median of the complete ones at the same "
        "timesteps; halving: all but the best third at 1/10, 3/10 and 9/10 of the timesteps",
        choices=PRUNERS,
    )
    start_from_preset: bool = setting(
        False, "take the environment's preset as the first trial; the others do not know it"
    )
    seed: int = setting(0, "seed of what the search suggests", at_least=0, at_most=LARGEST_SEED)
    jobs: int | None = setting(
        None,
        "seeds that train at a time (default: as many as this machine has processors for); with 1 "
        "a search comes out the same each time",
        at_least=1,
        at_most=10_000,
    )
