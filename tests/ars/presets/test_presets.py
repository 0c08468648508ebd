"""Every preset is usable, and fits the environment that it is named after."""

from __future__ import annotations

import gymnasium
import pytest

import envs
from ars.algorithms import ALGORITHMS
from ars.algorithms.base import TrainingContext
from ars.training.resolve import resolve_new
from envs.objective import Objective

PRESETS = [(algo, name) for algo, entry in ALGORITHMS.items() for name in entry.presets]


def is_environment(name: str) -> bool:
    try:
        envs.resolve(name)
    except envs.UnknownEnvironment:
        return False
    return True


@pytest.mark.parametrize(("algo", "name"), PRESETS)
def test_a_preset_is_taken_where_it_is_asked_for(algo: str, name: str) -> None:
    config = resolve_new("CartPole-v1", {"algo": algo, "preset": name})
    assert config.preset == name
    assert config.run.total_timesteps or config.run.n_iterations


@pytest.mark.parametrize(
    ("algo", "name"), [(algo, name) for algo, name in PRESETS if is_environment(name)]
)
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")  # of Box2D's own
@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")  # of MuJoCo's v4
def test_a_preset_is_taken_for_its_environment_and_fits_it(algo: str, name: str) -> None:
    config = resolve_new(name, {"algo": algo})
    assert config.preset == name
    try:
        env = envs.make(name, **config.env_kwargs)
    except gymnasium.error.DependencyNotInstalled as error:
        pytest.skip(str(error))
    spaces, objective = (env.observation_space, env.action_space), Objective(env).describe()
    env.close()
    context = TrainingContext(
        name, *spaces, config.env_kwargs, notify=lambda line: None, objective=objective
    )
    algorithm = ALGORITHMS[algo].load()(config.algorithm, context)
    assert algorithm.snapshot().weights.size == algorithm.policy.spec.n_weights
    algorithm.close()
