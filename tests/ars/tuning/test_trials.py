"""A training of a trial, as it is compared with others."""

from __future__ import annotations

from ars.tuning.trials import Seed


def test_a_worse_evaluation_leaves_the_best_and_a_point_without_one_has_that_before() -> None:
    seed = Seed([])
    for point, value in ((0, 3.0), (1, 1.0), (3, 5.0), (3, 9.0), (4, 2.0)):
        seed.evaluated(point, value)
    assert seed.bests == [3.0, 3.0, 3.0, 5.0, 5.0]
