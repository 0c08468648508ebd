"""Exported policies earn what the policy does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from c_policy import COMPILER, compile_policy

import envs
from ars.exporting import recipe
from ars.exporting.export import export_policy
from ars.rollout.episode import rollout
from ars.training.rebuild import chosen_policy


def returns(act: Callable[[Any], Any], policy: Any) -> list[float]:
    env = envs.make("HalfCheetah")
    player: Any = SimpleNamespace(flatten=policy.flatten, act_flat=act)
    found = [rollout(env, player, seed, 150).total_reward for seed in range(2)]
    env.close()
    return found


@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
def test_arrays_and_a_header_earn_the_policy_s_returns_to_the_last_bit(tmp_path: Path) -> None:
    file = chosen_policy("HalfCheetah").file
    for format, name in (("npz", "cheetah.npz"), ("c", "cheetah.h")):
        export_policy(file, format, tmp_path / name)
    with np.load(tmp_path / "cheetah.npz") as stored:
        arrays = dict(stored)
    fused = ("-march=native", "-ffp-contract=fast")
    compiled = compile_policy(tmp_path / "cheetah.h", 6, *fused)
    wanted = returns(file.policy.act_flat, file.policy)
    assert len(set(wanted)) == 2
    assert returns(lambda x: recipe.act(arrays, x), file.policy) == wanted
    assert returns(compiled, file.policy) == wanted
