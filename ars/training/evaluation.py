"""Policies at work: what an evaluation plays, and the row that sums it up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ars.common.errors import RolloutError, RunError, UsageError
from ars.common.seeding import Stream
from ars.common.statistics import summarize_returns
from ars.rollout.episode import Episode
from ars.rollout.task import Snapshot, Task, describe
from ars.training.given_env import check_given
from policies import Normalizer, PolicyFile, PolicySpec, build_policy
from policies.state import State

if TYPE_CHECKING:
    from ars.algorithms.base import Algorithm
    from ars.rollout.episode import Rollouts
    from ars.training.run_folder import ResolvedPolicy
    from policies import BoxSpec, DiscreteSpec


@dataclass(frozen=True)
class Candidate:
    """A policy as it was at some iteration, to be evaluated and perhaps kept."""

    snapshot: Snapshot
    iteration: int
    timesteps: int

    def state(self) -> State:
        """Everything that `from_state` needs."""
        normalizer = self.snapshot.normalizer
        state = State() if normalizer is None else normalizer.state()
        state.arrays["weights"] = self.snapshot.weights
        state.values |= {"iteration": self.iteration, "timesteps": self.timesteps}
        return state

    @classmethod
    def from_state(cls, state: State, spec: PolicySpec) -> Candidate:
        """The candidate of a policy as `spec` has it. Raises: ValueError."""
        weights = state.array("weights", (spec.n_weights,))
        if not np.isfinite(weights).all():
            raise state.error("weights", "is not finite")
        normalizer = None
        if "rule" in state.values:
            normalizer = Normalizer.from_state(state, spec.observation.size)
        iteration, timesteps = state.count("iteration"), state.count("timesteps")
        return cls(Snapshot(weights, normalizer), iteration, timesteps)


def policy_file(
    algorithm: Algorithm, candidate: Candidate, training: Mapping[str, Any]
) -> PolicyFile:
    """A policy of an algorithm as it is saved.

    `training`: what all policy files of the run say of it, beside iteration and timesteps.
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


def evaluation_row(candidate: Candidate, episodes: Sequence[Episode]) -> dict[str, Any]:
    """What an evaluation found. Raises: RolloutError where an episode was not finite."""
    for index, episode in enumerate(episodes):
        if episode.fault is not None:
            raise RolloutError(
                f"evaluation after iteration {candidate.iteration}, episode {index}: "
                f"{episode.fault}"
            )
    return {
        "iteration": candidate.iteration,
        "timesteps": candidate.timesteps,
        "episodes": len(episodes),
        **summarize_returns(
            [episode.total_reward for episode in episodes],
            [episode.length for episode in episodes],
        ),
    }


# Steps of an episode where neither the training run nor the environment sets a limit.
_LONGEST_EPISODE = 1_000_000


def _warn_on_stderr(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


@contextmanager
def acting(
    found: ResolvedPolicy,
    seed: int | None,
    *,
    stochastic: bool = False,
    warn: Callable[[str], None] = _warn_on_stderr,
    **env_kwargs: Any,
) -> Iterator[Rollouts]:
    """The policy of `found` in its environment, as training's final evaluation has it.

    `seed`: the training run's if None; `stochastic`: actions are drawn from the policy's
    distribution; `warn` takes what should be known; `env_kwargs` are added to the stored ones.
    Raises: RunError where the environment cannot be made or has other spaces than the policy.
    """
    import gymnasium

    from ars.common.errors import one_line
    from ars.rendering.recorder import drawing_hint
    from ars.rollout.episode import Rollouts
    from ars.rollout.task import RolloutSpec
    from envs import UnknownEnvironment, resolve

    file = found.file
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
    try:
        rollouts = Rollouts(spec)
    except UnknownEnvironment:
        raise
    except Exception as error:
        for name in ("width", "height"):
            if isinstance(error, TypeError) and name in env_kwargs and f"'{name}'" in str(error):
                raise UsageError(f"`{name}`: {file.env_id} does not let it be chosen") from None
        drawing = "render_mode" in env_kwargs
        hint = drawing_hint(gymnasium.spec(resolve(file.env_id))) if drawing else ""
        raise RunError(f"{file.env_id}: cannot be made: {one_line(error)}{hint}") from error
    if rollouts.notice is not None:
        warn(rollouts.notice)
    rollouts.policy = file.policy
    try:
        _check_spaces(found, rollouts)
        yield rollouts
    finally:
        # What failed may fail again on closing; the first failure is the one to tell.
        with suppress(Exception):
            rollouts.close()


def evaluate_policy(
    found: ResolvedPolicy,
    episodes: int,
    seed: int | None = None,
    stochastic: bool = False,
    on_episode: Callable[[], None] = lambda: None,
    warn: Callable[[str], None] = _warn_on_stderr,
) -> dict[str, Any]:
    """Run episodes and return what they gave, ready for JSON.

    `return_std` is the population deviation of the episodes' returns (divided by n), as
    Stable-Baselines3's `evaluate_policy` reports it; `seed` is the training run's if None;
    `stochastic` draws actions from the policy's distribution; `on_episode` is called after each.
    Raises: UsageError where it has none; RunError or RolloutError where an episode fails or is
    not finite.
    """
    policy = found.file.policy
    if stochastic and policy.spec.distribution == "none":
        raise UsageError(
            f"`stochastic`: {found.path} has no distribution of actions; it was trained by "
            f"{found.file.training.get('algo', 'ars')}, which always takes the best"
        )
    snapshot = Snapshot(policy.weights, policy.normalizer)
    returns, lengths = [], []
    with acting(found, seed, stochastic=stochastic, warn=warn) as rollouts:
        for index in range(episodes):
            task = Task(Stream.FINAL_EVALUATION, 0, index)
            [episode] = rollouts.run(snapshot, [task])
            if episode.fault is not None:
                raise RunError(f"{describe(rollouts.spec, task)}: {episode.fault}")
            returns.append(episode.total_reward)
            lengths.append(episode.length)
            on_episode()
        seed = rollouts.spec.seed
    return {
        "env_id": found.file.env_id,
        "policy": str(found.path),
        "iteration": found.file.training.get("iteration"),
        "seed": seed,
        "stochastic": stochastic,
        "episodes": episodes,
        **summarize_returns(returns, lengths),
        "returns": returns,
        "lengths": lengths,
    }


def _stored(training: dict[str, Any], name: str, least: int, default: int) -> int:
    value = training.get(name)
    return value if isinstance(value, int) and value >= least else default


def _check_spaces(found: ResolvedPolicy, rollouts: Rollouts) -> None:
    from policies import space_spec

    env, policy = rollouts.env, rollouts.spec.policy
    start = f"{rollouts.spec.env_id}: {found.path} was trained on another version of it: "
    observation = space_spec(env.observation_space, "observation")
    if observation.size != policy.observation.size:
        raise RunError(
            f"{start}it gives observations of {observation.size} numbers, the policy takes "
            f"{policy.observation.size}"
        )
    action = space_spec(env.action_space, "action")
    if action != policy.action:
        raise RunError(
            f"{start}it takes {_words(action)}, the policy gives {_words(policy.action)}"
        )


def _words(action: BoxSpec | DiscreteSpec) -> str:
    from policies import DiscreteSpec

    if isinstance(action, DiscreteSpec):
        return f"actions {action.start} to {action.start + action.n - 1}"
    bounds = "without bounds" if action.low is None else f"from {action.low} to {action.high}"
    return f"{action.dtype} actions of shape {action.shape} {bounds}"
