"""Search in the space of a policy's weights: what ARS and evolution strategies share.

Each iteration j draws N directions delta_k, plays episodes of policies with weights
theta + s nu delta_k for signs s, and moves theta by the returns alone: no gradient is taken through
a policy. How it moves is each algorithm's own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import (
    Algorithm,
    Record,
    Row,
    TrainingContext,
    check_finite,
    check_same_network,
    statistics_behind,
    tell_of_other_rule,
)
from ars.algorithms.episode_length import EpisodeConfig
from ars.algorithms.objective import WeightSchedule
from ars.algorithms.policy_kinds import (
    VECTOR_POLICIES,
    defaults_in_words,
    make_policy_that_fits,
    scale_actions_setting,
)
from ars.common.errors import RolloutError, RunError, UsageError
from ars.common.resources import require_memory
from ars.common.seeding import Stream, direction, generator
from ars.common.settings import LARGE, in_words, setting
from ars.common.statistics import mean, norm, summarize_objective, summarize_returns
from ars.rollout.episode import Episode
from ars.rollout.pool import Pool
from ars.rollout.task import RolloutSpec, Snapshot, Task, describe
from policies import (
    ACTIVATIONS,
    POLICIES,
    NormalizerRule,
    Policy,
    RunningMeanStd,
    initial_weights,
)
from policies.state import State

DIVERGING = 1e50  # weights that large explain a fault
EPISODE_BYTES, NUMBER_BYTES = 1000, 35  # of each result, and of each number in an observation


@dataclass(frozen=True)
class SearchConfig(EpisodeConfig):
    """Settings that every search in the space of weights has."""

    n_directions: int = setting(16, "directions per iteration (N)", at_least=1, at_most=10**6)
    shift: float = setting(0.0, "subtracted from each step's reward while training")
    common_seeds: str = setting(
        "none", "rollouts that share a reset seed", choices=("none", "pair", "iteration")
    )
    reward_clip: float | None = setting(
        None, "bound on each step's absolute reward while training", above=0
    )
    action_clip: bool = setting(True, "clip actions to the action space's bounds")
    scale_actions: bool = scale_actions_setting()
    var_floor: float = setting(0.0, "smallest variance the normaliser uses", at_least=0)
    ddof: int = setting(
        1, "1 for the sample deviation in the normaliser, 0 for the population's", choices=(0, 1)
    )
    policy: str = setting("linear", "kind of policy", choices=VECTOR_POLICIES)
    hidden_sizes: tuple[int, ...] = setting(
        (),
        f"units of each hidden layer ({defaults_in_words('hidden_sizes', VECTOR_POLICIES)})",
        at_least=1,
        at_most=LARGE,
    )
    activation: str = setting("tanh", "hidden activation", choices=tuple(ACTIVATIONS))
    bias: bool = setting(
        False,
        "give a linear policy a bias, without which it has no constant actions; others have one",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_sizes and not POLICIES[self.policy].has_hidden_layers:
            others = [name for name in VECTOR_POLICIES if POLICIES[name].has_hidden_layers]
            raise UsageError(
                f"`hidden_sizes` {in_words(self.hidden_sizes)}: a {self.policy} policy has no "
                f"hidden layers; add `policy` {' or '.join(others)}"
            )

    @property
    @abstractmethod
    def normalizes(self) -> bool:
        """Whether policies act on normalised observations."""

    @property
    def idle(self) -> dict[str, str]:
        """The settings that decide nothing beside the others, each with the reason."""
        found = {}
        if not self.normalizes:
            found = dict.fromkeys(("var_floor", "ddof"), "where observations are not normalised")
        if not POLICIES[self.policy].has_hidden_layers:
            found["activation"] = f"for a {self.policy} policy, which has no hidden layers"
        return found

    @property
    def scores_are_returns(self) -> bool:
        """Whether training ranks by the environment's own return."""
        return self.shift == 0 and self.reward_clip is None and not self.reward_weights


@dataclass(frozen=True)
class NormalizingConfig(SearchConfig):
    """Settings of those that have no variants by which to choose whether to normalise."""

    normalize_observations: bool = setting(
        True, "normalise observations by the statistics of all earlier iterations"
    )

    @property
    def normalizes(self) -> bool:
        return self.normalize_observations


class Update(NamedTuple):
    """What a step was: the directions with scores, those used, and further columns of its row."""

    scored: list[int]
    used: list[int]
    columns: Row


