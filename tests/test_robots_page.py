"""docs/robots.md shows every robot and world, with the numbers that they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

import envs

PAGE = (ROOT / "docs" / "robots.md").read_text()
# Of a table: picture, name, observations, actions and, where episodes differ, their length.
ROW = r"^\| !\[.*?\]\(\S+\) \| \*\*(\w+)\*\*.*? \| (\d+) \| (\d+) \|(?: ([\d.]+) s \|)?$"
ROWS = {name: numbers for name, *numbers in re.findall(ROW, PAGE, re.M)}


def test_all_are_shown() -> None:
    for row in envs.table():
        assert f"**{row.name}**" in PAGE
        assert Path(ROOT, "docs", "pictures", "robots", f"{row.name}.png").is_file()
        assert f"(pictures/robots/{row.name}.png)" in PAGE


@pytest.mark.parametrize("name", ROWS)
def test_numbers_are_right(name: str) -> None:
    env: Any = envs.make(name)
    n_observations, n_actions, seconds = ROWS[name]
    assert env.observation_space.shape == (int(n_observations),)
    assert env.action_space.shape == (int(n_actions),)
    if seconds:
        assert round(env.spec.max_episode_steps * env.unwrapped.dt, 1) == float(seconds)
    env.close()


def test_there_are_tables() -> None:
    assert {"HalfCheetah", "Minitaur", "Reacher", "LQR"} < ROWS.keys()
