"""Which rollouts begin with the same reset seed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rollouts import TRAINING, make_spec

from ars.rollout.task import CommonSeeds, task_seed


@pytest.mark.parametrize(
    ("common_seeds", "firsts"),
    [("none", [0, 1, 2, 3]), ("pair", [0, 0, 2, 2]), ("iteration", [0, 0, 0, 0])],
)
def test_rollouts_share_a_seed_as_asked(common_seeds: CommonSeeds, firsts: list[int]) -> None:
    """Both signs of two directions: the first that has the seed of each."""
    spec, tasks = replace(make_spec(), common_seeds=common_seeds), TRAINING[:4]
    seeds = [task_seed(spec, task) for task in tasks]
    assert [seeds.index(seed) for seed in seeds] == firsts
    later = [task_seed(spec, replace(task, iteration=4)) for task in tasks]
    assert not {*seeds} & {*later}
