"""The settings on a page: what differs from the defaults, and where it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stored_runs import store_run

from ars.reporting.settings import setting_rows
from ars.results.stored_run import StoredRun


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    settings: dict[str, Any] = {
        "step_size": 0.04,
        "n_directions": 9,
        "delta_std": 0.5,
        "rollout_length": 7,
    }
    folder = store_run(
        tmp_path / "run", env_id="HalfCheetah", env_kwargs={"hard": True}, **settings
    )
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {
        "preset": "HalfCheetah",
        "commands": ["ars train HalfCheetah --n-directions 9", "ars.api.train(delta_std=0.5)"],
        "seed": 1_000_000,
    }
    path.write_text(json.dumps(config))
    return StoredRun.open(folder)


def test_each_value_says_where_it_comes_from(run: StoredRun) -> None:
    from ars.presets.ars import PRESETS

    rows = {row.name: row for row in setting_rows(run)}
    assert rows["n_directions"].origin == rows["delta_std"].origin == "given"
    assert rows["rollout_length"].origin == "the environment"
    assert rows["variant"].origin == "default" and not rows["variant"].differs
    assert rows["env_kwargs: hard"].value == "yes" and rows["env_kwargs: hard"].differs
    known = PRESETS["HalfCheetah"]["step_size"] == 0.04
    assert rows["step_size"].origin == ("preset HalfCheetah" if known else "not recorded")


def test_flags_of_another_form_are_given_too(run: StoredRun) -> None:
    path = run.folder / "config.json"
    config = json.loads(path.read_text())
    config["env_kwargs"] = {"wrappers": ["m:C"]}
    config["config"]["action_clip"] = False
    config["commands"] = ["ars train HalfCheetah --no-action-clip --wrapper m:C"]
    path.write_text(json.dumps(config))
    rows = {row.name: row for row in setting_rows(StoredRun.open(run.folder))}
    assert rows["action_clip"].origin == rows["env_kwargs: wrappers"].origin == "given"


@pytest.mark.parametrize("name", ["a(", "*", "(a+)+$"])
def test_a_name_is_no_pattern(name: str, run: StoredRun) -> None:
    path = run.folder / "config.json"
    config = json.loads(path.read_text())
    config |= {"env_kwargs": {name: 1}, "commands": [f"ars train {'a' * 60} --env-kwargs {name}=1"]}
    path.write_text(json.dumps(config))
    rows = {row.name: row for row in setting_rows(StoredRun.open(run.folder))}
    assert rows[f"env_kwargs: {name}"].origin in ("given", "not recorded")


def test_values_are_in_words_and_defaults_beside_them(run: StoredRun) -> None:
    rows = {row.name: row for row in setting_rows(run)}
    assert rows["seed"].value == "1000000"
    assert (rows["n_directions"].value, rows["n_directions"].default) == ("9", "16")
    assert rows["total_timesteps"].value == "none"
    assert rows["hidden_sizes"].value == "none" and rows["eval_episodes"].differs
    assert all(row.help for row in rows.values())
