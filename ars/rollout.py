"""One agent-environment loop, and the pure function from a task to its episode. No Ray here.

A rollout depends on (weights, frozen normaliser, run seed, iteration, direction, sign) and on
nothing else: not on who ran it, nor on what ran before. Everything the toolkit promises about
identical curves, safe retries and exact resume follows from that.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

import envs
from ars.noise import Stream, direction, generator, reset_seed
from policies import BoxSpec, Normalizer, Policy, PolicySpec, RunningMeanStd, build

if TYPE_CHECKING:
    from envs.bullet.fast import FastRunner

CommonSeeds = Literal["none", "pair", "iteration"]


class RolloutError(RuntimeError):
    """A rollout that failed, with what is needed to replay it, on one line."""


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
    """What is broadcast: flat weights and the frozen normaliser."""

    weights: NDArray[np.float64]
    normalizer: Normalizer | None = None


@dataclass(frozen=True)
class RolloutSpec:
    """What every rollout of a run shares; a worker is built from it."""

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
    compiled: bool = True  # play with compiled code where there is some; the results are the same
    stochastic: bool = False  # draw actions from the policy's distribution instead of its best


@dataclass(frozen=True)
class Episode:
    """What a rollout gives back.

    `total_reward`: the environment's return; `score`: the same with each reward clipped and less
    the shift, what training ranks; `statistics`: of the observations acted on; `fault`: set
    where an observation or reward was not finite, and then nothing else counts.
    """

    total_reward: float
    score: float
    length: int
    statistics: RunningMeanStd | None = None
    fault: str | None = None


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
) -> Episode:
    """One episode of at most `max_steps` steps from `env.reset(seed=seed)`.

    `statistics`, if given, takes in every observation acted on and is returned in the episode;
    `rng`, if given, draws every action from the policy's distribution.
    Raises: RolloutError where the environment breaks Gymnasium's interface.
    """
    total = score = 0.0
    obs = _first_observation(env.reset(seed=seed))
    for step in range(max_steps):
        x = policy.flatten(obs)
        # The sum is finite unless an element is not, or for values near 1e308: then look closer.
        if not math.isfinite(np.add.reduce(x)) and not np.isfinite(x).all():
            return Episode(total, score, step, fault=f"observation {step} is not finite")
        if statistics is not None:
            statistics.update(x)
        action = policy.act_flat(x) if rng is None else policy.sample_flat(x, rng)
        result = env.step(action)
        try:
            obs, reward, terminated, truncated, _ = result
            reward = float(reward)
        except (TypeError, ValueError):
            raise RolloutError(
                "env.step returned something else than (observation, number, bool, bool, dict)"
            ) from None
        if not math.isfinite(reward):
            return Episode(total, score, step, fault=f"reward {step} is {reward}")
        total += reward
        if reward_clip is not None:
            reward = max(-reward_clip, min(reward_clip, reward))
        score += reward - shift
        if terminated or truncated:
            return Episode(total, score, step + 1, statistics)
    return Episode(total, score, max_steps, statistics)


def _first_observation(result: Any) -> Any:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RolloutError("env.reset returned something else than (observation, dict)")
    return result[0]


def compiled_rollout(
    runner: FastRunner,
    policy: Policy,
    seed: int,
    max_steps: int,
    *,
    shift: float = 0.0,
    reward_clip: float | None = None,
    statistics: RunningMeanStd | None = None,
) -> Episode:
    """The episode that `rollout` gives, bit for bit, without Python in its steps.

    `statistics`, if given, are empty: `RunningMeanStd.zeros`.
    """
    spec, action, frozen = policy.spec, policy.spec.action, policy.normalizer
    assert isinstance(action, BoxSpec)
    brain = runner.brain(
        policy.network_weights,
        spec.layer_sizes,
        bias=spec.bias,
        activation=spec.activation,
        normalizer=None if frozen is None else (frozen.mean, frozen.std, frozen.rule.clip),
        bounds=(action.low, action.high) if spec.clip_actions else (None, None),
    )
    total, score, length, fault = runner.play(
        brain,
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
    return Episode(total, score, length, statistics)


class Rollouts:
    """Runs tasks one after another in this process: one environment, one policy.

    `notice`: why the environment plays on its own where compiled code was to be expected.
    """

    def __init__(self, spec: RolloutSpec) -> None:
        self.spec = spec
        self.policy = build(spec.policy)
        self.env = envs.make(spec.env_id, **spec.env_kwargs)
        self._runner: FastRunner | None = None
        self.notice: str | None = None
        if spec.compiled and not spec.stochastic and isinstance(spec.policy.action, BoxSpec):
            self._runner, self.notice = envs.accelerate(self.env)

    def run(self, snapshot: Snapshot, tasks: Sequence[Task]) -> list[Episode]:
        """The episodes of `tasks`, in their order.

        Raises: RolloutError naming the environment and the task, whatever the environment raised.
        """
        return [self._run_one(snapshot, task) for task in tasks]

    def _run_one(self, snapshot: Snapshot, task: Task) -> Episode:
        spec, policy = self.spec, self.policy
        policy.normalizer = snapshot.normalizer
        training = task.stream is Stream.TRAINING
        if training:
            delta = direction(spec.seed, task.iteration, task.index, spec.policy.n_weights)
            policy.weights = snapshot.weights + (task.sign * spec.delta_std) * delta
        else:
            policy.weights = snapshot.weights
        collect = training and spec.statistics
        try:
            # A squared deviation may overflow to inf; such a component then normalises to 0.
            with np.errstate(over="ignore", invalid="ignore"):
                runner = self._runner
                # Whoever watches, watches an environment in the place of `env`.
                if runner is not None and runner.env is self.env:
                    play = functools.partial(compiled_rollout, runner)
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
                )
        except Exception as error:
            raise RolloutError(f"{describe(spec, task)}: {one_line(error)}") from error

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


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


def one_line(error: BaseException) -> str:
    """An exception as `Type: message`, on one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, RolloutError) else f"{type(error).__name__}: {text}"


class Pool(Protocol):
    """Where rollouts run. Results never depend on which pool it is."""

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """Hand in tasks; returns a ticket. Does not wait."""

    def collect(self, ticket: int) -> list[Episode]:
        """Wait for a ticket's episodes, in the order of its tasks. Raises: RolloutError."""

    def close(self) -> None:
        """Let go of every process and file; safe to call twice."""


class LocalPool:
    """A Pool in this process: no Ray, no other process, no port.

    on_event: is told if the environment plays on its own where compiled code was to be expected.
    """

    def __init__(
        self, spec: RolloutSpec, on_event: Callable[[str], None] = lambda message: None
    ) -> None:
        self._rollouts = Rollouts(spec)
        if self._rollouts.notice is not None:
            on_event(f"warning: {self._rollouts.notice}")
        self._pending: dict[int, tuple[Snapshot, Sequence[Task]]] = {}
        self._tickets = 0

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        """See Pool; the work is done in `collect`."""
        self._tickets += 1
        self._pending[self._tickets] = snapshot, tasks
        return self._tickets

    def collect(self, ticket: int) -> list[Episode]:
        """See Pool."""
        return self._rollouts.run(*self._pending.pop(ticket))

    def close(self) -> None:
        """See Pool."""
        self._rollouts.close()
