"""Evaluations: running a policy's episodes, and the row that summarises them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium

from ars.algorithms.base import Algorithm, TrainingContext
from ars.common.errors import RolloutError, RunError, UsageError, failures, one_line
from ars.common.host import hosting
from ars.common.seeding import Stream
from ars.common.settings import counted
from ars.common.statistics import summarize_objective, summarize_returns
from ars.rollout.episode import Episode, Rollouts
from ars.rollout.task import RolloutSpec, Snapshot, Task, describe
from ars.training.given_env import check_given
from ars.training.repetition import Played, difference
from ars.training.run_folder import ResolvedPolicy
from envs import UnknownEnvironment, WrongOptions, recompiled, resolve
from envs.drawing.possible import drawing_hint, registered_spec
from envs.objective import Objective, ObjectiveSpec
from envs.time_limit import time_limit
from policies import (
    BoxSpec,
    DiscreteSpec,
    Normalizer,
    PolicyFile,
    build_policy,
    observation_spec,
    space_spec,
)
from policies.state import State


@dataclass(frozen=True)
class Candidate:
    """A policy after some iteration, to be evaluated and perhaps kept as the best."""

    snapshot: Snapshot
    iteration: int
    timesteps: int

    @classmethod
    def of(cls, algorithm: Algorithm) -> Candidate:
        """The policy that an algorithm has now."""
        return cls(algorithm.snapshot(), algorithm.iteration, algorithm.timesteps)

    def state(self) -> State:
        """Everything that `from_state` needs."""
        normalizer = self.snapshot.normalizer
        state = State() if normalizer is None else normalizer.state()
        state.arrays["weights"] = self.snapshot.weights
        state.values |= {"iteration": self.iteration, "timesteps": self.timesteps}
        return state

    @classmethod
    def from_state(cls, state: State, algorithm: Algorithm) -> Candidate:
        """Restore a policy that an algorithm has, or had earlier. Raises: ValueError."""
        spec, ours = algorithm.policy.spec, algorithm.snapshot().normalizer
        weights = state.array("weights", (spec.n_weights,))
        normalizer = None
        if ours is not None:
            normalizer = Normalizer.from_state(state, spec.observation.size)
            if normalizer.rule != ours.rule:
                raise state.error("rule", f"{normalizer.rule}, that of the run is {ours.rule}")
        iteration = state.count("iteration", at_most=algorithm.iteration)
        timesteps = state.count("timesteps", at_most=algorithm.timesteps)
        return cls(Snapshot(weights, normalizer), iteration, timesteps)


def policy_file(
    algorithm: Algorithm, candidate: Candidate, training: Mapping[str, Any]
) -> PolicyFile:
    """The policy file of one of an algorithm's policies.

    Args:
        algorithm: what learned it.
        candidate: the policy.
        training: what all policy files of the run say about their training.
    """
    policy, spec = build_policy(algorithm.policy.spec), algorithm.rollout_spec
    policy.weights = candidate.snapshot.weights
    policy.normalizer = candidate.snapshot.normalizer
    about = {
        **training,
        "seed": spec.seed,
        "rollout_length": spec.rollout_length,
        "eval_length": spec.eval_length or spec.rollout_length,
        "iteration": candidate.iteration,
        "timesteps": candidate.timesteps,
    }
    return PolicyFile(policy, spec.env_id, spec.env_kwargs, about)


def finite_episodes(
    what: str, episodes: Sequence[Episode], context: TrainingContext
) -> list[Episode]:
    """The episodes of an evaluation that count: all, or those left if the run leaves faults out.

    Args:
        what: the evaluation, in words.
        episodes: of it.
        context: of the run.

    Raises:
        RolloutError: an episode was not finite, and the run stops then; or all of them were not.
    """
    finite = [episode for episode in episodes if episode.fault is None]
    for index, episode in enumerate(episodes):
        if episode.fault is not None:
            line = f"{what}, episode {index}: {episode.fault}"
            if context.on_nonfinite == "stop" or not finite:
                raise RolloutError(line)
            context.notify(f"{line}; the episode is left out")
    return finite


def evaluation_row(candidate: Candidate, episodes: Sequence[Episode]) -> dict[str, Any]:
    """An evaluation's row, of finite episodes."""
    return {
        "iteration": candidate.iteration,
        "timesteps": candidate.timesteps,
        "episodes": len(episodes),
        **summarize_returns(
            [episode.total_reward for episode in episodes],
            [episode.length for episode in episodes],
        ),
    }


