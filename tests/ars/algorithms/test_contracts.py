"""What every registered algorithm keeps; a new one is tested as soon as it is registered."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closeness import close
from learners import make

from ars.__main__ import overview
from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from ars.algorithms.base import Algorithm
from ars.common.errors import UsageError
from ars.common.settings import make_config, plain_type, setting_names
from ars.rollout.pool import LocalPool
from ars.training import checkpoint
from ars.training.config import RunConfig, TaskConfig, WorkerConfig
from ars.training.resolve import resolve_new
from ars.training.shared_run import shipped_file
from policies import POLICIES, NormalizerRule, RunningMeanStd, build_policy
from policies.state import State

every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)


def config_of(algo: str, **values: Any) -> Any:
    return make_config(ALGORITHMS[algo].Config, values)


def test_the_default_is_registered() -> None:
    assert resolve_new("CartPole-v1", {}).algo == DEFAULT_ALGORITHM


@every_algorithm
def test_the_registry_says_what_others_must_know(algo: str) -> None:
    entry = ALGORITHMS[algo]
    assert issubclass(entry.load(), Algorithm)
    assert entry.description and not entry.description.endswith(".")
    assert f"  {algo} " in overview() and entry.description in overview()


@every_algorithm
def test_every_setting_has_a_sentence_and_bounds(algo: str) -> None:
    config = ALGORITHMS[algo].Config
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        about = field.metadata
        assert len(about["help"]) > 5 and not about["help"].endswith("."), field.name
        kind = plain_type(hints[field.name])
        kind = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else kind
        if kind is int:
            bounds = [about[name] for name in ("at_least", "above", "choices")]
            assert any(bound is not None for bound in bounds), field.name
        if kind is float:
            with pytest.raises(UsageError, match="finite number"):
                config_of(algo, **{field.name: math.nan})
        if kind is str:
            assert about["choices"] or about["parse"], field.name
        for other in (*about["requires"], *about["depends_on"]):
            assert other in hints, field.name


@every_algorithm
def test_a_configuration_comes_back_from_json(algo: str) -> None:
    presets = {
        name: resolve_new("CartPole-v1", {"algo": algo, "preset": name}).algorithm
        for name in ALGORITHMS[algo].presets
    }
    for config in (config_of(algo), *presets.values()):
        stored = json.loads(json.dumps(dataclasses.asdict(config)))
        assert config_of(algo, **stored) == config


@every_algorithm
def test_presets_hold_settings_that_there_are(algo: str) -> None:
    configs = (ALGORITHMS[algo].Config, TaskConfig, RunConfig, WorkerConfig)
    known = {
        "env_kwargs",
        "init_from",
        *(name for config in configs for name in setting_names(config)),
    }
    for name, preset in ALGORITHMS[algo].presets.items():
        assert preset.keys() <= known, name
        assert "init_from" not in preset or shipped_file(preset["init_from"]) is not None


@pytest.fixture
def tiny_world(algo: str) -> tuple[str, dict[str, Any]]:
    """A world whose spaces the algorithm takes, and settings that make an iteration short."""
    short: dict[str, Any] = {"n_envs": 2, "n_steps": 64, "n_directions": 2, "learning_starts": 16}
    short |= {"iteration_steps": 50, "batch_size": 16, "n_episodes": 1, "buffer_size": 500}
    fields = dataclasses.fields(ALGORITHMS[algo].Config)
    taken = {field.name for field in fields if not field.metadata["requires"]}
    world = "GridWorld" if ALGORITHMS[algo].load().learns_table else "small_worlds:Identity-v0"
    short |= {"n_epochs": 2, "hidden_sizes": ()}
    return world, {k: v for k, v in short.items() if k in taken}


def build(algo: str, world: tuple[str, dict[str, Any]]) -> Any:
    env_id, settings = world
    return make(ALGORITHMS[algo].load(), env_id, **settings)


def learn(algorithm: Algorithm, iterations: int) -> list[dict[str, Any]]:
    pool = LocalPool(algorithm.rollout_spec)
    rows = [algorithm.iterate(pool) for _ in range(iterations)]
    pool.close()
    return rows


@every_algorithm
def test_a_state_goes_on_exactly(
    algo: str, tiny_world: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    whole, first, second = (build(algo, tiny_world) for _ in range(3))
    rows = learn(whole, 2)
    assert rows[0].keys() == rows[1].keys()
    assert [*map(repr, learn(first, 1)[0].values())] == [*map(repr, rows[0].values())]
    checkpoint.save(tmp_path, first.state())
    second.restore(checkpoint.load(tmp_path))
    assert [*map(repr, learn(second, 1)[0].values())] == [*map(repr, rows[1].values())]
    assert (second.iteration, second.timesteps) == (whole.iteration, whole.timesteps) != (0, 0)
    assert second.episodes == whole.episodes
    assert bool(whole.episodes) == bool(whole.plays)  # a method that plans plays none
    state, again = whole.state(), second.state()
    assert state.values == again.values
    assert state.arrays.keys() == again.arrays.keys()
    for name, array in state.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes(), name
    for algorithm in (whole, first, second):
        algorithm.close()
        algorithm.close()


@every_algorithm
def test_a_state_of_something_else_is_no_state(
    algo: str, tiny_world: tuple[str, dict[str, Any]]
) -> None:
    algorithm = build(algo, tiny_world)
    state = algorithm.state()
    for damaged in (State({}, state.values), State(state.arrays, {})):
        with pytest.raises(ValueError, match=": is missing"):
            algorithm.restore(damaged)
    algorithm.close()


@every_algorithm
def test_what_was_learnt_can_be_kept_played_and_begun_from(
    algo: str, tiny_world: tuple[str, dict[str, Any]]
) -> None:
    algorithm, other = build(algo, tiny_world), build(algo, tiny_world)
    learn(algorithm, 1)
    snapshot = algorithm.snapshot()
    policy = build_policy(algorithm.policy.spec)
    policy.weights, policy.normalizer = snapshot.weights, snapshot.normalizer
    assert policy.act(3 if algorithm.learns_table else np.eye(3)[0]) in range(4)
    json.dumps(algorithm.policy_metadata)
    other.start_from(policy)
    assert np.array_equal(other.snapshot().weights, snapshot.weights)
    for each in (algorithm, other):
        each.close()


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize(
    ("algo", "settings"),
    [("ars", {"ddof": 0}), ("ars", {"ddof": 1}), ("ppo", {"normalize_observations": True})],
)
def test_a_policy_to_begin_from_brings_its_statistics(
    algo: str, settings: dict[str, Any], ddof: int
) -> None:
    seen = RunningMeanStd.of(np.array([[0.0, 1.0, 2.0], [2.0, 5.0, 2.0], [4.0, 0.0, 5.0]]))
    algorithm = build(algo, ("small_worlds:Identity-v0", {"hidden_sizes": (), **settings}))
    policy = build_policy(algorithm.policy.spec)
    policy.normalizer = seen.freeze(NormalizerRule(ddof=ddof))
    algorithm.start_from(policy)
    assert algorithm.statistics.count == 3
    close(algorithm.statistics.mean, [2.0, 2.0, 3.0], 1e-14)
    close(algorithm.statistics.m2, [8.0, 14.0, 6.0], 1e-14)
    algorithm.close()


@pytest.mark.parametrize(
    ("algo", "kind"),
    [
        (algo, kind)
        for algo, entry in ALGORITHMS.items()
        for field in dataclasses.fields(entry.Config)
        if field.name == "policy"
        for kind in field.metadata["choices"]
        if kind in POLICIES
    ],
)
def test_every_kind_of_policy_that_is_a_choice_is_learnt(
    algo: str, kind: str, tiny_world: tuple[str, dict[str, Any]]
) -> None:
    env_id, settings = tiny_world
    world = "small_worlds:Images-v0" if POLICIES[kind].reads_images else env_id
    algorithm = make(ALGORITHMS[algo].load(), world, policy=kind, **settings)
    assert algorithm.policy.spec.kind == kind
    before = algorithm.snapshot().weights
    learn(algorithm, 1)
    assert not np.array_equal(algorithm.snapshot().weights, before)
    algorithm.close()
