"""Flags that take several values, and flags that are true or false, wherever they stand."""

from __future__ import annotations

from typing import Any

import pytest

from ars import plot
from ars.train import make_parser


def parsed(words: str) -> dict[str, Any]:
    return vars(make_parser().parse_args(words.split()))


@pytest.mark.parametrize(
    "words",
    [
        "--hidden-sizes 64 32 Ant",
        "--hidden-sizes 64,32 Ant",
        "Ant --hidden-sizes 64,32",
        "--hidden_sizes=64 32 Ant",
        "--hidden-sizes [64, 32] Ant",
        "--hidden-sizes 64 32 Ant --seed 3",
    ],
)
def test_env_may_stand_after_a_list(words: str) -> None:
    found = parsed(words)
    assert (found["env_id"], found["hidden_sizes"]) == ("Ant", [64, 32])


@pytest.mark.parametrize(
    "words",
    [
        "--env-kwargs hard=False wind=.5 Ant",
        "Ant --env-kwargs hard=False wind=.5",
        "--env-kwargs hard=False Ant --env-kwargs wind=.5",
        "--env_kwargs=hard=False --env-kwargs wind=0.5 Ant",
    ],
)
def test_keyword_arguments_add_up(words: str) -> None:
    found = parsed(words)
    assert (found["env_id"], found["env_kwargs"]) == ("Ant", {"hard": False, "wind": 0.5})


def test_weights_add_up() -> None:
    found = parsed("--reward-weights alive=0 Ant --reward-weights stall=0.5")
    assert (found["env_id"], found["reward_weights"]) == ("Ant", ["alive=0", "stall=0.5"])


@pytest.mark.parametrize(
    ("words", "clips"),
    [
        ("--action-clip", True),
        ("--no-action-clip", False),
        ("--action-clip False", False),
        ("--action_clip=false", False),
        ("--action-clip True", True),
        ("--no-action-clip false", True),
    ],
)
def test_a_flag_may_be_given_as_true_or_false(words: str, clips: bool) -> None:
    found = parsed(f"{words} Ant")
    assert (found["env_id"], found["action_clip"]) == ("Ant", clips)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--hidden-sizes 64 --hidden-sizes 32", "--hidden-sizes: is given twice; give all its"),
        ("--env-kwargs a=1 a=2", "--env-kwargs a=2: a is given twice"),
        ("--env-kwargs a=1 --env-kwargs a=1", "--env-kwargs a=1: a is given twice"),
        ("--env-kwargs Ant", "--env-kwargs Ant: must be name=value"),
        ("--env-kwargs a=1 b Ant", "--env-kwargs b: must be name=value"),
        ("--env-kwargs", "argument --env-kwargs: expected at least one argument"),
        ("--hidden-sizes 64 x 32", "--hidden-sizes x: must be a whole number"),
        ("--n-top 0,5", "--n-top 0,5: must be a whole number"),
        ("--step-size 0,02", "--step-size 0,02: must be written without a comma: 0.02"),
        ("--lr 0.1", "unknown argument --lr (did you mean --step-size?)"),
        ("--learning-rate 0.1", "this run's algorithm is ars (did you mean --step-size?)"),
        ("--num_timesteps 5", "unknown argument --num-timesteps (did you mean --total-timesteps?)"),
        ("--env Ant", "unknown argument --env (did you mean ENV?)"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parsed(words)
    err = capsys.readouterr().err
    assert (stopped.value.code, err.count("\n")) == (2, 1)
    assert told in err


@pytest.mark.parametrize(
    "words",
    ["a b --output x.png", "a --output x.png b", "--output x.png a b", "a --reference b --x time"],
)
def test_runs_may_stand_on_both_sides_of_a_flag(words: str) -> None:
    assert plot._parser().parse_args(words.split()).run == ["a", "b"]


def test_a_wrong_flag_among_runs_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plot._parser().parse_args(["a", "--output", "x.png", "b", "--tabel"])
    assert "unknown argument --tabel (did you mean --table" in capsys.readouterr().err
