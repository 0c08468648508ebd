"""Every shipped policy loads, is named after its environment and does what it was shipped for."""

from __future__ import annotations

from pathlib import Path

import pytest

import ars.evaluate
import envs
from ars.runs import SHIPPED, find_policy

NAMES = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def test_there_are_shipped_policies() -> None:
    assert "HalfCheetah" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_policy_is_found_by_its_environments_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_policy(name)
    assert found.file.env_id == name
    assert found.description.startswith("shipped policy")
    assert envs.resolve(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_policy_is_far_better_than_none(name: str) -> None:
    trained = ars.evaluate.evaluate(find_policy(name), episodes=3)
    untrained = find_policy(name)
    untrained.file.policy.weights = 0.0 * untrained.file.policy.weights
    assert trained["return_min"] > ars.evaluate.evaluate(untrained, episodes=3)["return_max"] + 500
