"""A linear policy with a bias: what it learns without one, and that a run keeps what it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learners import learn, make, mean_return

import ars.train
from ars.algorithms import ALGORITHMS
from ars.training.verification import verify_run
from policies import read_policy

WORLD = "odd_worlds:Bounded-v0"  # its observation is always 1, which is normalised to 0
SETTINGS: dict[str, dict[str, Any]] = {
    "ars": {"variant": "v2", "step_size": 0.2},
    "pgpe": {"step_size": 0.05, "max_speed": 0.1},
    "sep-cma-es": {},
}


@pytest.mark.parametrize("algo", SETTINGS)
def test_a_constant_action_takes_a_bias(algo: str) -> None:
    settings: dict[str, Any] = {
        "hidden_sizes": (),
        "n_directions": 8,
        "delta_std": 0.2,
        "scale_actions": True,
    }
    kind = ALGORITHMS[algo].load()
    without, biased = (
        make(kind, WORLD, bias=bias, **settings, **SETTINGS[algo]) for bias in (False, True)
    )
    learn(without, 20)
    learn(biased, 20)
    assert without.policy.weights.size == 1 and mean_return(without) == pytest.approx(-2.5)
    assert biased.policy.weights.size == 2 and mean_return(biased) > -1


def test_a_run_keeps_its_bias(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--n-workers 0 --n-directions 2 --n-iterations 2 --eval-freq 1 --eval-episodes 1"
    run = tmp_path / "run"
    ars.train.main(["Hopper", "--bias", *words.split(), "--run-dir", str(run)])
    policy = read_policy(run / "policy.safetensors").policy
    assert policy.spec.bias and np.abs(policy.weights[-3:]).min() > 0
    assert verify_run(str(run), iterations=2)
    with pytest.raises(SystemExit):
        ars.train.main(["--resume", str(run), "--no-bias"])
    assert "--bias False: the run was started with True" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        ars.train.main(["Hopper", *words.split(), "--init-from", str(run)])
    assert "--init-from: its policy has bias True, this run's False" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        ars.train.main(["HalfCheetah", "--bias", *words.split(), "--init-from", str(run)])
    assert "its policy turns 15 into 3 numbers, this run's 26 into 6" in capsys.readouterr().err
