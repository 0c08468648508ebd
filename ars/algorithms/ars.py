"""Augmented Random Search (Mania, Guy and Recht, 2018, arXiv 1803.07055, Algorithms 1 and 2).

Each iteration j draws N directions delta_k, plays theta + nu delta_k and theta - nu delta_k, and
moves along the directions, each weighted by the difference of its two returns:

    theta <- theta + alpha / (b sigma_R) * sum_{k in top b} (r_k+ - r_k-) delta_k

brs  Basic Random Search: all directions, no sigma_R
v1   sigma_R, the deviation of the returns used, scales the step
v2   v1 on observations normalised with the statistics of all earlier iterations
-t   only the b directions with the largest max(r+, r-) are used
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ars.algorithms.base import Algorithm, Row, TrainingContext
from ars.common.errors import RolloutError, UsageError
from ars.common.seeding import Stream, direction, generator
from ars.common.settings import LARGE, setting
from ars.common.statistics import deviation, mean, norm, summarize_returns
from ars.presets.ars import ARS_PRESETS
from ars.rollout.episode import Episode
from ars.rollout.pool import Pool
from ars.rollout.task import RolloutSpec, Snapshot, Task, describe
from policies import (
    ACTIVATIONS,
    NormalizerRule,
    Policy,
    RunningMeanStd,
    initial_weights,
    make_policy,
)
from policies.state import State

VARIANTS = ("brs", "v1", "v1-t", "v2", "v2-t")


@dataclass(frozen=True)
class ARSConfig:
    """Settings of Augmented Random Search, in the paper's terms."""

    variant: str = setting("v2-t", "which algorithm of the paper", choices=VARIANTS)
    n_directions: int = setting(16, "directions per iteration (N)", at_least=1, at_most=10**6)
    n_top: int | None = setting(
        None, "best directions used (b); half of N in the -t variants, else all", at_least=1
    )
    step_size: float = setting(0.02, "step size (alpha)", above=0)
    delta_std: float = setting(0.03, "standard deviation of the exploration noise (nu)", above=0)
    shift: float = setting(0.0, "subtracted from each step's reward while training")
    rollout_length: int = setting(1000, "most steps in an episode", at_least=1)
    eval_length: int | None = setting(
        None, "most steps in an evaluation's episode (default: rollout_length)", at_least=1
    )
    common_seeds: str = setting(
        "none", "rollouts that share a reset seed", choices=("none", "pair", "iteration")
    )
    reward_clip: float | None = setting(
        None, "bound on each step's absolute reward while training", above=0
    )
    action_clip: bool = setting(True, "clip actions to the action space's bounds")
    var_floor: float = setting(0.0, "smallest variance the normaliser uses", at_least=0)
    ddof: int = setting(1, "1 for the sample deviation in the normaliser, 0 for the population's")
    policy: str = setting("linear", "kind of policy", choices=("linear", "mlp"))
    hidden_sizes: tuple[int, ...] = setting(
        (), "units of each hidden layer (mlp: 64 64)", at_least=1, at_most=LARGE
    )
    activation: str = setting("tanh", "hidden activation (mlp)", choices=tuple(ACTIVATIONS))

    def __post_init__(self) -> None:
        if self.ddof not in (0, 1):
            raise UsageError(f"`ddof` {self.ddof}: must be 0 or 1")
        if self.policy == "linear" and self.hidden_sizes:
            raise UsageError(
                f"`hidden_sizes` {' '.join(map(str, self.hidden_sizes))}: a linear policy has no "
                "hidden layers; add `policy` mlp"
            )
        if self.n_top is not None and self.n_top > self.n_directions:
            raise UsageError(
                f"`n_top` {self.n_top}: must be at most `n_directions` {self.n_directions}"
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


@dataclass(frozen=True)
class Pair:
    """The two episodes of direction `index`."""

    index: int
    plus: Episode
    minus: Episode


class ARS(Algorithm):
    """See the module's text. The update is `_update`."""

    Config = ARSConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = ARS_PRESETS

    def __init__(self, config: ARSConfig, context: TrainingContext) -> None:
        self.config, self.context = config, context
        hidden = config.hidden_sizes or ((64, 64) if config.policy == "mlp" else ())
        self.policy = make_policy(
            config.policy,
            context.observation_space,
            context.action_space,
            hidden_sizes=hidden,
            activation=config.activation,
            clip_actions=config.action_clip,
        )
        spec = self.policy.spec
        if hidden:
            rng = generator(context.seed, Stream.INITIAL_WEIGHTS)
            self.policy.weights = initial_weights(spec, rng)
        self._said: set[str] = set()
        self.normalized = config.variant.startswith("v2")
        self.statistics = RunningMeanStd.zeros(spec.observation.size)
        self.rule = NormalizerRule(ddof=config.ddof, var_floor=config.var_floor)

    @property
    def rollout_spec(self) -> RolloutSpec:
        """See Algorithm."""
        config = self.config
        return RolloutSpec(
            self.context.env_id,
            self.policy.spec,
            dict(self.context.env_kwargs),
            self.context.seed,
            config.delta_std,
            config.shift,
            config.reward_clip,
            config.rollout_length,
            config.common_seeds,  # type: ignore[arg-type]  # checked by its choices
            self.normalized,
            eval_length=config.eval_length,
        )

    def snapshot(self) -> Snapshot:
        """See Algorithm."""
        normalizer = self.statistics.freeze(self.rule) if self.normalized else None
        return Snapshot(self.policy.weights, normalizer)

    def iterate(self, pool: Pool) -> Row:
        """Play both signs of every direction, then update weights and statistics."""
        tasks = [
            Task(Stream.TRAINING, self.iteration, index, sign)
            for index in range(self.config.n_directions)
            for sign in (+1, -1)
        ]
        episodes = pool.collect(pool.submit(self.snapshot(), tasks))
        pairs = self._finite_pairs(tasks, episodes)
        top = best_directions(pairs, self.config.n_used)
        sigma, step_norm = self._update(top)
        self.iteration += 1
        played = [episode for pair in pairs for episode in (pair.plus, pair.minus)]
        for episode in played:
            self.timesteps += episode.length
            if episode.statistics is not None:
                self.statistics.merge(episode.statistics)
        self.episodes += len(played)
        return self._row(played, top, sigma, step_norm)

    def _finite_pairs(self, tasks: Sequence[Task], episodes: Sequence[Episode]) -> list[Pair]:
        """The directions to rank: those with a fault stop the run, or are left out on request."""
        pairs = []
        for index, (plus, minus) in enumerate(zip(episodes[::2], episodes[1::2], strict=True)):
            fault = plus.fault or minus.fault
            if fault is None:
                pairs.append(Pair(index, plus, minus))
                continue
            at_fault = tasks[2 * index + (plus.fault is None)]
            where = f"{describe(self.rollout_spec, at_fault)}: {fault}"
            if self.context.on_nonfinite == "stop":
                raise RolloutError(
                    f"{where}; a new run with `on_nonfinite` exclude leaves such directions out"
                )
            self.context.notify(f"{where}; the direction is left out")
        return pairs

    def _update(self, top: Sequence[Pair]) -> tuple[float, float]:
        """theta += alpha / (b sigma_R) sum (r+ - r-) delta; returns sigma_R and the step's norm."""
        config, theta = self.config, self.policy.weights
        # 1. sigma_R: the population deviation of the 2b returns used.
        sigma = deviation([r for pair in top for r in (pair.plus.score, pair.minus.score)])
        scaled = config.variant != "brs"
        if not top or (scaled and sigma == 0.0):
            self._notify_once(
                "no step where all returns used are equal"
                if top
                else "no step where every direction is left out"
            )
            return sigma, 0.0
        # 2. The sum over the directions used, in the order of their indices.
        gradient = np.zeros_like(theta)
        for pair in top:
            delta = direction(self.context.seed, self.iteration, pair.index, theta.size)
            gradient += (pair.plus.score - pair.minus.score) * delta
        # 3. The step.
        step = (config.step_size / (len(top) * (sigma if scaled else 1.0))) * gradient
        self.policy.weights = theta + step
        return sigma, norm(step.tolist())

    def _notify_once(self, event: str) -> None:
        if event not in self._said:
            self._said.add(event)
            self.context.notify(f"iteration {self.iteration + 1}: {event} (said once)")

    def _row(
        self, played: Sequence[Episode], top: Sequence[Pair], sigma: float, step_norm: float
    ) -> Row:
        best = [e.total_reward for pair in top for e in (pair.plus, pair.minus)]
        return {
            **summarize_returns(
                [episode.total_reward for episode in played],
                [episode.length for episode in played],
            ),
            "return_top_mean": mean(best),
            "sigma_r": sigma,
            "step_norm": step_norm,
            "weight_norm": norm(self.policy.weights.tolist()),
            "excluded": self.config.n_directions - len(played) // 2,
        }

    def start_from(self, policy: Policy) -> None:
        """See Algorithm."""
        given_spec, spec = policy.spec, self.policy.spec
        for name in ("kind", "layer_sizes", "activation", "bias"):
            ours, theirs = getattr(spec, name), getattr(given_spec, name)
            if ours != theirs:
                raise UsageError(f"`init_from`: its policy has {name} {theirs}, this run's {ours}")
        given = policy.normalizer
        if (given is not None) != self.normalized:
            raise UsageError(
                f"`init_from`: its policy acts on {'raw' if given is None else 'normalised'} "
                f"observations, but variant {self.config.variant} does not"
            )
        self.policy.weights = policy.weights
        if given is not None and given.count > given.rule.ddof:
            m2 = given.var * (given.count - given.rule.ddof)
            self.statistics = RunningMeanStd(given.mean.copy(), m2, given.count)

    def state(self) -> State:
        """Counters, weights and statistics: all else is a function of the seed."""
        state = super().state()
        state.arrays["weights"] = self.policy.weights
        state.add("statistics", self.statistics, count="observations")
        return state

    def restore(self, state: State) -> None:
        """Take back a `state`. Raises: ValueError."""
        super().restore(state)
        self.policy.weights = state.array("weights", self.policy.weights.shape)
        state.restore("statistics", self.statistics, count="observations")


def best_directions(pairs: Sequence[Pair], n_top: int) -> list[Pair]:
    """The `n_top` pairs with the largest max(r+, r-), ties to the lower index, in index order."""
    ranked = sorted(pairs, key=lambda pair: (-max(pair.plus.score, pair.minus.score), pair.index))
    return sorted(ranked[:n_top], key=lambda pair: pair.index)
