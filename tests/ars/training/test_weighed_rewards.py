"""Training on weighed terms of the reward: reproducible, resumed exactly, judged truly."""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hopper_runs import resume, train
from learners import outcome

import ars.verify
import envs
from ars.algorithms.objective import ObjectiveConfig, WeightSchedule
from ars.api import train as api_train
from ars.cli.closing import summary
from ars.common.errors import UsageError
from ars.common.settings import make_config
from ars.experience.vector_env import VectorEnv
from envs.objective import ObjectiveSpec

RUNNER = ObjectiveSpec(("alive", "progress", "stall"), measures=("metres",), can_be_down=True)
WEIGHED = "--reward-weights alive=0 electricity=0.3 --anneal-weights 400 --rollout-length 40"
WORDS = [*WEIGHED.split(), "--end-when-down"]


def columns(path: Path) -> dict[str, list[float]]:
    names, *rows = csv.reader(path.read_text().splitlines())
    return {name: [float(row[at]) for row in rows] for at, name in enumerate(names)}


@pytest.fixture(scope="module")
def weighed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weighed") / "run"
    return train(folder, *WORDS, "--n-iterations", "6", env="HalfCheetah")


def schedule(env: ObjectiveSpec = RUNNER, **settings: Any) -> WeightSchedule:
    return WeightSchedule(make_config(ObjectiveConfig, settings), "Robot", env)


def test_weights_come_back_linearly_and_are_then_off() -> None:
    weights = schedule(reward_weights=["alive=0", "stall=3"], anneal_weights=100)
    assert weights.at(0) == (0.0, 1.0, 3.0)
    assert weights.at(25) == (0.25, 1.0, 2.5)
    assert weights.at(100) is weights.at(10**9) is None


def test_weights_may_begin_to_come_back_later() -> None:
    weights = schedule(reward_weights=["alive=0"], anneal_weights=100, anneal_from=50)
    assert weights.at(0) == weights.at(50) == (0.0, 1.0, 1.0)
    assert weights.at(75) == (0.25, 1.0, 1.0)
    assert weights.at(149) == (0.99, 1.0, 1.0)
    assert weights.at(150) is None


def test_weights_stay_unless_they_are_annealed() -> None:
    assert schedule(reward_weights={"progress": 2}).at(10**9) == (1.0, 2.0, 1.0)
    assert schedule().at(0) is schedule(reward_weights=("alive=1",)).at(0) is None


