"""The closing of a run says what was reached, beside what others reach, and how to go on."""

from __future__ import annotations

from typing import Any

import pytest

from ars.cli.closing import going_on, summary


def closing_of(env_id: str = "Robot", weighed: bool = False, **final: float) -> str:
    row = {"return_mean": 1811.0, "return_std": 12.0, "episodes": 20, "iteration": 340}
    row |= {"length_mean": 1000.0, **final}
    result = {"final_evaluation": row, "seconds": 2.0, "timesteps": 5, "iterations": 6}
    return summary(env_id, {**result, "stopped": "done"}, weighed)


@pytest.mark.parametrize("env_id", ["HalfCheetah", "bullet/HalfCheetah-v0"])
def test_a_robot_is_measured_in_metres_and_beside_the_published_returns(env_id: str) -> None:
    text = closing_of(env_id, metres_mean=34.21, metres_per_second=2.071)
    assert text.splitlines()[1:3] == [
        f"{env_id}: evaluated 1,811.0 ± 12.0 over 20 new episodes (best policy, iteration 340):",
        "34.2 metres, 2.07 m/s, 166 % of the published ARS (1,091), 62 % of the published PPO "
        "(2,925)",
    ]


def test_no_share_is_taken_of_a_negative_return() -> None:
    assert "\npublished ARS: -4, 53 % of the published PPO (17.1)\n" in closing_of(
        "Reacher", return_mean=9.0
    )
    assert "published ARS: -4, published PPO: 17.1" in closing_of("Reacher", return_mean=-9.0)


def test_who_has_published_nothing_and_travels_nowhere_is_told_nothing() -> None:
    assert closing_of("CartPole-v1").splitlines()[1].endswith("iteration 340)")


def test_a_best_policy_that_learned_nothing_is_called_so() -> None:
    closing = closing_of(iteration=0)
    assert "(best policy, iteration 0: the one it began with)" in closing
    assert "\nnothing better was learned: what to try is in docs/troubleshooting.md" in closing
    assert "nothing better" not in closing_of(iteration=1)


def test_small_returns_keep_their_digits_and_zero_has_no_sign() -> None:
    text = closing_of(return_mean=-0.0245, return_std=0.0, metres_mean=-0.004)
    assert "evaluated -0.0245 ± 0.0 over" in text
    assert "\n0.0 metres\n" in text


def test_who_earns_nothing_does_not_stand() -> None:
    lies: dict[str, Any] = {"survive_mean": 0.0, "forward_mean": -0.1, "metres_mean": 0.0}
    assert "stands" not in closing_of(**lies)
    assert "stands" not in closing_of(forward_mean=-0.1, metres_mean=0.0)


def test_advice_that_was_followed_is_not_given_again() -> None:
    stands: dict[str, Any] = {"survive_mean": 1000.0, "forward_mean": -0.1, "metres_mean": 0.0}
    line = (
        "it stands rather than runs: 1,000 of its return are for being up (survive), 0 for getting "
        "on (forward)"
    )
    assert f"\n{line}; what may help: " in closing_of(**stands)
    assert f"\n{line}\n" in closing_of(weighed=True, **stands)


@pytest.mark.parametrize(
    ("stopped", "horizon", "settings"),
    [
        ("500 timesteps done", None, {"total_timesteps": 1000}),
        ("500 timesteps done", 500, {"total_timesteps": 1000, "horizon": 1000}),
        ("2 iterations done", 6000, {"total_timesteps": 1000}),  # a horizon is never lowered
        ("time budget 60s used", 500, {}),
    ],
)
def test_a_run_goes_on_for_as_long_again(
    stopped: str, horizon: int | None, settings: dict[str, Any]
) -> None:
    assert going_on({"stopped": stopped, "timesteps": 500}, horizon) == settings
