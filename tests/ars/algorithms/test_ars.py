"""The ARS update, worked out by hand, and what it does with ties, faults and odd settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import learners
import numpy as np
import pytest
from closeness import close
from gymnasium import spaces
from stub_pool import StubPool, scores

from ars.algorithms.ars import ARS, ARSConfig, best_directions
from ars.algorithms.base import TrainingContext
from ars.common.errors import RolloutError, RunError, UsageError
from ars.common.seeding import direction
from ars.common.settings import make_config
from ars.presets.ars import PRESETS
from ars.rollout.episode import Episode
from ars.rollout.task import Task
from policies import RunningMeanStd

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)


def make(notify: Callable[[str], None] = print, nonfinite: str = "stop", **settings: object) -> ARS:
    config = make_config(ARSConfig, settings)
    task = TrainingContext(
        "E-v0", OBSERVATIONS, ACTIONS, seed=7, on_nonfinite=nonfinite, notify=notify
    )
    return ARS(config, task)


TABLE = {(0, 1): 3.0, (0, -1): 1.0, (1, 1): 0.0, (1, -1): 5.0, (2, 1): 2.0, (2, -1): 2.5}


def delta(index: int, iteration: int = 0) -> np.ndarray:
    return direction(7, iteration, index, 6)


def test_v1_uses_all_directions_and_divides_by_the_deviation_of_their_returns() -> None:
    ars = make(variant="v1", n_directions=3, step_size=0.1)
    ars.iterate(scores(TABLE))
    returns = [3.0, 1.0, 0.0, 5.0, 2.0, 2.5]
    sigma = math.sqrt(sum((r - 2.25) ** 2 for r in returns) / 6)  # their mean is 13.5 / 6
    expected = 0.1 / (3 * sigma) * (2.0 * delta(0) - 5.0 * delta(1) - 0.5 * delta(2))
    close(ars.policy.weights, expected, 1e-14)


def test_brs_does_not_divide() -> None:
    ars = make(variant="brs", n_directions=3, step_size=0.1)
    ars.iterate(scores(TABLE))
    expected = 0.1 / 3 * (2.0 * delta(0) - 5.0 * delta(1) - 0.5 * delta(2))
    close(ars.policy.weights, expected, 1e-14)


def test_a_falling_step_size_is_what_is_left_of_the_horizon() -> None:
    constant, falling = (
        make(variant="v1", n_directions=3, horizon=100, step_size_schedule=schedule)
        for schedule in ("constant", "linear")
    )
    for ars in (constant, falling):
        ars.timesteps = 75
        ars.iterate(scores(TABLE))
    close(falling.policy.weights, constant.policy.weights / 4, 1e-14)


def test_rewards_are_clipped_and_shifted_in_scores_alone() -> None:
    settings: dict[str, Any] = {"reward_clip": 0.25, "shift": 0.125, "rollout_length": 4}
    settings |= {"variant": "v1", "n_directions": 1, "hidden_sizes": ()}
    ars = learners.make(ARS, "small_worlds:Corridor-v0", **settings)
    [row] = learners.learn(ars, 1)
    assert row["return_mean"] == 4.0
    assert ars.tape_record()["scores"].tolist() == [0.5, 0.5]


def test_a_horizon_that_falls_in_a_tape_is_refused() -> None:
    ars = make(horizon=100, step_size_schedule="linear")
    with pytest.raises(ValueError, match="the horizon falls from 100 to 99"):
        ars.replay({**ars.tape_record(), "horizon": np.array(99)})


def test_v2_t_uses_the_best_directions_only_and_their_deviation() -> None:
    ars = make(variant="v2-t", n_directions=3, n_top=2, step_size=0.1)
    row = ars.iterate(scores(TABLE))
    sigma = math.sqrt(sum((r - 2.25) ** 2 for r in (3.0, 1.0, 0.0, 5.0)) / 4)
    expected = 0.1 / (2 * sigma) * (2.0 * delta(0) - 5.0 * delta(1))
    close(ars.policy.weights, expected, 1e-14)
    close(row["sigma_r"], sigma, 1e-14)
    assert (ars.iteration, ars.episodes, ars.timesteps) == (1, 6, 60)


def test_the_second_iteration_draws_other_directions_from_where_it_stands() -> None:
    ars = make(variant="brs", n_directions=3, step_size=0.3)
    ars.iterate(scores(TABLE))
    before = ars.policy.weights
    ars.iterate(scores(TABLE))
    step = 0.1 * (2.0 * delta(0, 1) - 5.0 * delta(1, 1) - 0.5 * delta(2, 1))
    close(ars.policy.weights, before + step, 1e-14)
    assert not np.array_equal(delta(0, 0), delta(0, 1))


def test_ties_keep_exactly_n_top_by_index() -> None:
    plus, minus = [1.0, 2.0, 3.0, 0.0], [2.0, 0.0, 0.0, 2.0]
    assert best_directions([0, 1, 2, 3], plus, minus, 2) == [0, 2]
    assert best_directions([0, 1, 2, 3], plus, minus, 3) == [0, 1, 2]
    assert best_directions([1, 3], plus, minus, 3) == [1, 3]  # of those left in


def test_equal_returns_make_no_step_and_say_so() -> None:
    said: list[str] = []
    ars = make(said.append, n_directions=3)
    ars.iterate(StubPool(lambda task: Episode(1.0, 1.0, 5)))
    assert not ars.policy.weights.any()
    assert said == ["iteration 1: no step where all returns used are equal (said once)"]


def observed(task: Task) -> Episode:
    running = RunningMeanStd.zeros(3)
    rng = np.random.default_rng([task.iteration, task.index, task.sign + 1])
    for _ in range(4):
        running.update(rng.standard_normal(3))
    return Episode(1.0, float(rng.random()), 4, running)


def test_v2_normalises_with_all_earlier_iterations_and_v1_not_at_all() -> None:
    ars, pool = make(variant="v2", n_directions=2), StubPool(observed)
    for _ in range(3):
        ars.iterate(pool)
    counts = [snapshot.normalizer and snapshot.normalizer.count for snapshot in pool.snapshots]
    assert counts == [0, 16, 32]
    plain = make(variant="v1", n_directions=2)
    pool = StubPool(observed)
    plain.iterate(pool)
    assert pool.snapshots[0].normalizer is None


def faulty(task: Task) -> Episode:
    if (task.index, task.sign) == (1, -1):
        return Episode(0.0, 0.0, 2, fault="reward 2 is nan")
    return observed(task)


def test_a_fault_stops_the_run_and_names_the_rollout() -> None:
    ars = make(n_directions=3)
    with pytest.raises(
        RolloutError, match="E-v0, iteration 1, direction 1, sign -: reward 2 is nan"
    ):
        ars.iterate(StubPool(faulty))
    assert ars.iteration == 0
    assert ars.statistics.count == 0


def test_a_fault_excludes_its_direction_on_request() -> None:
    said: list[str] = []
    ars = make(said.append, "exclude", variant="v2", n_directions=3)
    row = ars.iterate(StubPool(faulty))
    assert row["excluded"] == 1
    assert ars.statistics.count == 16
    assert len(said) == 1
    other = make(print, "exclude", variant="v2", n_directions=3)
    other.iterate(StubPool(lambda task: observed(task) if task.index != 1 else faulty(task)))
    assert np.array_equal(ars.policy.weights, other.policy.weights)


def test_a_step_is_the_mean_over_the_directions_that_are_left() -> None:
    def play(task: Task) -> Episode:
        fault = "reward 2 is nan" if task.index == 1 else None
        return Episode(0.0, TABLE[task.index, task.sign], 10, fault=fault)

    ars = make(nonfinite="exclude", variant="v1-t", n_directions=3, n_top=3, step_size=0.1)
    ars.iterate(StubPool(play))
    sigma = math.sqrt(sum((r - 2.125) ** 2 for r in (3.0, 1.0, 2.0, 2.5)) / 4)
    close(ars.policy.weights, 0.1 / (2 * sigma) * (2.0 * delta(0) - 0.5 * delta(2)), 1e-14)


def test_all_directions_excluded_make_no_step() -> None:
    said: list[str] = []
    ars = make(said.append, "exclude", n_directions=2)
    row = ars.iterate(StubPool(lambda task: Episode(0, 0, 0, fault="observation 0 is not finite")))
    assert row["excluded"] == 2
    assert not ars.policy.weights.any()


def test_a_restored_algorithm_goes_on_exactly() -> None:
    ars, again = make(n_directions=3), make(n_directions=3)
    for _ in range(2):
        ars.iterate(StubPool(observed))
    again.restore(ars.state())
    rows = [algorithm.iterate(StubPool(observed)) for algorithm in (ars, again)]
    assert rows[0] == rows[1]
    assert np.array_equal(ars.policy.weights, again.policy.weights)
    assert np.array_equal(ars.statistics.m2, again.statistics.m2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_top": 9, "n_directions": 8}, "`n_top` 9: must be at most `n_directions` 8"),
        ({"n_directions": 0}, "`n_directions` 0: must be at least 1"),
        ({"step_size": math.nan}, "`step_size` nan: must be a finite number"),
        ({"step_size": -1.0}, "`step_size` -1.0: must be greater than 0"),
        ({"delta_std": 0.0}, "`delta_std` 0.0: must be greater than 0"),
        ({"variant": "v3"}, "`variant` v3: must be one of brs, v1, v1-t, v2, v2-t"),
        ({"variant": "v1", "n_top": 2}, "`n_top` 2: variant v1 uses all 16 directions"),
        ({"hidden_sizes": (8,)}, "`hidden_sizes` 8: a linear policy has no hidden layers"),
        ({"policy": "mlp", "hidden_sizes": (0,)}, "`hidden_sizes` 0: must be at least 1"),
        ({"ddof": 2}, "`ddof` 2: must be one of 0, 1"),
    ],
)
def test_unusable_settings_are_refused_in_one_line(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        make_config(ARSConfig, settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("n_directions", "n_used"), [(1, 1), (4, 2), (5, 2)])
def test_half_of_an_odd_number_of_directions_is_rounded_down(
    n_directions: int, n_used: int
) -> None:
    assert make_config(ARSConfig, {"n_directions": n_directions}).n_used == n_used


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_usable_configuration(name: str) -> None:
    config = make_config(ARSConfig, PRESETS[name])
    assert 1 <= config.n_used <= config.n_directions


def test_the_course_preset_is_the_courses() -> None:
    config = make_config(ARSConfig, PRESETS["course"])
    ars = ARS(config, TrainingContext("E-v0", OBSERVATIONS, ACTIONS))
    assert (config.variant, config.n_directions, config.n_used) == ("v2", 16, 16)
    assert (config.step_size, config.delta_std, config.reward_clip) == (0.02, 0.03, 1.0)
    assert (ars.rule.ddof, ars.rule.var_floor) == (0, 1e-2)
    assert not ars.policy.spec.clip_actions


def test_an_mlp_starts_from_the_seeds_initial_weights() -> None:
    first, second = (make(policy="mlp", hidden_sizes=(4,)) for _ in range(2))
    assert first.policy.weights.any()
    assert np.array_equal(first.policy.weights, second.policy.weights)
    assert make(policy="mlp").policy.spec.hidden_sizes == (64, 64)


@pytest.mark.parametrize("scale", [1e150, 1e200, 1e307])
def test_the_step_does_not_depend_on_the_scale_of_the_rewards(scale: float) -> None:
    usual, scaled = (make(n_directions=3, variant="v1") for _ in range(2))
    usual.iterate(scores(TABLE))
    row = scaled.iterate(scores({task: score * scale for task, score in TABLE.items()}))
    np.testing.assert_allclose(scaled.policy.weights, usual.policy.weights, rtol=1e-12)
    assert math.isfinite(row["sigma_r"])


def test_a_step_beyond_all_numbers_is_not_taken() -> None:
    learner = make(n_directions=3, variant="v1", step_size=1e308)
    before = learner.state()
    with pytest.raises(RunError, match=r"iteration 1: its step .* a lower `step_size` may help"):
        learner.iterate(scores({task: score * 1e3 for task, score in TABLE.items()}))
    after = learner.state()
    assert after.values == before.values
    np.testing.assert_array_equal(after.arrays["weights"], before.arrays["weights"])


def test_observations_whose_mean_overflows_are_not_taken_in() -> None:
    def play(task: Task) -> Episode:
        seen = RunningMeanStd.of(np.full((1, 3), task.sign * 1.5e308))
        return Episode(0.0, TABLE[task.index, task.sign], 1, seen)

    learner = make(n_directions=3)
    with pytest.raises(RunError, match="mean of the observations"):
        learner.iterate(StubPool(play))
    assert learner.statistics.count == learner.iteration == 0


def test_a_fault_under_weights_without_bounds_is_explained() -> None:
    learner = make(n_directions=1)
    learner.policy.weights = np.full(6, 1e306)
    with pytest.raises(RolloutError, match=r"weights reach 1e\+306; a lower `step_size`"):
        learner.iterate(StubPool(lambda task: Episode(0.0, 0.0, 1, fault="x")))
