"""The agent-environment loop, and the pure function from a task to its episode.

A rollout depends on (weights, frozen normaliser, run seed, iteration, direction, sign) and on
nothing else: neither on the process that runs it nor on what that ran before. Everything the
toolkit promises about identical curves, safe retries and exact resume follows from that.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

import envs
from ars.common.errors import RolloutError, failures, one_line
from ars.common.host import (
    close_env,
    make_env,
    take_back_at_every_step,
    take_back_files,
    take_back_signals,
)
from ars.common.seeding import Stream, direction, generator
from ars.rollout.interface import first_observation, take_step
from ars.rollout.task import RolloutSpec, Snapshot, Task, describe, task_seed
from envs.objective import Objective
from policies import BoxSpec, Policy, RunningMeanStd, build_policy

if TYPE_CHECKING:
    from envs.bullet.compiled.player import CompiledPlayer


@dataclass(frozen=True)
class Episode:
    """The result of a rollout.

    Attributes:
        total_reward: the sum of the environment's rewards.
        score: the sum of the rewards, each clipped and less the shift; training ranks by it.
        length: steps.
        statistics: of the observations acted on, if they were requested.
        fault: which observation or reward was not finite; the other attributes are then invalid.
        terms: the sum of each term of the reward, without weights.
        measures: what else was counted, by name.
    """

    total_reward: float
    score: float
    length: int
    statistics: RunningMeanStd | None = None
    fault: str | None = None
    terms: tuple[float, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)


def rollout(
    env: gymnasium.Env[Any, Any],
    policy: Policy,
    seed: int,
    max_steps: int,
    *,
    shift: float = 0.0,
    reward_clip: float | None = None,
    statistics: RunningMeanStd | None = None,
    rng: np.random.Generator | None = None,
    objective: Objective | None = None,
) -> Episode:
    """Play one episode from `env.reset(seed=seed)`.

    Args:
        env: the environment, whose own time limit applies as well.
        policy: chooses the actions.
        seed: for the reset.
        max_steps: the most steps.
        shift: subtracted from each reward in the score.
        reward_clip: bound on each absolute reward in the score.
        statistics: takes in every observation acted on and is returned in the episode.
        rng: draws every action from the policy's distribution; None for the deterministic action.
        objective: weighs the reward in the score; counts terms and measures.

    Raises:
        RolloutError: the environment breaks Gymnasium's interface.
    """
    total = score = 0.0
    obs, info = first_observation(env.reset(seed=seed))
    weigh = None
    if objective is not None:
        objective.begin(info)
        weigh = objective.weigh if objective.in_info else None
    for step in range(max_steps):
        x = policy.flatten(obs)
        # A cheap test first: the sum is finite unless an element is not, or it overflows.
        if not math.isfinite(np.add.reduce(x)) and not np.isfinite(x).all():
            return Episode(total, score, step, fault=f"observation {step} is not finite")
        if statistics is not None:
            statistics.update(x)
        action = policy.act_flat(x) if rng is None else policy.sample_flat(x, rng)
        obs, reward, terminated, truncated, info = take_step(env, action)
        if not math.isfinite(reward):
            return Episode(total, score, step, fault=f"reward {step} is {reward}")
        total += reward
        if weigh is not None:
            reward = weigh(reward, info)
        if reward_clip is not None:
            reward = max(-reward_clip, min(reward_clip, reward))
        score += reward - shift
        if terminated or truncated:
            return _ended(Episode(total, score, step + 1, statistics), objective, info)
    return _ended(Episode(total, score, max_steps, statistics), objective, info)


def _ended(episode: Episode, objective: Objective | None, info: Any = None) -> Episode:
    """An episode with what its objective has counted; `info`: of the last step, where it is known.

    Where rewards were weighed, the true return is the sum of the terms, if they add up to it.
    """
    if objective is not None:
        tally = objective.end(info)
        total = episode.total_reward
        if objective.weighs:
            total = tally.true_return(total)
        episode = replace(episode, total_reward=total, terms=tally.terms, measures=tally.measures)
    if math.isfinite(episode.total_reward) and math.isfinite(episode.score):
        return episode
    return replace(episode, fault="the sum of its rewards is too large for a float")


def compiled_rollout(
    player: CompiledPlayer,
    policy: Policy,
    seed: int,
    max_steps: int,
    *,
    shift: float = 0.0,
    reward_clip: float | None = None,
    statistics: RunningMeanStd | None = None,
    objective: Objective | None = None,
) -> Episode:
    """Play the same episode as `rollout`, bit for bit, in compiled code.

    The arguments are those of `rollout`; `statistics` must be empty (`RunningMeanStd.zeros`), the
    policy's class must set `compiled_layers`, and the player must know its activation.
    """
    spec, action, frozen = policy.spec, policy.spec.action, policy.normalizer
    assert isinstance(action, BoxSpec)
    compiled = player.lay_out_policy(
        policy.network_weights,
        spec.layer_sizes,
        bias=spec.bias,
        activation=spec.activation,
        normalizer=None if frozen is None else (frozen.mean, frozen.std, frozen.rule.clip),
        bounds=(action.low, action.high) if spec.clip_actions else (None, None),
    )
    total, score, length, fault = player.play(
        compiled,
        seed,
        max_steps,
        shift=shift,
        reward_clip=reward_clip,
        statistics=None if statistics is None else (statistics.mean, statistics.m2),
    )
    if fault is not None:
        return Episode(total, score, length, fault=fault)
    if statistics is not None:
        statistics.count = length
    return _ended(Episode(total, score, length, statistics), objective)


class Rollouts:
    """Runs tasks one after another in this process, with one environment and one policy.

    Attributes:
        notice: why the environment cannot use its compiled code; None if it can, or has none.
    """

    def __init__(self, spec: RolloutSpec) -> None:
        self.spec = spec
        self.policy = build_policy(spec.policy)
        self.env = make_env(spec.env_id, spec.env_kwargs)
        self._player: CompiledPlayer | None = None
        self.notice: str | None = None
        layers = vars(type(self.policy)).get("compiled_layers", False)  # not inherited
        deterministic_box = isinstance(spec.policy.action, BoxSpec) and not spec.stochastic
        scaled = spec.policy.action_scale is not None  # which compiled code does not do
        if spec.compiled and layers and deterministic_box and not scaled:
            player, self.notice = envs.accelerate(self.env)
            if player is not None and spec.policy.activation in player.activations:
                self._player = player

    def run(self, snapshot: Snapshot, tasks: Sequence[Task]) -> list[Episode]:
        """The episodes of `tasks`, in their order.

        Raises:
            RolloutError: a rollout raised; the message names the environment and the task.
        """
        return [self._run_one(snapshot, task) for task in tasks]

    def _run_one(self, snapshot: Snapshot, task: Task) -> Episode:
        spec, policy = self.spec, self.policy
        policy.normalizer = snapshot.normalizer
        training = task.stream is Stream.TRAINING
        if training:
            delta = direction(spec.seed, task.iteration, task.index, spec.policy.n_weights)
            policy.weights = snapshot.weights + (task.sign * snapshot.delta_std) * delta
        else:
            policy.weights = snapshot.weights
        collect = spec.statistics if training else task.watched
        objective = Objective(self.env, spec.objective)
        try:
            if training:
                objective.weigh_by(snapshot.reward_weights, spec.end_when_down)
            else:
                objective.weigh_by(None)
            # A squared deviation may overflow to inf; such a component then normalises to 0.
            with np.errstate(over="ignore", invalid="ignore"):
                player = self._player
                # A camera or a window may have wrapped `env` since.
                if player is not None and player.env is self.env:
                    play = functools.partial(compiled_rollout, player)
                else:
                    draws = generator(spec.seed, Stream.ACTIONS, task.stream, task.index)
                    play = functools.partial(
                        rollout, self.env, rng=draws if spec.stochastic else None
                    )
                return play(
                    policy,
                    task_seed(spec, task),
                    spec.rollout_length if training else spec.eval_length or spec.rollout_length,
                    shift=spec.shift if training else 0.0,
                    reward_clip=spec.reward_clip if training else None,
                    statistics=RunningMeanStd.zeros(spec.policy.observation.size)
                    if collect
                    else None,
                    objective=objective,
                )
        except failures() as error:
            raise RolloutError(f"{describe(spec, task)}: {one_line(error)}") from error
        finally:
            take_back_files()
            if take_back_signals():
                take_back_at_every_step(self.env)

    def close(self) -> None:
        """Close the environment; what fails in that is a warning."""
        close_env(self.env, self.spec.env_id)
