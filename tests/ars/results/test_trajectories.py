"""The ways of policies through a world that is seen from above, beside their learning curves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image

import envs
from ars import api, evaluate, plot, render
from ars.common.errors import UsageError
from ars.results import trajectories
from ars.results.plotting import plot_policies
from ars.training.run_folder import find_policy
from policies import PolicyFile, make_policy, save_policy


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def store(env_id: str, name: str = "policy.safetensors") -> str:
    env = gymnasium.make(env_id) if ":" in env_id else envs.make(env_id)
    policy = make_policy("linear", env.observation_space, env.action_space)
    env.close()
    policy.weights = np.random.default_rng(1).standard_normal(policy.spec.n_weights)
    save_policy(name, PolicyFile(policy, env_id, training={"algo": "ars", "seed": 4}))
    return name


@pytest.mark.parametrize(
    ("env_id", "seen"), [("ObstacleCar", True), ("CartPole-v1", False), ("GridWorld", False)]
)
def test_it_is_the_environment_that_offers_a_top_view(env_id: str, seen: bool) -> None:
    assert trajectories.is_seen_from_above(find_policy(store(env_id)), trust=False) == seen


def test_no_module_of_a_file_from_elsewhere_is_imported_for_it(folder: Path) -> None:
    Path("hers.py").write_text(
        "import gymnasium\n"
        "from envs.car import ObstacleCar\n"
        "gymnasium.register('Hers-v0', entry_point=ObstacleCar, max_episode_steps=20)\n"
    )
    sys.path.insert(0, str(folder))
    try:
        found = find_policy(store("hers:Hers-v0"))
        del sys.modules["hers"], gymnasium.registry["Hers-v0"]
        assert not trajectories.is_seen_from_above(found, trust=False)
        assert "hers" not in sys.modules
        assert trajectories.is_seen_from_above(found, trust=True)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("hers", None)
        gymnasium.registry.pop("Hers-v0", None)


def test_a_trajectory_is_the_episode_that_evaluations_play() -> None:
    resolved = find_policy(store("ObstacleCar"))
    first, second = trajectories.play(resolved, 2, 4, warn=pytest.fail)
    told = api.evaluate(resolved.path, episodes=2)
    assert [len(one.views) - 1 for one in (first, second)] == told["lengths"]
    assert first.caption.startswith(f"{told['lengths'][0]} steps, return ")
    assert first.terminated and first.views[0].obstacles != second.views[0].obstacles
    steps = np.diff([view.place for view in first.views[:-1]], axis=0)
    assert np.hypot(*steps.T) == pytest.approx(1.0)


def test_every_way_in_takes_the_car(capsys: pytest.CaptureFixture[str]) -> None:
    short: dict[str, Any] = {
        "eval_episodes": 1,
        "rollout_length": 30,
        "eval_length": 30,
        "n_workers": 0,
    }
    hidden = {"dqn": (150,), "reinforce": (64, 64), "actor-critic": (64, 64), "ars": ()}
    for algo, sizes in hidden.items():
        run = api.train(
            "ObstacleCar", algo=algo, n_iterations=1, run_dir=algo, verbose=False, **short
        )
        assert run.policy.spec.hidden_sizes == sizes
    plot.main([*hidden])
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "wrote policy.png"
    assert [line[:11] for line in told[-5:-1]] == ["best policy"] * 4
    with Image.open("policy.png") as picture:
        assert picture.height > picture.width  # a row of fields for each
    evaluate.main(["ars", "--episodes", "2"])
    assert "ObstacleCar, 2 episodes" in capsys.readouterr().out
    render.main(["ars", "--output", "run.png", "--width", "64", "--height", "64"])
    assert Path("run.png").stat().st_size > 1000


def test_several_runs_drive_through_the_same_fields() -> None:
    runs = [store("ObstacleCar", f"{name}.safetensors") for name in "ab"]
    one, other = (trajectories.play(find_policy(run), 1, 4, pytest.fail)[0] for run in runs)
    assert one.views[0] == other.views[0]


def test_several_runs_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    draw = trajectories.draw_trajectories

    def noted(tracks: Sequence[trajectories.Track]) -> Any:
        drawn.extend(track.title for track in tracks)
        return draw(tracks)

    monkeypatch.setattr(trajectories, "draw_trajectories", noted)
    runs = [store("ObstacleCar", f"{name}.safetensors") for name in "ab"]
    assert len(plot_policies(runs, Path("both.png"), pytest.fail)) == 2
    assert drawn == ["ObstacleCar: ars, a"] * 3 + ["ObstacleCar: ars, b"] * 3
    drawn.clear()
    plot_policies(runs[:1], Path("one.png"), pytest.fail)
    assert {*drawn} == {"ObstacleCar: ars"}


def test_tables_have_no_place_on_the_car() -> None:
    with pytest.raises(UsageError, match="its table needs Discrete observations, and those of Obs"):
        api.train("ObstacleCar", algo="q-learning", n_iterations=1)
    with pytest.raises(UsageError, match="`algo` value-iteration: "):
        api.train("ObstacleCar", algo="value-iteration", n_iterations=1)