@pytest.mark.parametrize(
    ("settings", "env", "message"),
    [
        ({"reward_weights": ("alife=0",)}, RUNNER, "no such term (did you mean alive?)"),
        ({"reward_weights": ("x=0",)}, RUNNER, "its terms are alive, progress, stall"),
        ({"reward_weights": ("alive=0",)}, ObjectiveSpec(), "Robot does not name terms"),
        ({"reward_weights": ("alive",)}, RUNNER, "`reward_weights` alive: must be a term and"),
        ({"reward_weights": ("alive=nan",)}, RUNNER, "alive=nan: must be a term and a number"),
        ({"reward_weights": ("alive=0", "alive=1")}, RUNNER, "weighs alive twice"),
        ({"anneal_weights": 5}, RUNNER, "has no meaning without `reward_weights`"),
        (
            {"reward_weights": ("alive=0",), "anneal_from": 5},
            RUNNER,
            "`anneal_from` 5: has no meaning without `anneal_weights`",
        ),
        ({"end_when_down": True}, ObjectiveSpec(), "Robot has no state that counts as down"),
    ],
)
def test_unusable_weights_are_refused(
    settings: dict[str, Any], env: ObjectiveSpec, message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        schedule(env, **settings)
    assert message in str(refused.value)


def test_a_robot_that_is_never_down_is_not_ended_when_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train(tmp_path / "run", "--end-when-down", env="Reacher")
    assert "Reacher has no state that counts as down" in capsys.readouterr().err


def test_the_compiled_loop_changes_nothing(
    weighed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envs, "accelerate", lambda env: (None, None))
    plain = train(tmp_path / "run", *WORDS, "--n-iterations", "6", env="HalfCheetah")
    assert outcome(plain) == outcome(weighed)


@pytest.mark.parametrize("first", [1, 4])
def test_a_resumed_run_is_the_same(weighed: Path, tmp_path: Path, first: int) -> None:
    folder = train(tmp_path / "run", *WORDS, "--n-iterations", str(first), env="HalfCheetah")
    assert outcome(resume(folder, "--n-iterations", "6")) == outcome(weighed)


def test_workers_change_nothing(weighed: Path, tmp_path: Path) -> None:
    folder = train(tmp_path / "run", *WORDS, "--n-iterations", "6", env="HalfCheetah", workers="2")
    assert outcome(folder) == outcome(weighed)


def test_rewards_are_learned_from_weighed_and_told_truly(weighed: Path, tmp_path: Path) -> None:
    true = train(tmp_path / "true", *WORDS[5:], "--n-iterations", "6", env="HalfCheetah")
    ours, theirs = columns(weighed / "progress.csv"), columns(true / "progress.csv")
    assert ours["sigma_r"][0] != theirs["sigma_r"][0]
    # The first iteration plays the same episodes, and the first evaluation the same policy.
    for name in ("metres_mean", "alive_mean", "electricity_mean", "length_mean"):
        assert ours[name][0] == theirs[name][0]
    assert ours["return_mean"][0] == pytest.approx(theirs["return_mean"][0], abs=1e-6)
    ours, theirs = columns(weighed / "evaluations.csv"), columns(true / "evaluations.csv")
    assert ours["return_mean"][0] == theirs["return_mean"][0]
    assert set(ours["length_mean"]) == {1000.0}  # evaluations go on when the robot is down
    terms = [ours[f"{name}_mean"][-1] for name in ("alive", "progress", "electricity", "limits")]
    assert sum(terms) + ours["stall_mean"][-1] == pytest.approx(ours["return_mean"][-1], abs=1e-6)


def test_logs_hold_terms_and_metres_right_before_the_times(weighed: Path) -> None:
    expected = ["metres_mean", "alive_mean", "progress_mean", "electricity_mean"]
    expected += ["stall_mean", "limits_mean", "time_seconds"]
    for name in ("progress.csv", "evaluations.csv"):
        names = list(columns(weighed / name))
        at = names.index("metres_mean")
        assert names[at : at + 7] == expected
    final = json.loads((weighed / "result.json").read_text())["final_evaluation"]
    assert final.keys() > set(expected[:-1])
    seconds = final["length_mean"] * 0.0165
    assert final["metres_per_second"] == pytest.approx(final["metres_mean"] / seconds)


def test_mujoco_robots_are_weighed_by_the_terms_of_their_info(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    words = ["--n-iterations", "2", "--reward-weights", "survive=0", "--rollout-length", "50"]
    folder = train(tmp_path / "run", *words, env="Hopper-v5")
    found = columns(folder / "progress.csv")
    terms = (found[f"{name}_mean"][-1] for name in ("survive", "forward", "ctrl"))
    assert sum(terms) == pytest.approx(found["return_mean"][-1], abs=1e-6)
    assert min(found["survive_mean"]) > 1.0
    assert np.isfinite(found["metres_mean"]).all()
    true = train(tmp_path / "true", *words[:2], *words[4:], env="Hopper-v5")
    assert found["sigma_r"][0] != columns(true / "progress.csv")["sigma_r"][0]


def test_on_resume_weights_may_be_written_in_any_way(weighed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(weighed, tmp_path / "run"))
    resume(folder, "--n-iterations", "7", "--reward-weights", "electricity=0.30", "alive=0.0")
    with pytest.raises(SystemExit):
        resume(folder, "--n-iterations", "8", "--reward-weights", "electricity=0.3", "alive=0.1")
    assert len(columns(folder / "progress.csv")["iteration"]) == 7


PPO: dict[str, Any] = {"algo": "ppo", "n_envs": 2, "n_steps": 32, "batch_size": 32}
PPO |= {"rollout_length": 20, "eval_episodes": 1, "eval_freq": 2, "n_workers": 0, "verbose": False}
PPO |= {"reward_weights": {"alive": 0}, "anneal_weights": 200, "end_when_down": True}


def test_deep_algorithms_are_the_same_with_processes_and_when_resumed(tmp_path: Path) -> None:
    whole = api_train("HalfCheetah", run_dir=tmp_path / "a", n_iterations=4, **PPO)
    several = api_train(
        "HalfCheetah", run_dir=tmp_path / "b", n_iterations=4, env_processes=2, **PPO
    )
    part = api_train("HalfCheetah", run_dir=tmp_path / "c", n_iterations=2, **PPO)
    resumed = api_train(resume=part, n_iterations=4, reward_weights={"alive": 0}, verbose=False)
    expected = outcome(whole.folder)
    assert outcome(several.folder) == expected
    assert outcome(resumed.folder) == expected
    true = api_train(
        "HalfCheetah",
        run_dir=tmp_path / "d",
        n_iterations=1,
        **PPO | {"reward_weights": (), "anneal_weights": None},
    )
    ours, theirs = whole.progress, true.progress
    assert ours["alive_mean"][0] == theirs["alive_mean"][0]
    assert ours["return_mean"][0] == pytest.approx(theirs["return_mean"][0], abs=1e-6)
    assert outcome(true.folder)["policy"] != expected["policy"]


@pytest.mark.parametrize("env_id", ["HalfCheetah", "Hopper-v5"])
def test_environments_side_by_side_tell_true_returns_of_weighed_rewards(env_id: str) -> None:
    if env_id.endswith("-v5"):
        pytest.importorskip("mujoco")
    names: tuple[str, ...] = ("alive", "progress", "electricity", "stall", "limits")
    names = names if env_id == "HalfCheetah" else ("survive", "forward", "ctrl")
    spec = ObjectiveSpec(names, measures=("metres",))
    with closing(VectorEnv(env_id, {}, 2, 7, 10, objective=spec, weighs=True)) as several:
        several.reset()
        several.weigh_by(tuple(0.0 for _ in names))
        actions = np.full((2, 6 if env_id == "HalfCheetah" else 3), 0.3, np.float32)
        for _ in range(10):
            assert several.step(actions).rewards == pytest.approx(0.0, abs=1e-9)
        state = several.state()
        assert len(several.finished) == 2
        for episode in several.finished:
            assert episode.total_reward == pytest.approx(sum(episode.terms), abs=1e-9)
            assert episode.total_reward != 0.0
            assert set(episode.measures) == {"metres"}
        several.restore(state)


def closing_of(**final: float) -> str:
    row = {"return_mean": 980.0, "return_std": 1.0, "episodes": 2, "iteration": 3, **final}
    row = {"length_mean": 1000.0, **row}
    result = {"final_evaluation": row, "seconds": 2.0, "timesteps": 5, "iterations": 6}
    return summary("Robot", {**result, "stopped": "done"}, weighed=False)


def test_the_closing_says_how_far_and_how_fast_and_who_stands() -> None:
    runs = {"metres_mean": 30.0, "alive_mean": 990.0, "progress_mean": 1818.0}
    text = closing_of(**runs, metres_per_second=1.82)
    assert "\n30.0 metres, 1.82 m/s\n" in text
    assert "it stands" not in text
    stands = {"metres_mean": 0.3, "alive_mean": 1000.0, "progress_mean": 18.0, "stall_mean": -1.0}
    text = closing_of(**stands)
    assert (
        "it stands rather than runs: 1,000 of its return are for being up (alive), 18 for" in text
    )
    assert "`reward_weights` alive=0 stall=0 `anneal_weights` 2000000" in text
    assert "it stands" not in closing_of(**stands, length_mean=30.0)  # it falls
    assert "metres" not in closing_of()


def test_a_weighed_run_can_be_verified(weighed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ars.verify.main([str(weighed)])
    assert "replayed: identical" in capsys.readouterr().out
