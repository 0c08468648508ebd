"""Groups of runs are told apart by what differs in their settings, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stored_runs import store_run

from ars.results.settings_in_words import key, labels, phrase, settings_of
from ars.results.stored_run import StoredRun


def settings(folder: Path, **run: Any) -> dict[str, Any]:
    return settings_of(StoredRun.open(store_run(folder, **run)))


def texts(*groups: dict[str, Any]) -> list[str]:
    return [label.text for label in labels(groups)]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("step_size", 0.02, "step size 0.02"),
        ("step_size", 0.02000001, "step size 0.02000001"),
        ("n_directions", 16, "16 directions"),
        ("n_top", 8, "top 8"),
        ("variant", "v1-t", "v1-t"),
        ("policy", "mlp", "mlp policy"),
        ("hidden_sizes", [64, 64], "hidden sizes 64 64"),
        ("hidden_sizes", [], "no hidden sizes"),
        ("anneal_weights", 2_000_000, "anneal weights 2,000,000"),
        ("reward_clip", None, "no reward clip"),
        ("common_seeds", "none", "no common seeds"),
        ("double", True, "double"),
        ("normalize_rewards", False, "no normalized rewards"),
        ("init_from", "runs/a", "from runs/a"),
        ("hard=", False, "hard=False"),
        ("hard=", None, "default hard"),
    ],
)
def test_a_setting_in_words(name: str, value: Any, expected: str) -> None:
    assert phrase(name, value) == expected


def test_what_all_have_is_not_said(tmp_path: Path) -> None:
    a = settings(tmp_path / "a", step_size=0.02, n_directions=4, n_top=4)
    b = settings(tmp_path / "b", step_size=0.05, n_directions=4, n_top=4)
    assert texts(a) == ["ARS"]
    assert texts(a, b) == ["ARS, step size 0.02", "ARS, step size 0.05"]


def test_settings_of_another_algorithm_are_not_compared(tmp_path: Path) -> None:
    ars = settings(tmp_path / "a", step_size=0.02)
    ppo = settings(tmp_path / "b", algo="ppo", learning_rate=0.1)
    critic = settings(tmp_path / "c", algo="actor-critic")
    assert texts(ars, ppo, critic) == ["ARS", "PPO", "actor-critic"]


def test_arguments_of_the_environment_count(tmp_path: Path) -> None:
    a, b = (settings(tmp_path / str(n), env_kwargs=kw) for n, kw in enumerate(({}, {"g": 9})))
    assert texts(a, b) == ["ARS, default g", "ARS, g=9"]


def test_runs_on_different_tasks_say_so_whatever_the_algorithm(tmp_path: Path) -> None:
    ars = settings(tmp_path / "a", env_kwargs={"g": 9, "clock": [2.0]}, eval_length=400)
    ppo = settings(tmp_path / "b", algo="ppo", eval_length=20)
    assert texts(ars, ppo) == [
        "ARS, g=9, evaluated over 400 steps",
        "PPO, default g, evaluated over 20 steps",
    ]


def test_of_many_differences_only_as_many_are_said_as_it_takes(tmp_path: Path) -> None:
    shared = {"delta_std": 0.1, "n_top": 2, "shift": 1.0, "ddof": 0}
    a = settings(tmp_path / "a", n_directions=4, n_top=4)
    b = settings(tmp_path / "b", n_directions=8, **shared)
    c = settings(tmp_path / "c", n_directions=8, step_size=0.9, **shared)
    found = labels([a, b, c])
    assert [label.text for label in found] == [
        "ARS, 4 directions, step size 0.02, …",
        "ARS, 8 directions, step size 0.02, …",
        "ARS, 8 directions, step size 0.9, …",
    ]
    for part in ("noise 0.1", "top 2", "shift 1", "ddof 0", "8 directions", "step size 0.9"):
        assert part in str(found[2].in_full)


def test_a_setting_that_is_absent_has_the_value_that_behaved_as_before(tmp_path: Path) -> None:
    old = settings(tmp_path / "old")
    new = settings(tmp_path / "new", scale_actions=False, step_size=0.02)
    assert key(old) == key(new)


@pytest.mark.parametrize(
    ("given", "counts"), [({}, False), ({"learning_rate_schedule": "linear"}, True)]
)
def test_a_horizon_counts_where_something_falls_towards_it(
    given: dict[str, Any], counts: bool, tmp_path: Path
) -> None:
    a = settings(tmp_path / "a", algo="ppo", horizon=100, **given)
    b = settings(tmp_path / "b", algo="ppo", horizon=200, **given)
    assert (key(a) != key(b)) == counts


def test_an_unknown_algorithm_is_compared_by_what_it_stored(tmp_path: Path) -> None:
    a, b = (settings(tmp_path / str(n), algo="cem", elite=n) for n in (1, 2))
    assert texts(a, b) == ["CEM, elite 1", "CEM, elite 2"]


@pytest.mark.parametrize(("env_id", "limit"), [("CartPole-v1", 500), ("Reacher", 150)])
def test_a_length_is_at_most_what_the_environment_lets_it_be(
    env_id: str, limit: int, tmp_path: Path
) -> None:
    """Earlier versions stored 1,000."""
    old = settings(tmp_path / "old", env_id=env_id, rollout_length=1000, eval_length=1000)
    new = settings(tmp_path / "new", env_id=env_id, rollout_length=limit, eval_length=limit)
    assert old == new and old["eval_length"] == limit
