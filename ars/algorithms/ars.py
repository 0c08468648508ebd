"""Augmented Random Search (Mania, Guy and Recht, 2018, arXiv 1803.07055, Algorithms 1 and 2).

Each iteration j draws N directions delta_k, plays theta + nu delta_k and theta - nu delta_k and
moves along the directions, each weighted by the difference of its two returns:

    theta <- theta + alpha / (b sigma_R) * sum_{k in top b} (r_k+ - r_k-) delta_k

brs  Basic Random Search: all directions, no sigma_R
v1   sigma_R, the deviation of the returns used, scales the step
v2   v1 on observations normalised with the statistics of all earlier iterations
-t   only the b directions with the largest max(r+, r-) are used
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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
from ars.common.statistics import deviation, mean, norm, summarize_objective, summarize_returns
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
VARIANTS = ("brs", "v1", "v1-t", "v2", "v2-t")


@dataclass(frozen=True)
class ARSConfig(EpisodeConfig):
    """Settings of Augmented Random Search, in the paper's terms."""

    variant: str = setting(
        "v2-t", "which algorithm of the paper", choices=VARIANTS, depends_on=("n_top",)
    )
    n_directions: int = setting(16, "directions per iteration (N)", at_least=1, at_most=10**6)
    n_top: int | None = setting(
        None,
        "best directions used (b); half of N in the -t variants, else all",
        at_least=1,
        at_most="n_directions",
        depends_on=("n_directions", "variant"),
    )
    step_size: float = setting(0.02, "step size (alpha)", above=0)
    delta_std: float = setting(0.03, "standard deviation of the exploration noise (nu)", above=0)
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_sizes and not POLICIES[self.policy].has_hidden_layers:
            others = [name for name in VECTOR_POLICIES if POLICIES[name].has_hidden_layers]
            raise UsageError(
                f"`hidden_sizes` {in_words(self.hidden_sizes)}: a {self.policy} policy has no "
                f"hidden layers; add `policy` {' or '.join(others)}"
            )
        if self.n_top not in (None, self.n_directions) and not self.variant.endswith("-t"):
            raise UsageError(
                f"`n_top` {self.n_top}: variant {self.variant} uses all {self.n_directions} "
                "directions; choose v1-t or v2-t to use the best only"
            )

    @property
    def n_used(self) -> int:
        """Directions in the update (b)."""
        if self.n_top is not None:
            return self.n_top
        return max(1, self.n_directions // 2) if self.variant.endswith("-t") else self.n_directions

    @property
    def scores_are_returns(self) -> bool:
        """Whether training ranks by the environment's own return."""
        return self.shift == 0 and self.reward_clip is None and not self.reward_weights


class Step(NamedTuple):
    """What a step was: the directions with scores, those used, sigma_R, the step's norm."""

    scored: list[int]
    top: list[int]
    sigma: float
    norm: float


class ARS(Algorithm):
    """Augmented Random Search; the update is `_update`."""

    Config = ARSConfig
    plays = "training episodes of perturbed policies"

    def __init__(self, config: ARSConfig, context: TrainingContext) -> None:
        self.config, self.context = config, context
        sizes = {"hidden_sizes": config.hidden_sizes} if config.hidden_sizes else {}
        self.policy = make_policy_that_fits(
            config.policy,
            context.observation_space,
            context.action_space,
            activation=config.activation,
            clip_actions=config.action_clip,
            scale_actions=config.scale_actions,
            **sizes,
        )
        spec = self.policy.spec
        if spec.hidden_sizes:
            rng = generator(context.seed, Stream.INITIAL_WEIGHTS)
            self.policy.weights = initial_weights(spec, rng)
        rollout = EPISODE_BYTES + NUMBER_BYTES * spec.observation.size
        require_memory(2 * config.n_directions * rollout, f"`n_directions` {config.n_directions:,}")
        self.normalized = config.variant.startswith("v2")
        self.statistics = RunningMeanStd.zeros(spec.observation.size)
        self._reward_weights = WeightSchedule(config, context.env_id, context.objective)
        self.rule = NormalizerRule(ddof=config.ddof, var_floor=config.var_floor)
        # Of the last iteration, in the order of its tasks; NaN where a direction was left out.
        self._scores = np.full(2 * config.n_directions, np.nan)

    @property
    def rollout_spec(self) -> RolloutSpec:
        config = self.config
        return replace(
            super().rollout_spec,
            delta_std=config.delta_std,
            shift=config.shift,
            reward_clip=config.reward_clip,
            common_seeds=config.common_seeds,
            statistics=self.normalized,
            end_when_down=config.end_when_down,
        )

    @property
    def policy_metadata(self) -> dict[str, Any]:
        """The variant."""
        return {"variant": self.config.variant}

    def snapshot(self) -> Snapshot:
        normalizer = self.statistics.freeze(self.rule) if self.normalized else None
        return Snapshot(self.policy.weights, normalizer)

    def iterate(self, pool: Pool) -> Row:
        """Play both signs of every direction, then update weights and statistics."""
        tasks = [
            Task(Stream.TRAINING, self.iteration, index, sign)
            for index in range(self.config.n_directions)
            for sign in (+1, -1)
        ]
        weights = self._reward_weights.at(self.timesteps)
        snapshot = replace(self.snapshot(), reward_weights=weights)
        episodes = pool.collect(pool.submit(snapshot, tasks))
        finite = self._finite_directions(tasks, episodes)
        kept = _both_signs(episodes, finite)
        statistics = self._merged(kept)
        scores = np.full(len(tasks), np.nan)
        for k in finite:
            scores[2 * k], scores[2 * k + 1] = episodes[2 * k].score, episodes[2 * k + 1].score
        step = self._step(scores)
        self.statistics = statistics
        self.timesteps += sum(episode.length for episode in kept)
        self.episodes += len(kept)
        return self._row(kept, _both_signs(episodes, step.top), step)

    def _step(self, scores: NDArray[np.float64]) -> Step:
        """Update the weights by an iteration's scores, float64 [2 n_directions]; all it needs."""
        self._scores = scores
        plus, minus = scores[0::2].tolist(), scores[1::2].tolist()
        scored = [k for k in range(len(plus)) if not (math.isnan(plus[k]) or math.isnan(minus[k]))]
        top = best_directions(scored, plus, minus, self.config.n_used)
        step = Step(scored, top, *self._update(top, plus, minus))
        self.iteration += 1
        return step

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
        for index, (plus, minus) in enumerate(zip(episodes[::2], episodes[1::2], strict=True)):
            fault = plus.fault or minus.fault
            if fault is None:
                finite.append(index)
                continue
            at_fault = tasks[2 * index + (plus.fault is None)]
            where = f"{describe(self.rollout_spec, at_fault)}: {fault}"
            largest = np.abs(self.policy.weights).max()
            if largest > DIVERGING:
                where += f" (weights reach {largest:.0e}; a lower `step_size` may help)"
            if self.context.on_nonfinite == "stop":
                raise RolloutError(
                    f"{where}; a new run with `on_nonfinite` exclude leaves such directions out"
                )
            self.context.notify(f"{where}; the direction is left out")
        return finite

    def _update(
        self, top: Sequence[int], plus: Sequence[float], minus: Sequence[float]
    ) -> tuple[float, float]:
        """theta += alpha / (b sigma_R) sum (r+ - r-) delta.

        Args:
            top: the directions used, in the order of their indices.
            plus: r+ of every direction.
            minus: r- of every direction.

        Returns:
            sigma_R and the norm of the step.
        """
        config, theta = self.config, self.policy.weights
        # 1. sigma_R: the population deviation of the 2b returns used.
        sigma = deviation([r for k in top for r in (plus[k], minus[k])])
        scaled = config.variant != "brs"
        if not top or (scaled and sigma == 0.0):
            why = "all returns used are equal" if top else "every direction is left out"
            self.context.notify_once(f"no step where {why}", self.iteration + 1)
            return sigma, 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # reported below
            # 2. The sum over the directions used, in the order of their indices.
            gradient = np.zeros_like(theta)
            for k in top:
                delta = direction(self.context.seed, self.iteration, k, theta.size)
                gradient += (plus[k] - minus[k]) * delta
            # 3. The step.
            step = (config.step_size / (len(top) * (sigma if scaled else 1.0))) * gradient
            moved = theta + step
        if not np.isfinite(moved).all():
            raise RunError(
                f"iteration {self.iteration + 1}: its step makes the weights too large for a "
                "float; a lower `step_size` may help"
            )
        self.policy.weights = moved
        return sigma, norm(step.tolist())

    def _row(self, kept: Sequence[Episode], used: Sequence[Episode], step: Step) -> Row:
        return {
            **summarize_returns(
                [episode.total_reward for episode in kept],
                [episode.length for episode in kept],
            ),
            "return_top_mean": mean([episode.total_reward for episode in used]),
            **self._step_row(step),
            **summarize_objective(self.context.objective, kept),
        }

    def _step_row(self, step: Step) -> Row:
        return {
            "sigma_r": step.sigma,
            "step_norm": step.norm,
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
        steps, episodes = int(record["timesteps"]) - self.timesteps, 2 * len(step.scored)
        if steps < 0:
            raise ValueError(f"timesteps fall by {-steps}")
        self.timesteps += steps
        self.episodes += episodes
        if self.normalized:
            means, m2 = (record[name].astype(np.float64) for name in ("mean", "m2"))
            self.statistics = RunningMeanStd(means, m2, int(record["observations"]))
        row = {"length_mean": steps / episodes if episodes else math.nan, **self._step_row(step)}
        return {**self._returns_row(step), **row} if self.config.scores_are_returns else row

    def _returns_row(self, step: Step) -> Row:
        """The columns of the returns, of an iteration whose scores are returns."""
        returns, top = (
            [score for k in ks for score in self._scores[2 * k : 2 * k + 2].tolist()]
            for ks in (step.scored, step.top)
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
                f"observations, but variant {self.config.variant} does not"
            )
        self.policy.weights = policy.weights
        self.statistics = statistics_behind(given) or self.statistics

    def state(self) -> State:
        """Counters, weights and statistics: all else is a function of the seed."""
        state = super().state()
        state.arrays["weights"] = self.policy.weights
        state.add("statistics", self.statistics, count="observations")
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        state.count("episodes", at_most=2 * self.config.n_directions * self.iteration)
        self.policy.weights = state.array("weights", self.policy.weights.shape)
        state.restore("statistics", self.statistics, count="observations")


def best_directions(
    directions: Sequence[int], plus: Sequence[float], minus: Sequence[float], n_top: int
) -> list[int]:
    """The `n_top` of `directions` with the largest max(r+, r-), in index order.

    Ties go to the lower index. `plus`, `minus`: r+ and r- of all directions, by index.
    """
    ranked = sorted(directions, key=lambda k: (-max(plus[k], minus[k]), k))
    return sorted(ranked[:n_top])


def _both_signs(episodes: Sequence[Episode], directions: Sequence[int]) -> list[Episode]:
    """The two episodes of each of `directions`; `episodes` are all, in task order."""
    return [episode for k in directions for episode in episodes[2 * k : 2 * k + 2]]
