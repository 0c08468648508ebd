"""With actions scaled, every algorithm learns where their bounds are far from -1 and 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learners import learn, make, mean_return, outcome

import ars.api
import ars.evaluate
import ars.train
from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.common.settings import setting_names
from ars.training.verification import verify_run
from policies import UnsupportedSpace, read_policy

WORLD = "odd_worlds:Bounded-v0"
SCALING = [
    algo for algo, entry in ALGORITHMS.items() if "scale_actions" in setting_names(entry.Config)
]
ARS = {"variant": "v1", "hidden_sizes": (), "n_directions": 4, "delta_std": 0.2, "step_size": 0.2}
SMALL: dict[str, dict[str, Any]] = {
    "ars": ARS,
    "pgpe": {"hidden_sizes": (), "n_directions": 4},
    "sep-cma-es": {"hidden_sizes": (), "n_directions": 4},
    "ppo": {"learning_rate": 1e-2, "n_envs": 4, "n_steps": 64, "batch_size": 64, "n_epochs": 5},
    "a2c": {"n_envs": 2, "iteration_steps": 20},
    "actor-critic": {"iteration_steps": 20},
    "reinforce": {"n_steps": 40},
}


def test_all_but_those_without_box_actions_can_scale_them() -> None:
    tables = {name for name, entry in ALGORITHMS.items() if entry.load().learns_table}
    assert ALGORITHMS.keys() - SCALING - tables == {"dqn"}


@pytest.mark.parametrize("algo", SCALING)
def test_a_new_policy_acts_in_the_middle_of_the_bounds(algo: str) -> None:
    """Unscaled, the best and the worst are -7.5: every action is the lower bound."""
    algorithm = make(ALGORITHMS[algo].load(), WORLD, scale_actions=True, **SMALL[algo])
    assert abs(mean_return(algorithm) + 2.5) < 1.0
    (row,) = learn(algorithm, 1)
    assert -5.0 < row["return_mean"] < -1.0


def test_ppo_finds_what_lies_at_1750() -> None:
    algorithm = make(ALGORITHMS["ppo"].load(), WORLD, scale_actions=True, **SMALL["ppo"])
    learn(algorithm, 15)
    assert mean_return(algorithm) > -1.5


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize(
    "env_kwargs",
    [
        {"low": 1000, "high": 2000},
        {"low": [0, -9], "high": [20, 1], "dtype": "int64"},
        {"low": [-1, 5], "high": [1, 7]},
    ],
)
def test_the_policies_of_ars_scale_any_bounds(kind: str, env_kwargs: dict[str, Any]) -> None:
    sizes = (4,) if kind == "mlp" else ()
    settings = {**ARS, "policy": kind, "hidden_sizes": sizes}
    algorithm = make(ALGORITHMS["ars"].load(), WORLD, env_kwargs, scale_actions=True, **settings)
    before = mean_return(algorithm)
    learn(algorithm, 30)
    assert mean_return(algorithm) > 0.7 * before


def train(folder: Path, words: str) -> Path:
    small = "--n-workers 0 --variant v1 --n-directions 2 --eval-episodes 2 --eval-freq 2"
    ars.train.main([*words.split(), *small.split(), "--run-dir", str(folder)])
    return folder


def test_resume_evaluation_verification_and_python_honour_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(tmp_path / "whole", f"{WORLD} --scale-actions --n-iterations 4")
    parts = train(tmp_path / "parts", f"{WORLD} --scale-actions --n-iterations 2")
    ars.train.main(["--resume", str(parts), "--n-iterations", "4"])
    assert outcome(parts) == outcome(whole)
    verify_run(str(whole), iterations=4)
    assert read_policy(whole / "policy.safetensors").policy.spec.scale_actions
    assert 1500 < ars.api.load(str(whole)).act(np.ones(1))[0] < 1750
    assert ars.api.evaluate(str(whole), episodes=1)["return_mean"] > -3.0
    with pytest.raises(SystemExit):
        ars.train.main(["--resume", str(whole), "--no-scale-actions"])
    assert "--scale-actions False: the run was started with True" in capsys.readouterr().err


def test_a_policy_that_scales_is_no_start_for_one_that_does_not(tmp_path: Path) -> None:
    start = train(tmp_path / "start", f"{WORLD} --scale-actions --n-iterations 1")
    settings: dict[str, Any] = {"n_workers": 0, "n_iterations": 1, "n_directions": 2}
    settings |= {"init_from": str(start), "variant": "v1"}
    with pytest.raises(UsageError, match="`init_from`: its policy has scale_actions True"):
        ars.api.train(WORLD, run_dir=tmp_path / "no", **settings)
    ars.api.train(WORLD, run_dir=tmp_path / "yes", scale_actions=True, **settings)
    policies = (read_policy(tmp_path / name / "policy.safetensors") for name in ("start", "yes"))
    first, second = (file.policy.weights for file in policies)
    assert 0 < np.linalg.norm(second - first) < 1


def test_discrete_actions_have_nothing_to_scale(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSpace, match="`scale_actions`: is for Box actions"):
        ars.api.train("CartPole-v1", scale_actions=True, n_workers=0, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_robots_whose_bounds_are_1_give_the_same_bytes(tmp_path: Path) -> None:
    plain = outcome(train(tmp_path / "plain", "Hopper --n-iterations 2"))
    scaled = outcome(train(tmp_path / "scaled", "Hopper --n-iterations 2 --scale-actions"))
    for name in ("progress", "evaluations", "final"):
        assert scaled[name] == plain[name]