def speed(row: Mapping[str, Any], step_seconds: float | None) -> dict[str, float]:
    """Return the column of metres a second, if metres and the time of a step are known.

    Args:
        row: has `metres_mean` and `length_mean`.
        step_seconds: as in `envs.objective.ObjectiveSpec`.
    """
    if step_seconds is None or "metres_mean" not in row or not row["length_mean"] > 0:
        return {}
    return {"metres_per_second": row["metres_mean"] / (row["length_mean"] * step_seconds)}


def outcome(
    algorithm: Algorithm, candidate: Candidate, episodes: Sequence[Episode]
) -> dict[str, Any]:
    """What result.json says of a run that has ended, and of its final evaluation.

    Args:
        algorithm: as it is at the end.
        candidate: the policy evaluated.
        episodes: of the final evaluation, finite.
    """
    objective = algorithm.rollout_spec.objective
    means = summarize_objective(objective, episodes)  # of what no episode says NaN, not for JSON
    known = {name: value for name, value in means.items() if not math.isnan(value)}
    final = {**evaluation_row(candidate, episodes), **known}
    return {
        "iterations": algorithm.iteration,
        "timesteps": algorithm.timesteps,
        "episodes": algorithm.episodes,
        "final_evaluation": {**final, **speed(final, objective.step_seconds)},
    }


# Of so many episodes the first is played again, to see whether the environment repeats itself.
_MANY = 50

# The most steps of an episode where neither the training run nor the environment sets a limit.
_LONGEST_EPISODE = 1_000_000


