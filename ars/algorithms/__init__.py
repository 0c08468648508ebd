"""The algorithms, one file each, and their registry."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ars.common.settings import setting_names

if TYPE_CHECKING:
    from ars.algorithms.base import Algorithm
    from ars.search_spaces.base import SearchSpace


@dataclass(frozen=True)
class RegisteredAlgorithm:
    """An algorithm's entry in the registry; its module is imported on demand.

    Attributes:
        entry_point: the class, as `module:Class`.
        description: what it is, in one line.
        presets_module: the module whose `PRESETS`, or another table as `module:NAME`, are settings
            known to work; None for none.
        space_entry_point: the search space of `ars tune`, as `module:function`; None for none.
    """

    entry_point: str
    description: str
    presets_module: str | None = None
    space_entry_point: str | None = None

    def load(self) -> type[Algorithm]:
        """The class."""
        algorithm: type[Algorithm] = _loaded(self.entry_point)
        return algorithm

    @property
    def Config(self) -> type[Any]:
        """The dataclass of its settings."""
        return self.load().Config

    @property
    def trains_in_pool(self) -> bool:
        """Whether its training rollouts run in the pool of workers."""
        return self.load().trains_in_pool

    @property
    def presets(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings known to work, by name."""
        if self.presets_module is None:
            return {}
        place = (
            self.presets_module if ":" in self.presets_module else f"{self.presets_module}:PRESETS"
        )
        presets: Mapping[str, Mapping[str, Any]] = _loaded(place)
        return presets

    @property
    def search_space(self) -> SearchSpace | None:
        """What `ars tune` searches; None if nothing is declared."""
        if self.space_entry_point is None:
            return None
        space: SearchSpace = _loaded(self.space_entry_point)
        return space


def _loaded(entry_point: str) -> Any:
    module, _, name = entry_point.partition(":")
    return getattr(importlib.import_module(module), name)


DEFAULT_ALGORITHM = "ars"

ALGORITHMS: Mapping[str, RegisteredAlgorithm] = {
    "ars": RegisteredAlgorithm(
        "ars.algorithms.ars:ARS",
        "Augmented Random Search",
        "ars.presets.ars",
        "ars.search_spaces.ars:space",
    ),
    "pgpe": RegisteredAlgorithm(
        "ars.algorithms.pgpe:PGPE",
        "PGPE with ClipUp: a search that learns its noise too",
        "ars.presets.evolution:PGPE",
        "ars.search_spaces.evolution:pgpe",
    ),
    "sep-cma-es": RegisteredAlgorithm(
        "ars.algorithms.sep_cma_es:SepCMAES",
        "separable CMA-ES: an evolution strategy by ranks",
        "ars.presets.evolution:SEP_CMA_ES",
        "ars.search_spaces.evolution:sep_cma_es",
    ),
    "dqn": RegisteredAlgorithm(
        "ars.algorithms.dqn:DQN",
        "deep Q-learning",
        "ars.presets.dqn",
        "ars.search_spaces.dqn:space",
    ),
    "ppo": RegisteredAlgorithm(
        "ars.algorithms.ppo:PPO",
        "Proximal Policy Optimization",
        "ars.presets.ppo",
        "ars.search_spaces.ppo:space",
    ),
    "a2c": RegisteredAlgorithm(
        "ars.algorithms.actor_critic:A2C",
        "advantage actor-critic on n steps",
        "ars.presets.a2c",
        "ars.search_spaces.actor_critic:a2c",
    ),
    "actor-critic": RegisteredAlgorithm(
        "ars.algorithms.actor_critic:ActorCritic",
        "actor-critic on one step or an episode",
        "ars.presets.actor_critic",
        "ars.search_spaces.actor_critic:actor_critic",
    ),
    "reinforce": RegisteredAlgorithm(
        "ars.algorithms.reinforce:REINFORCE",
        "the policy gradient from whole episodes",
        "ars.presets.reinforce",
        "ars.search_spaces.reinforce:space",
    ),
    "value-iteration": RegisteredAlgorithm(
        "ars.algorithms.tabular.value_iteration:ValueIteration",
        "exact values of a finite world, from its model",
        "ars.presets.tabular:PLANNING",
        "ars.search_spaces.tabular:planning",
    ),
    "policy-iteration": RegisteredAlgorithm(
        "ars.algorithms.tabular.policy_iteration:PolicyIteration",
        "the same by evaluating and improving a policy in turn",
        "ars.presets.tabular:PLANNING",
        "ars.search_spaces.tabular:planning",
    ),
    "monte-carlo": RegisteredAlgorithm(
        "ars.algorithms.tabular.monte_carlo:MonteCarlo",
        "a table from the returns of whole episodes",
        "ars.presets.tabular:MONTE_CARLO",
        "ars.search_spaces.tabular:episodes",
    ),
    "q-learning": RegisteredAlgorithm(
        "ars.algorithms.tabular.q_learning:QLearning",
        "a table from steps, towards the best next action",
        "ars.presets.tabular:TEMPORAL_DIFFERENCE",
        "ars.search_spaces.tabular:temporal_difference",
    ),
    "sarsa": RegisteredAlgorithm(
        "ars.algorithms.tabular.sarsa:SARSA",
        "a table from steps, towards the next action taken",
        "ars.presets.tabular:TEMPORAL_DIFFERENCE",
        "ars.search_spaces.tabular:temporal_difference",
    ),
    "expected-sarsa": RegisteredAlgorithm(
        "ars.algorithms.tabular.expected_sarsa:ExpectedSARSA",
        "the same, towards the mean of the next actions",
        "ars.presets.tabular:TEMPORAL_DIFFERENCE",
        "ars.search_spaces.tabular:temporal_difference",
    ),
}


def settings_of_others(algo: str) -> dict[str, str]:
    """Settings that only other algorithms have, each with a line that names these."""
    ours = setting_names(ALGORITHMS[algo].Config)
    owners: dict[str, list[str]] = {}
    for name, algorithm in ALGORITHMS.items():
        for setting in setting_names(algorithm.Config):
            if setting not in ours:
                owners.setdefault(setting, []).append(name)
    return {
        setting: f"a setting of `algo` {', '.join(names)}; this run's algorithm is {algo}"
        for setting, names in owners.items()
    }
