"""What is said before a training of spaces that would keep it from learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from odd_worlds import NO_NUMBERS

import ars.api
import ars.train
from ars.common.errors import RolloutError, RunError
from ars.experience.vector_env import VectorEnv
from ars.training.env_check import probe
from ars.training.space_check import action_warning, better_dtype, coarse_in_float32
from policies import make_policy

WORLD = "odd_worlds:Fraction-v0"


@pytest.mark.parametrize(
    ("declared", "shown", "better"),
    [
        (np.uint8, np.array([[0.2], [0.8]], np.float32), "float32"),
        (np.int64, np.array([[1.0], [1.5]], np.float64), "float64"),
        (np.uint8, np.array([[3], [300]], np.int64), "int64"),
        (np.uint8, np.array([[-1], [3]], np.int16), "int16"),
        (np.bool_, np.array([[0.0], [2.0]], np.float32), "float32"),
        (np.float32, 1.7e9 + np.arange(5.0)[:, None], "float64"),  # the time in seconds
        (np.float32, np.array([[1e300], [1.0]], np.float64), "float64"),
        # What fits, whatever its own type.
        (np.uint8, np.array([[0.0], [255.0]], np.float64), None),
        (np.int64, np.array([[-3.0], [np.nan]], np.float32), None),
        (np.float32, np.array([[0.1], [0.2]], np.float64), None),
        (np.float32, np.array([[1], [2]], np.int64), None),
        (np.float32, np.array([[1e7 / 3]] * 5, np.float64), None),  # never another number
        (np.float32, np.array([[np.inf], [1.0]], np.float32), None),
    ],
)
def test_a_type_is_found_that_observations_fit(
    declared: Any, shown: np.ndarray, better: str | None
) -> None:
    with np.errstate(all="raise"):
        found = better_dtype(spaces.Box(0, 1, (1,), declared), list(shown))
    assert (None if found is None else found[0]) == better


def test_what_does_not_fit_is_told_once_by_name() -> None:
    (warning,) = probe(WORLD, {}).warnings
    assert warning.startswith("odd_worlds:Fraction-v0: observations such as 0.")
    assert "do not fit the type uint8 of their space" in warning and "float32" in warning
    assert probe(WORLD, {"dtype": "float32"}).warnings == ()


@pytest.mark.parametrize("algo", ["ars", "ppo", "dqn"])
def test_training_and_evaluation_see_the_same_numbers(algo: str, tmp_path: Path) -> None:
    """So what is learned does not depend on the type that the space has."""
    settings: dict[str, Any] = {"n_workers": 0, "n_iterations": 2, "eval_episodes": 2}
    settings |= {"ars": {"n_directions": 2}, "ppo": {"n_steps": 32}}.get(algo, {})
    settings |= {"dqn": {"n_steps": 200, "learning_starts": 50}}.get(algo, {})
    weights = [
        ars.api.train(
            WORLD, algo=algo, env_kwargs={"dtype": dtype}, run_dir=tmp_path / dtype, **settings
        ).policy.weights
        for dtype in ("uint8", "float32")
    ]
    assert weights[0].tobytes() == weights[1].tobytes() and weights[0].any()


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_what_is_no_number_is_refused_with_its_value(case: str) -> None:
    with pytest.raises(RunError, match=rf"an observation of type {case}, not of numbers: .*\["):
        probe("odd_worlds:Odd-v0", {"case": case})


@pytest.mark.parametrize(
    ("shown", "coarse"),
    [
        (1e9 + 0.1 * np.arange(5.0)[:, None], True),
        (2**40 + np.arange(5)[:, None], True),
        (np.array([[1e300], [0.0]], np.float64), True),
        (np.array([[0.1], [0.2]], np.float64), False),
        (np.array([[1e9 + 0.1]] * 5, np.float64), False),  # there is no difference
        (np.array([[0.0], [1e9 + 0.1]], np.float64), False),  # another one is much larger
        (np.array([[0], [255]], np.uint8), False),
    ],
)
def test_differences_that_float32_loses_are_found(shown: np.ndarray, coarse: bool) -> None:
    assert (coarse_in_float32(list(shown)) in shown) == coarse


LATE = {"env_kwargs": {"late": 3}, "eval_freq": 1}


@pytest.mark.parametrize(
    ("algo", "settings", "told"),
    [
        ("ars", {"n_workers": 0, "n_directions": 1}, False),
        ("ppo", {"normalize_observations": True, "n_steps": 32}, False),
        ("ppo", {"n_steps": 32}, True),
        ("dqn", {"n_steps": 50}, True),
        ("ppo", {"n_steps": 32, "n_iterations": 6, **LATE}, True),  # seen in an evaluation
        ("ppo", {"normalize_observations": True, "n_steps": 32, "n_iterations": 6, **LATE}, False),
    ],
)
def test_what_networks_cannot_see_is_told(
    algo: str,
    settings: dict[str, Any],
    told: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr("ars.training.display.Silent.notify", lambda self, line: said.append(line))
    options = {"n_iterations": 1, "eval_episodes": 1, "verbose": False, **settings}
    ars.api.train("odd_worlds:Clock-v0", algo=algo, run_dir=tmp_path / "run", **options)
    lost = [line for line in said if "float32, which loses what such as 170000000" in line]
    assert len(lost) == told
    assert ("`normalize_observations`" in "".join(lost)) == (algo == "ppo" and told)


def test_what_shows_only_later_that_it_does_not_fit_stops_with_its_value() -> None:
    several = VectorEnv(WORLD, {"late": 6}, 1, 0, 1000)
    several.reset()
    for _ in range(5):
        several.step(np.zeros(1, np.int64))
    with pytest.raises(
        RolloutError, match=r"episode 0, step 5: .* 0\.\d+, which uint8 cannot hold"
    ):
        several.step(np.zeros(1, np.int64))
    several.close()


def warned(low: Any, high: Any, dtype: Any = np.float32, **options: Any) -> str | None:
    space = spaces.Box(np.array(low, dtype), np.array(high, dtype), dtype=dtype)
    observation = spaces.Box(-1, 1, (1,), np.float32)
    return action_warning(make_policy("linear", observation, space, **options).spec)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "words"),
    [
        ([1000], [2000], np.float32, "actions lie from 1000 to 2000, .* none of them lies within"),
        ([-9], [-8], np.float64, "from -9 to -8, .* none of them lies within"),
        ([0], [2000], np.float32, "they reach only a small part of that; `scale_actions`"),
        ([-1], [100], np.float32, "from -1 to 100, .* only a small part"),
        ([0], [0.001], np.float32, "most of them lie beyond a bound"),
        ([10], [np.inf], np.float32, "none .* two finite bounds, and use `scale_actions`"),
        ([-np.inf], [-10], np.float32, "from -inf to -10, .* none of them lies within"),
        ([-10], [10], np.int64, "whole numbers from -10 to 10, .* cut to whole .* and rounds"),
        ([0, 0], [1, 1], np.int8, "number 1 of an action is whole, from 0 to 1"),
        ([-1, 0, -5], [1, 1, 90], np.float32, "number 3 of an action lies from -5 to 90"),
    ],
)
def test_bounds_that_hinder_learning_are_told(low: Any, high: Any, dtype: Any, words: str) -> None:
    warning = warned(low, high, dtype)
    assert warning is not None and "\n" not in warning
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(warning)
    if np.isfinite([low, high]).all():
        assert warned(low, high, dtype, scale_actions=True) is None


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        ([-1], [1], np.float32),
        ([-0.4] * 17, [0.4] * 17, np.float32),
        ([-3], [3], np.float32),
        ([-1, 0, 0], [1, 1, 1], np.float32),
        ([0], [np.inf], np.float32),
        ([-np.inf], [np.inf], np.float64),
        ([-3.4e38], [3.4e38], np.float32),  # which means the same
        ([7], [7], np.float32),  # nothing to choose
        ([0, 0], [1, 1], np.bool_),
    ],
)
def test_other_bounds_are_not_spoken_of(low: Any, high: Any, dtype: Any) -> None:
    assert warned(low, high, dtype) is None


def test_bounds_that_a_wrapper_hides_are_told_of() -> None:
    found = probe("odd_worlds:Clipped-v0", {})
    spec = make_policy("linear", found.observation_space, found.action_space).spec
    assert action_warning(spec) is None
    told = action_warning(spec, found.clipped_to)
    assert told is not None and "actions lie from 1000 to 2000" in told
    assert "without gymnasium's ClipAction around the environment, `scale_actions`" in told
    assert probe("odd_worlds:Bounded-v0", {}).clipped_to is None


def test_a_run_says_it_once_and_the_cure_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "odd_worlds:Bounded-v0 --n-workers 0 --n-iterations 1 --n-directions 2"
    ars.train.main([*words.split(), "--run-dir", str(tmp_path / "plain")])
    said = "".join(capsys.readouterr())
    assert said.count("warning: odd_worlds:Bounded-v0: actions lie from 1000 to 2000") == 1
    assert "--scale-actions scales -1 to 1 to the bounds" in said
    ars.train.main(["--resume", str(tmp_path / "plain"), "--n-iterations", "2"])
    assert "warning" not in "".join(capsys.readouterr())
    ars.train.main([*words.split(), "--scale-actions", "--run-dir", str(tmp_path / "scaled")])
    assert "warning" not in "".join(capsys.readouterr())
