"""Every shipped run loads, is named after its environment and is worth what it says."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest

import envs
from ars.__main__ import overview
from ars.common.seeding import Stream
from ars.common.shipped import shipped
from ars.rollout.episode import Rollouts, rollout
from ars.rollout.task import RolloutSpec, Snapshot, Task, task_seed
from ars.training.evaluation import evaluate_policy
from ars.training.rebuild import chosen_policy
from ars.training.run_folder import RESULT, TAPE, read_json
from ars.training.shared_run import unpacked
from ars.training.verification import verify_run

NAMES = list(shipped())
WITH_TAPES = [name for name in NAMES if (Path(unpacked(name)) / TAPE).exists()]
EPISODES = {"Minitaur": 1}  # which takes five seconds
LEAST_METRES = {"Minitaur": 2.0}
every_shipped_run = pytest.mark.parametrize("name", NAMES)


@every_shipped_run
def test_it_is_found_by_its_environments_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = chosen_policy(name)
    assert found.file.env_id == name
    assert found.description.startswith(f"shipped policy {name} (iteration ")
    assert envs.resolve(name)
    assert f"\n  {name} " in overview()


@pytest.mark.parametrize("word", ["halfcheetah", "HALFCHEETAH", "halfcheetahbulletenv-v0"])
def test_its_name_may_be_typed_in_another_way(word: str) -> None:
    assert chosen_policy(word).path == chosen_policy("HalfCheetah").path


def test_a_folder_of_its_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("HalfCheetah").mkdir()
    assert unpacked("HalfCheetah") == "HalfCheetah"
    assert chosen_policy("shipped:halfcheetah").file.env_id == "HalfCheetah"


@every_shipped_run
def test_it_is_worth_what_its_result_says(name: str) -> None:
    said = read_json(Path(unpacked(name)) / RESULT)["final_evaluation"]
    found = evaluate_policy(chosen_policy(name), episodes=EPISODES.get(name, 3))
    # Contacts are chaotic: on another processor episodes differ, and one in thirty may be a fall.
    spread = said["return_std"] + 0.05 * abs(said["return_mean"])
    assert abs(found["return_max"] - said["return_mean"]) < 4 * spread
    assert said["return_mean"] > said["episodes"] ** -0.5 * said["return_std"]
    if "metres_mean" in said:
        assert said["metres_mean"] > LEAST_METRES.get(name, 10.0)
        assert found["metres_mean"] > 0.5 * said["metres_mean"]


@pytest.mark.parametrize(
    ("name", "episodes", "what", "least"),
    [
        ("Reacher", 30, "return_mean", 10.0),  # 21 ± 12 in an episode; doing nothing is worth 0
        ("HumanoidFlagrun", 10, "flags_mean", 0.2),  # 1 ± 1; who goes straight on reaches none
    ],
)
def test_it_does_what_its_name_says(name: str, episodes: int, what: str, least: float) -> None:
    assert evaluate_policy(chosen_policy(name), episodes=episodes)[what] > least


@pytest.mark.parametrize("name", WITH_TAPES)
def test_its_policies_follow_from_its_tape(name: str) -> None:
    found = verify_run(name, iterations=0)
    assert found.n_iterations > 0 and found.compared


@pytest.mark.parametrize("name", ["HalfCheetah", "Hopper", "Ant"])
def test_trained_episodes_are_the_references_and_the_compiled_loops(name: str) -> None:
    policy = chosen_policy(name).file.policy
    spec = RolloutSpec(name, policy.spec, statistics=True)
    snapshot = Snapshot(policy.weights, policy.normalizer)
    tasks = [Task(Stream.EVALUATION, 0, index) for index in range(2)]
    with closing(Rollouts(replace(spec, compiled=False))) as plain:
        expected = plain.run(snapshot, tasks)
    assert max(episode.length for episode in expected) == 1000
    with closing(Rollouts(spec)) as compiled:
        assert compiled.notice is None
        assert compiled.run(snapshot, tasks) == expected
    with closing(gymnasium.make(f"pybullet_envs_gymnasium:{name}BulletEnv-v0")) as reference:
        reference.reset(seed=0)  # its first episode differs from all later ones
        for task, episode in zip(tasks, expected, strict=True):
            known = replace(episode, terms=(), measures={})  # the reference does not tell these
            assert rollout(reference, policy, task_seed(spec, task), 1000) == known
