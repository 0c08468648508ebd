"""Which rollout to play, and with what: the complete input of a rollout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ars.common.seeding import Stream, reset_seed
from envs.objective import NOTHING_KNOWN, ObjectiveSpec
from policies import Normalizer, PolicySpec

CommonSeeds = Literal["none", "pair", "iteration"]


@dataclass(frozen=True, slots=True)
class Task:
    """Which rollout to play.

    Attributes:
        stream: of random numbers; it tells training from evaluations.
        iteration: from 0; in an evaluation 0.
        index: the direction in training, the episode in an evaluation.
        sign: +1 or -1 for a perturbed training rollout, 0 for an evaluation.
        watched: return the statistics of an evaluation's observations too.
    """

    stream: Stream
    iteration: int
    index: int
    sign: int = 0
    watched: bool = False


@dataclass(frozen=True)
class Snapshot:
    """The policy that a request's rollouts share, and what training rewards.

    Attributes:
        weights: the policy's, flat.
        normalizer: frozen.
        delta_std: standard deviation of training's perturbations, of all weights or of each.
        reward_weights: of each term of the reward in training rollouts; None: the true reward.
    """

    weights: NDArray[np.float64]
    normalizer: Normalizer | None = None
    delta_std: float | NDArray[np.float64] = 0.0
    reward_weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class RolloutSpec:
    """What all rollouts of a run share; a worker builds its environment and policy from it."""

    env_id: str
    policy: PolicySpec
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    shift: float = 0.0
    reward_clip: float | None = None
    rollout_length: int = 1000
    common_seeds: CommonSeeds = "none"
    statistics: bool = False
    eval_length: int | None = None  # most steps in an evaluation; None: rollout_length
    compiled: bool = True  # use compiled code if there is any; the results are the same
    stochastic: bool = False  # draw actions from the policy's distribution, else take the best
    objective: ObjectiveSpec = NOTHING_KNOWN
    end_when_down: bool = False  # end training episodes of robots that go on when down


def task_seed(spec: RolloutSpec, task: Task) -> int:
    """The reset seed of a task."""
    if task.stream is not Stream.TRAINING:
        return reset_seed(spec.seed, task.stream, task.index)
    shared = {"none": False, "pair": True, "iteration": True}[spec.common_seeds]
    index = 0 if spec.common_seeds == "iteration" else task.index
    sign = 0 if shared or task.sign > 0 else 1
    return reset_seed(spec.seed, task.stream, task.iteration, index, sign)


def describe(spec: RolloutSpec, task: Task) -> str:
    """The name of a rollout in messages."""
    if task.stream is not Stream.TRAINING:
        return f"{spec.env_id}, evaluation episode {task.index}"
    sign = "+" if task.sign > 0 else "-"
    return f"{spec.env_id}, iteration {task.iteration + 1}, direction {task.index}, sign {sign}"