class ParameterSearch(Algorithm):
    """A search by the returns of perturbed policies; a subclass moves the weights by them.

    Attributes:
        signs: of the perturbations that each direction is played with.
    """

    plays = "training episodes of perturbed policies"
    signs: ClassVar[tuple[int, ...]] = (+1, -1)
    _calmer: ClassVar[str] = "a lower `step_size`"  # what to do about weights that diverge

    def __init__(self, config: SearchConfig, context: TrainingContext) -> None:
        self.config, self.context = config, context
        options: dict[str, Any] = {"bias": True} if config.bias else {}
        if config.hidden_sizes:
            options["hidden_sizes"] = config.hidden_sizes
        self.policy = make_policy_that_fits(
            config.policy,
            context.observation_space,
            context.action_space,
            activation=config.activation,
            clip_actions=config.action_clip,
            scale_actions=config.scale_actions,
            **options,
        )
        spec = self.policy.spec
        if spec.hidden_sizes:
            rng = generator(context.seed, Stream.INITIAL_WEIGHTS)
            self.policy.weights = initial_weights(spec, rng)
        rollout = EPISODE_BYTES + NUMBER_BYTES * spec.observation.size
        n_rollouts = len(self.signs) * config.n_directions
        require_memory(n_rollouts * rollout, f"`n_directions` {config.n_directions:,}")
        self.statistics = RunningMeanStd.zeros(spec.observation.size)
        self._reward_weights = WeightSchedule(config, context.env_id, context.objective)
        self.rule = NormalizerRule(ddof=config.ddof, var_floor=config.var_floor)
        # Of the last iteration, in the order of its tasks; NaN where a direction was left out.
        self._scores = np.full(n_rollouts, np.nan)

    @property
    def normalized(self) -> bool:
        """Whether policies act on normalised observations."""
        normalizes: bool = self.config.normalizes
        return normalizes

    @property
    @abstractmethod
    def delta_std(self) -> float | NDArray[np.float64]:
        """Standard deviation of the next perturbations (nu): of all weights, or of each."""

    @abstractmethod
    def _move(self, scored: list[int], scores: NDArray[np.float64]) -> tuple[list[int], Row]:
        """Move the weights.

        Args:
            scored: the directions that have scores, in the order of their indices.
            scores: float64 [n_directions, signs]; NaN for the others.

        Returns:
            The directions used, and columns for the iteration's row.
        """

    @property
    def rollout_spec(self) -> RolloutSpec:
        config = self.config
        return replace(
            super().rollout_spec,
            shift=config.shift,
            reward_clip=config.reward_clip,
            common_seeds=config.common_seeds,
            statistics=self.normalized,
            end_when_down=config.end_when_down,
        )

    def snapshot(self) -> Snapshot:
        normalizer = self.statistics.freeze(self.rule) if self.normalized else None
        return Snapshot(self.policy.weights, normalizer)

    def iterate(self, pool: Pool) -> Row:
        """Play every direction, then update weights and statistics."""
        tasks = [
            Task(Stream.TRAINING, self.iteration, index, sign)
            for index in range(self.config.n_directions)
            for sign in self.signs
        ]
        weights = self._reward_weights.at(self.timesteps)
        snapshot = replace(self.snapshot(), delta_std=self.delta_std, reward_weights=weights)
        episodes = pool.collect(pool.submit(snapshot, tasks))
        finite = self._finite_directions(tasks, episodes)
        kept = self._of_directions(episodes, finite)
        statistics = self._merged(kept)
        scores = np.full((self.config.n_directions, len(self.signs)), np.nan)
        scores[finite] = np.reshape([episode.score for episode in kept], (-1, len(self.signs)))
        step = self._step(scores.reshape(-1))
        self.statistics = statistics
        # At least one of each: a run of nothing but faults at the first step ends too.
        self.timesteps += sum(max(1, episode.length) for episode in episodes)
        self.episodes += len(episodes)
        return self._row(kept, self._of_directions(episodes, step.used), step)

    def _step(self, scores: NDArray[np.float64]) -> Update:
        """Update the weights by an iteration's scores, in the order of its tasks; all it needs."""
        self._scores = scores
        by_direction = scores.reshape(self.config.n_directions, len(self.signs))
        scored = np.flatnonzero(~np.isnan(by_direction).any(axis=1)).tolist()
        step = Update(scored, *self._move(scored, by_direction))
        self.iteration += 1
        return step

    def _direction(self, index: int) -> NDArray[np.float64]:
        """A direction of this iteration: standard normal, float64 [n_weights]."""
        size = self.policy.spec.n_weights
        return direction(self.context.seed, self.iteration, index, size)

    def _take(self, step: NDArray[np.float64]) -> float:
        """Add a step to the weights; returns its norm. Raises: RunError if one gets too large."""
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self.policy.weights + step
        if not np.isfinite(moved).all():
            raise RunError(
                f"iteration {self.iteration + 1}: its step makes the weights too large for a "
                f"float; {self._calmer} may help"
            )
        self.policy.weights = moved
        return norm(step.tolist())

    def _merged(self, episodes: Sequence[Episode]) -> RunningMeanStd:
        """The statistics with those of more episodes. Raises: RunError if a mean overflows."""
        merged = deepcopy(self.statistics)
        for episode in episodes:
            if episode.statistics is not None:
                merged.merge(episode.statistics)
        check_finite(merged, self.iteration + 1)
        return merged

    def _finite_directions(self, tasks: Sequence[Task], episodes: Sequence[Episode]) -> list[int]:
        """The directions to rank; one with a fault stops the run, or is left out on request."""
        finite = []
        for index in range(self.config.n_directions):
            [*faulty] = (at for at in self._places(index) if episodes[at].fault is not None)
            if not faulty:
                finite.append(index)
                continue
            where = f"{describe(self.rollout_spec, tasks[faulty[0]])}: {episodes[faulty[0]].fault}"
            largest = np.abs(self.policy.weights).max()
            if largest > DIVERGING:
                where += f" (weights reach {largest:.0e}; {self._calmer} may help)"
            if self.context.on_nonfinite == "stop":
                raise RolloutError(
                    f"{where}; a new run with `on_nonfinite` exclude leaves such directions out"
                )
            self.context.notify(f"{where}; the direction is left out")
        return finite

    def _places(self, index: int) -> range:
        """Where the rollouts of a direction are among an iteration's."""
        return range(len(self.signs) * index, len(self.signs) * (index + 1))

    def _of_directions(
        self, episodes: Sequence[Episode], directions: Sequence[int]
    ) -> list[Episode]:
        """The episodes of some directions, in the order of the tasks; `episodes` are all."""
        return [episodes[at] for k in directions for at in self._places(k)]

    def _row(self, kept: Sequence[Episode], used: Sequence[Episode], step: Update) -> Row:
        return {
            **summarize_returns(
                [episode.total_reward for episode in kept],
                [episode.length for episode in kept],
            ),
            "return_top_mean": mean([episode.total_reward for episode in used]),
            **self._step_row(step),
            **summarize_objective(self.context.objective, kept),
        }

    def _step_row(self, step: Update) -> Row:
        return {
            **step.columns,
            "weight_norm": norm(self.policy.weights.tolist()),
            "excluded": self.config.n_directions - len(step.scored),
        }

    def tape_record(self) -> Record:
        """Counters, scores and statistics: the weights follow from the scores."""
        record = {
            "timesteps": np.array(self.timesteps),
            "episodes": np.array(self.episodes),
            "scores": self._scores,
        }
        if self.normalized:
            state = self.statistics.state()
            record |= {"observations": np.array(state.values["count"]), **state.arrays}
        return record

    def replay(self, record: Record) -> Row:
        """The update again, from the scores."""
        step = self._step(record["scores"].astype(np.float64))
        steps = int(record["timesteps"]) - self.timesteps
        episodes = len(self.signs) * self.config.n_directions
        if steps < 0:
            raise ValueError(f"timesteps fall by {-steps}")
        self.timesteps += steps
        self.episodes += episodes
        if self.normalized:
            means, m2 = (record[name].astype(np.float64) for name in ("mean", "m2"))
            self.statistics = RunningMeanStd(means, m2, int(record["observations"]))
        row = self._step_row(step)
        if not row["excluded"]:  # the steps of those are among the others'
            row = {"length_mean": steps / episodes, **row}
        return {**self._returns_row(step), **row} if self.config.scores_are_returns else row

    def _returns_row(self, step: Update) -> Row:
        """The columns of the returns, of an iteration whose scores are returns."""
        returns, top = (
            [float(self._scores[at]) for k in ks for at in self._places(k)]
            for ks in (step.scored, step.used)
        )
        row: Row = {**summarize_returns(returns, ()), "return_top_mean": mean(top)}
        del row["length_mean"]
        return row

    def start_from(self, policy: Policy) -> None:
        names = ("kind", "layer_sizes", "activation", "bias", "scale_actions")
        check_same_network(self.policy.spec, policy.spec, names)
        given = policy.normalizer
        if (given is not None) != self.normalized:
            raise UsageError(
                f"`init_from`: its policy acts on {'raw' if given is None else 'normalised'} "
                f"observations, but {self._in_words} does not"
            )
        tell_of_other_rule(given, self.rule, self.context.notify)
        self.policy.weights = policy.network_weights  # without a distribution's deviations
        self.statistics = statistics_behind(given) or self.statistics

    @property
    def _in_words(self) -> str:
        """What decides whether it normalises, for messages."""
        return "this run"

    def state(self) -> State:
        """Counters, weights and statistics; a subclass adds what else its steps depend on."""
        state = super().state()
        state.arrays["weights"] = self.policy.weights
        state.add("statistics", self.statistics, count="observations")
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        rollouts = len(self.signs) * self.config.n_directions
        state.count("episodes", at_most=rollouts * self.iteration)
        self.policy.weights = state.array("weights", self.policy.weights.shape)
        state.restore("statistics", self.statistics, count="observations")
