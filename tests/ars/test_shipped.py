"""Every shipped policy loads, is named after its environment and does what it was shipped for."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest

import envs
from ars.common.seeding import Stream
from ars.rollout.episode import Rollouts, rollout
from ars.rollout.task import RolloutSpec, Snapshot, Task, task_seed
from ars.training.evaluation import evaluate_policy
from ars.training.run_folder import SHIPPED, find_policy

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


@pytest.mark.parametrize("word", ["halfcheetah", "HALFCHEETAH", "halfcheetahbulletenv-v0"])
def test_its_name_may_be_typed_in_another_way(word: str) -> None:
    assert find_policy(word).path == find_policy("HalfCheetah").path


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_policy_is_far_better_than_none(name: str) -> None:
    trained = evaluate_policy(find_policy(name), episodes=3)
    untrained = find_policy(name)
    untrained.file.policy.weights = 0.0 * untrained.file.policy.weights
    assert trained["return_min"] > evaluate_policy(untrained, episodes=3)["return_max"] + 500


@pytest.mark.parametrize("name", NAMES)
def test_trained_episodes_are_the_references_and_the_compiled_loops(name: str) -> None:
    found = find_policy(name)
    policy = found.file.policy
    spec = RolloutSpec(name, policy.spec, statistics=True)
    snapshot = Snapshot(policy.weights, policy.normalizer)
    tasks = [Task(Stream.EVALUATION, 0, index) for index in range(4)]
    with closing(Rollouts(replace(spec, compiled=False))) as plain:
        expected = plain.run(snapshot, tasks)
    assert max(episode.length for episode in expected) == 1000
    with closing(Rollouts(spec)) as compiled:
        assert compiled.notice is None
        assert compiled.run(snapshot, tasks) == expected
    with closing(gymnasium.make(f"pybullet_envs_gymnasium:{name}BulletEnv-v0")) as reference:
        reference.reset(seed=0)  # its first episode differs from all later ones
        for task, episode in zip(tasks, expected, strict=True):
            known = replace(episode, terms=(), metres=None)  # the reference does not tell these
            assert rollout(reference, policy, task_seed(spec, task), 1000) == known
