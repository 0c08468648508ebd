"""Which rollout to play, and with what: the whole input of the pure function in `episode`."""

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
    """Which rollout: `sign` is +1 or -1 for a perturbed training rollout, 0 for an evaluation.

    `index` is the direction in training and the episode in an evaluation.
    """

    stream: Stream
    iteration: int
    index: int
    sign: int = 0


@dataclass(frozen=True)
class Snapshot:
    """What a request's rollouts start from.

    Attributes:
        weights: the policy's, flat.
        normalizer: frozen.
        reward_weights: of each term of the reward in training's rollouts; None: the true reward.
    """

    weights: NDArray[np.float64]
    normalizer: Normalizer | None = None
    reward_weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class RolloutSpec:
    """What all rollouts of a run share; a worker builds its environment and policy from it."""

    env_id: str
    policy: PolicySpec
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    delta_std: float = 0.0
    shift: float = 0.0
    reward_clip: float | None = None
    rollout_length: int = 1000
    common_seeds: CommonSeeds = "none"
    statistics: bool = False
    eval_length: int | None = None  # most steps in an evaluation; None: rollout_length
    compiled: bool = True  # play with compiled code if there is any; the results are the same
    stochastic: bool = False  # draw actions from the policy's distribution instead of its best
    objective: ObjectiveSpec = NOTHING_KNOWN
    end_when_down: bool = False  # end training's episodes of robots that go on when down


def task_seed(spec: RolloutSpec, task: Task) -> int:
    """The reset seed of a task."""
    if task.stream is not Stream.TRAINING:
        return reset_seed(spec.seed, task.stream, task.index)
    shared = {"none": False, "pair": True, "iteration": True}[spec.common_seeds]
    index = 0 if spec.common_seeds == "iteration" else task.index
    sign = 0 if shared or task.sign > 0 else 1
    return reset_seed(spec.seed, task.stream, task.iteration, index, sign)


def describe(spec: RolloutSpec, task: Task) -> str:
    """Name a rollout in words for a message."""
    if task.stream is not Stream.TRAINING:
        return f"{spec.env_id}, evaluation episode {task.index}"
    sign = "+" if task.sign > 0 else "-"
    return f"{spec.env_id}, iteration {task.iteration}, direction {task.index}, sign {sign}"
