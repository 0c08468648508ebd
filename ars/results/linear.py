"""What a linear policy is: its weights, and what it loses without each of them or of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from ars.common.errors import RunError, UsageError
from ars.common.seeding import Stream
from ars.common.settings import counted
from ars.common.statistics import mean
from ars.common.words import digits
from ars.results.aggregates import Array
from ars.results.stored_run import Notify
from ars.rollout.episode import Rollouts
from ars.rollout.task import Snapshot, Task, describe
from ars.training.evaluation import acting
from ars.training.run_folder import ResolvedPolicy
from envs.clock import OPTION, frequencies_in
from envs.naming import SpaceNames, space_names

MOST_INPUTS = 400  # of a heat map that can still be read


@dataclass(frozen=True)
class LinearWeights:
    """The weights of a linear policy.

    Attributes:
        env_id: its environment.
        names: of its inputs and outputs.
        matrix: float64 [n_out, n_in].
        bias: float64 [n_out]; None without one.
        normalized: whether inputs are normalised, so that a weight counts for one deviation.
    """

    env_id: str
    names: SpaceNames
    matrix: Array
    bias: Array | None
    normalized: bool


@dataclass(frozen=True)
class Losses:
    """What the mean return falls by if something is switched off; the episodes' seeds are equal.

    Attributes:
        return_mean: of the policy as it is.
        episodes: over how many.
        inputs: without each input, float64 [n_in]: at its mean, or 0 if it is not normalised.
        weights: without each weight, float64 [n_out, n_in]; None if it was not asked for.
    """

    return_mean: float
    episodes: int
    inputs: Array
    weights: Array | None


def linear_weights(resolved: ResolvedPolicy) -> LinearWeights:
    """The weights of a policy. Raises: UsageError if it is not linear, or too large to show."""
    policy, spec = resolved.file.policy, resolved.file.policy.spec
    if spec.kind != "linear":
        raise UsageError(
            f"`run` {resolved.name}: a policy of kind {spec.kind}; `weights` shows linear ones"
        )
    n_in, n_out = spec.observation.size, spec.action.size
    if max(n_in, n_out) > MOST_INPUTS:
        raise UsageError(
            f"`run` {resolved.name}: {n_in:,} inputs and {n_out:,} outputs; `weights` shows at "
            f"most {MOST_INPUTS} of each"
        )
    flat, size = policy.network_weights, n_in * n_out
    file = resolved.file
    clock = frequencies_in(file.env_kwargs.get(OPTION, []))
    return LinearWeights(
        file.env_id,
        space_names(file.env_id, n_in, n_out, clock),
        flat[:size].reshape(n_out, n_in).copy(),
        flat[size:].copy() if spec.bias else None,
        policy.normalizer is not None,
    )


def find_losses(
    resolved: ResolvedPolicy,
    weights: LinearWeights,
    episodes: int,
    each_weight: bool,
    notify: Notify,
    on_evaluation: Callable[[int], None] = lambda total: None,
) -> Losses:
    """Play the same episodes with each input, and perhaps each weight, switched off in turn.

    Args:
        resolved: the policy.
        weights: its weights.
        episodes: how many, with the seeds of training's final evaluation.
        each_weight: also without each weight alone.
        notify: told what is not as expected of the environment.
        on_evaluation: called after the episodes of each, with how many such there will be.

    Raises:
        RunError, RolloutError: an episode fails or is not finite.
    """
    n_out, n_in = weights.matrix.shape
    variants = list(_variants(n_out, n_in, each_weight))
    flat, normalizer = resolved.file.policy.weights, resolved.file.policy.normalizer
    returns = []
    own = replace(resolved, file=deepcopy(resolved.file))  # its weights are changed
    with acting(own, None, warn=notify) as rollouts:
        for off in variants:
            changed = flat.copy()
            changed[: n_out * n_in].reshape(n_out, n_in)[off] = 0.0
            returns.append(_return(rollouts, Snapshot(changed, normalizer), episodes))
            on_evaluation(len(variants))
    lost = returns[0] - np.array(returns[1:])
    alone = lost[n_in:].reshape(n_out, n_in) if each_weight else None
    return Losses(returns[0], episodes, lost[:n_in], alone)


def carriers(weights: LinearWeights, losses: Losses, most: int = 5) -> str:
    """The inputs that a policy loses most without, in words."""
    order = np.argsort(-losses.inputs, kind="stable")[:most].tolist()
    parts = [
        f"{weights.names.observation[index]} ({digits(float(losses.inputs[index]))})"
        for index in order
        if losses.inputs[index] > 0
    ]
    return (
        f"mean return {digits(losses.return_mean)} over {counted(losses.episodes, 'episode')}; "
        f"it loses most without {', '.join(parts)}"
        if parts
        else f"mean return {digits(losses.return_mean)}; it loses nothing without any one input"
    )


def _variants(
    n_out: int, n_in: int, each_weight: bool
) -> Iterator[tuple[slice | int, slice | int]]:
    """What is switched off: nothing, each column, each element."""
    yield slice(0), slice(0)
    yield from ((slice(None), column) for column in range(n_in))
    if each_weight:
        yield from ((row, column) for row in range(n_out) for column in range(n_in))


def _return(rollouts: Rollouts, snapshot: Snapshot, episodes: int) -> float:
    returns = []
    for index in range(episodes):
        task = Task(Stream.FINAL_EVALUATION, 0, index)
        [episode] = rollouts.run(snapshot, [task])
        if episode.fault is not None:
            raise RunError(f"{describe(rollouts.spec, task)}: {episode.fault}")
        returns.append(episode.total_reward)
    return mean(returns)
