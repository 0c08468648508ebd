"""Pictures of tables of values: what fits the world is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import refusal
from PIL import Image

import ars.results.policy_table
import envs
from ars import api, plot
from ars.results.policy_table import PolicyTable, policy_table
from ars.training.run_folder import find_policy
from envs.tabular.layout import Graph, Grid, Hands, layout_of
from policies import PolicyFile, make_policy, save_policy


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def store(env_id: str, best: int = 0) -> str:
    """A table in which one action is the best everywhere."""
    env = envs.make(env_id)
    policy = make_policy("table", env.observation_space, env.action_space)
    env.close()
    table = np.zeros((policy.spec.observation.size, policy.spec.action.size))
    table[:, best] = np.arange(len(table)) + 1.0
    policy.weights = table.ravel()
    path = f"{env_id}.safetensors"
    save_policy(path, PolicyFile(policy, env_id, training={"algo": "sarsa"}))
    return path


@pytest.mark.parametrize(
    ("env_id", "kind"),
    [
        ("GridWorld", Grid),
        ("CliffWalking-v1", Grid),
        ("FrozenLake-v1", Grid),
        ("Rooms", Graph),
        ("SmallTree", Graph),
        ("Blackjack", Hands),
        ("Taxi-v4", type(None)),
    ],
)
def test_worlds_have_the_layout_that_fits(env_id: str, kind: type) -> None:
    env = envs.make(env_id)
    layout = layout_of(env)
    assert isinstance(layout, kind)
    if isinstance(layout, Grid):  # every move goes where the world's own transitions go
        world: Any = env.unwrapped
        for s, (row, column) in enumerate(layout.cells):
            if s in layout.marks or env_id == "FrozenLake-v1":
                continue
            for a, (down, right) in enumerate(layout.moves):
                meant = (row + down, column + right)
                if meant in layout.cells and layout.cells.index(meant) not in layout.marks:
                    assert layout.cells.index(meant) in [n for _, n, _, _ in world.P[s][a]]
    env.close()


def test_a_path_is_where_the_best_actions_lead() -> None:
    table = policy_table(find_policy(store("CliffWalking-v1", best=0)))  # always up
    assert table.path[:5] == [36, 24, 12, 0, 0]
    assert table.title == "CliffWalking-v1: sarsa"
    assert policy_table(find_policy(store("GridWorld"))).path == []  # moves slip


def test_tables_are_drawn_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [store(name) for name in ("GridWorld", "Rooms", "Blackjack")]
    plot.main([*runs, "--weights", "--output", "tables.png"])
    assert capsys.readouterr().out.splitlines()[-1] == "wrote tables.png"
    with Image.open("tables.png") as picture:
        assert sum(count > 0 for count in picture.convert("L").histogram()) > 50


def test_tables_of_several_runs_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[str]] = []
    draw = ars.results.policy_table.draw_tables

    def noted(tables: Sequence[PolicyTable]) -> Any:
        drawn.append([table.title for table in tables])
        return draw(tables)

    monkeypatch.setattr(ars.results.policy_table, "draw_tables", noted)
    runs = [store("GridWorld", best=0), store("Rooms", best=0)]
    for words in (runs, runs[:1]):
        plot.main([*words, "--weights", "--output", "tables.png"])
    assert drawn == [["GridWorld: sarsa\nGridWorld", "Rooms: sarsa\nRooms"], ["GridWorld: sarsa"]]


def test_a_table_that_is_too_large_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        plot.main([store("Taxi-v4"), "--weights"])
    assert "a table of 500 states, of which no picture is known" in capsys.readouterr().err


def test_a_picture_that_nobody_asked_for_is_left_out_with_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few: dict[str, Any] = {"n_iterations": 1, "eval_episodes": 1, "verbose": False}
    for env_id, said in (
        ("Taxi-v4", ": a table of 500 states, of which no picture is known; at most 60 are"),
        ("GridWorld", "/policy.safetensors: "),
    ):
        run = api.train(env_id, algo="q-learning", **few).folder
        if env_id == "GridWorld":
            (run / "policy.safetensors").write_text("?")
        capsys.readouterr()
        plot.main([str(run)])
        out, err = capsys.readouterr()
        assert out.startswith(f"wrote {run}/learning_curves.png") and out.count("\n") == 1
        assert err.startswith(f"{run}/policy.png is not drawn: ") and said in err


@pytest.mark.parametrize("words", [["--at", "1000"], ["--each-weight"], ["--episodes", "3"]])
def test_what_is_of_linear_policies_has_no_meaning_for_a_table(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"error: {' '.join(words)}: has no meaning for a table of values"
    assert refusal(plot.main, [store("GridWorld"), "--weights", *words], capsys) == (2, line)
    assert not list(Path().glob("*.png"))