def _warn_on_stderr(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


@contextmanager
def acting(
    resolved: ResolvedPolicy,
    seed: int | None,
    *,
    stochastic: bool = False,
    warn: Callable[[str], None] = _warn_on_stderr,
    **env_kwargs: Any,
) -> Iterator[Rollouts]:
    """Open a policy's environment, set up as in training's final evaluation.

    Args:
        resolved: the policy.
        seed: of the episodes; None: the training run's.
        stochastic: draw actions from the policy's distribution.
        warn: called with a warning for the user.
        **env_kwargs: added to those stored with the policy.

    Raises:
        UsageError, WrongOptions: the environment does not take `width` or `height`, or its
            arguments.
        RunError: the environment cannot be made, or its spaces are not the policy's.
    """
    with (
        hosting(warn),
        closing(_open(resolved, seed, stochastic, warn, env_kwargs)) as rollouts,
    ):
        check_spaces(resolved, rollouts.env)
        limit, length = time_limit(rollouts.env), rollouts.spec.rollout_length
        if limit is not None and length < limit:
            warn(
                f"episodes are cut at {length:,} steps, as in the evaluations of training; the "
                f"environment's own limit is {limit:,}"
            )
        yield rollouts


def _open(
    resolved: ResolvedPolicy,
    seed: int | None,
    stochastic: bool,
    warn: Callable[[str], None],
    env_kwargs: Mapping[str, Any],
) -> Rollouts:
    file = resolved.file
    check_given(file.env_id)
    length = "eval_length" if "eval_length" in file.training else "rollout_length"
    spec = RolloutSpec(
        env_id=file.env_id,
        policy=file.policy.spec,
        env_kwargs={**file.env_kwargs, **env_kwargs},
        seed=_stored(file.training, "seed", 0, 0) if seed is None else seed,
        rollout_length=_stored(file.training, length, 1, _LONGEST_EPISODE),
        stochastic=stochastic,
    )
    if (why := recompiled(file.env_id)) is not None:
        warn(why)
    with making(file.env_id, env_kwargs):
        rollouts = Rollouts(spec)
    if rollouts.notice is not None:
        warn(rollouts.notice)
    rollouts.policy = file.policy
    return rollouts


@contextmanager
def making(env_id: str, env_kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Turn what an environment raises while it is made into errors of one line.

    Args:
        env_id: its id.
        env_kwargs: the arguments that it gets beside those of its training.

    Raises:
        UsageError, WrongOptions, UnknownEnvironment: it does not take its arguments.
        RunError: it fails.
    """
    try:
        yield
    except (UnknownEnvironment, WrongOptions):
        raise
    except failures() as error:
        for name in ("width", "height"):
            if isinstance(error, TypeError) and name in env_kwargs and f"'{name}'" in str(error):
                raise UsageError(f"`{name}`: {env_id} does not let it be chosen") from None
        hint = ""
        if "render_mode" in env_kwargs:
            hint = drawing_hint(registered_spec(resolve(env_id)), error)
        raise RunError(f"{env_id}: cannot be made: {one_line(error)}{hint}") from error


def check_evaluable(resolved: ResolvedPolicy, stochastic: bool = False) -> None:
    """Check that a policy can be evaluated, as far as is known before its environment is made.

    Args:
        resolved: the policy; the module that it may name is imported.
        stochastic: as for `evaluate_policy`.

    Raises:
        UsageError: `stochastic`, and the policy has no distribution; or its environment was given
            from Python, and is not here.
        envs.UnknownEnvironment: there is none of this name.
    """
    if stochastic and resolved.file.policy.spec.distribution == "none":
        raise UsageError(
            f"`stochastic`: {resolved.name} has no distribution of actions; it was trained by "
            f"{resolved.file.training.get('algo', 'ars')}, which always takes the best"
        )
    check_given(resolved.file.env_id)
    resolve(resolved.file.env_id)


def evaluate_policy(
    resolved: ResolvedPolicy,
    episodes: int,
    seed: int | None = None,
    stochastic: bool = False,
    on_episode: Callable[[], None] = lambda: None,
    warn: Callable[[str], None] = _warn_on_stderr,
) -> dict[str, Any]:
    """Run a policy's episodes.

    Args:
        resolved: the policy.
        episodes: how many.
        seed: of the episodes; None: the training run's.
        stochastic: draw actions from the policy's distribution.
        on_episode: called after each episode.
        warn: called with a warning for the user.

    Returns:
        What was evaluated, its returns and lengths and their summary, ready for JSON. `return_std`
        is the population deviation of the returns (divided by n), as Stable-Baselines3's
        `evaluate_policy` reports it.

    Raises:
        UsageError, envs.UnknownEnvironment: as for `check_evaluable`.
        RunError, RolloutError: an episode fails or is not finite.
    """
    check_evaluable(resolved, stochastic)
    policy = resolved.file.policy
    snapshot = Snapshot(policy.weights, policy.normalizer)
    played = []
    with acting(resolved, seed, stochastic=stochastic, warn=warn) as rollouts:
        for index in range(episodes):
            task = Task(Stream.FINAL_EVALUATION, 0, index)
            [episode] = rollouts.run(snapshot, [task])
            if episode.fault is not None:
                raise RunError(f"{describe(rollouts.spec, task)}: {episode.fault}")
            played.append(episode)
            on_episode()
        if episodes >= _MANY:
            [again] = rollouts.run(snapshot, [Task(Stream.FINAL_EVALUATION, 0, 0)])
            found = difference(rollouts.spec.env_id, Played.of(played[0]), Played.of(again))
            if found is not None:
                warn(found)
        seed = rollouts.spec.seed
        step_seconds = Objective(rollouts.env).describe().step_seconds
        n_cut = sum(episode.length >= rollouts.spec.rollout_length for episode in played)
        if n_cut and time_limit(rollouts.env) is None:
            warn(
                f"{resolved.file.env_id} has no time limit of its own: {n_cut:,} of "
                f"{counted(episodes, 'episode')} cut at {rollouts.spec.rollout_length:,} steps, as "
                "in training"
            )
    returns, lengths = [e.total_reward for e in played], [e.length for e in played]
    names = tuple(dict.fromkeys(name for episode in played for name in episode.measures))
    measured = {name: [episode.measures.get(name) for episode in played] for name in names}
    row = summarize_returns(returns, lengths)
    row |= summarize_objective(ObjectiveSpec(measures=names), played)
    return {
        "env_id": resolved.file.env_id,
        "policy": resolved.name,
        "iteration": resolved.file.training.get("iteration"),
        "seed": seed,
        "stochastic": stochastic,
        "episodes": episodes,
        **row,
        **speed(row, step_seconds),
        "returns": returns,
        "lengths": lengths,
        **measured,
    }


def _stored(training: dict[str, Any], name: str, least: int, default: int) -> int:
    value = training.get(name)
    return value if isinstance(value, int) and value >= least else default


def check_spaces(resolved: ResolvedPolicy, env: gymnasium.Env[Any, Any]) -> None:
    """Raises: RunError where an environment's spaces are not those of a policy."""
    policy, env_id = resolved.file.policy.spec, resolved.file.env_id
    start = f"{env_id}: {resolved.name} was trained on another version of it: "
    observation = observation_spec(env.observation_space)
    if observation.size != policy.observation.size:
        raise RunError(
            f"{start}it gives observations of {observation.size} numbers, the policy takes "
            f"{policy.observation.size}"
        )
    action = space_spec(env.action_space, "action")
    if action != policy.action:
        raise RunError(
            f"{start}it takes {_describe(action)}, the policy gives {_describe(policy.action)}"
        )


def _describe(action: BoxSpec | DiscreteSpec) -> str:
    if isinstance(action, DiscreteSpec):
        return f"actions {action.start} to {action.start + action.n - 1}"
    bounds = "without bounds" if action.low is None else f"from {action.low} to {action.high}"
    return f"{action.dtype} actions of shape {action.shape} {bounds}"
