"""ARS with one change to its update, for `scripts/update_rules.py`.

These are not resumed, so that what they remember is not in their states; and orthogonal directions
and several episodes change how rollouts are drawn in the process, so that they need `n_workers` 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.ars import ARS, ARSConfig
from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.pgpe import centred_ranks
from ars.common.seeding import direction
from ars.common.statistics import mean, norm
from ars.rollout import episode as rollouts
from ars.rollout.episode import Episode
from ars.rollout.pool import Pool
from ars.rollout.task import Snapshot, Task

Array = NDArray[np.float64]


def play_with(noise: Callable[[int, int, int, int], Array]) -> None:
    """Let rollouts in this process draw their directions by a function of the same arguments."""
    rollouts.direction = noise  # type: ignore[assignment,attr-defined]


class Adam(ARS):
    """Steps by Adam (Kingma and Ba, 2015), at most about as long as ARS's own."""

    def __init__(self, config: ARSConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self._first = np.zeros_like(self.policy.weights)
        self._second = np.zeros_like(self.policy.weights)

    def _take(self, step: Array) -> float:
        self._first = 0.9 * self._first + 0.1 * step
        self._second = 0.999 * self._second + 0.001 * step * step
        t = self.iteration + 1
        first, second = self._first / (1 - 0.9**t), self._second / (1 - 0.999**t)
        return super()._take(0.5 * self.config.step_size * first / (np.sqrt(second) + 1e-12))


class ClipUp(ARS):
    """Steps by ClipUp (Toklu et al., 2020), at most about as long as ARS's own."""

    def __init__(self, config: ARSConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self._velocity = np.zeros_like(self.policy.weights)

    def _take(self, step: Array) -> float:
        fastest = 0.5 * self.config.step_size * np.sqrt(step.size)
        length = norm(step.tolist())
        self._velocity = 0.9 * self._velocity + step * (0.5 * fastest / length if length else 0.0)
        speed = norm(self._velocity.tolist())
        if speed > fastest:
            self._velocity *= fastest / speed
        return super()._take(self._velocity)


class CentredRanks(ARS):
    """Returns as centred ranks, in the sum and in sigma_R."""

    def _move(self, scored: list[int], scores: Array) -> tuple[list[int], Row]:
        ranks = np.full_like(scores, np.nan)
        ranks[scored] = centred_ranks(scores[scored])
        return super()._move(scored, ranks)


class WeightDecay(ARS):
    """Every iteration takes half a percent off the weights."""

    def _take(self, step: Array) -> float:
        return super()._take(step - 0.005 * self.policy.weights)


class FallingNoise(ARS):
    """The noise falls with the step size's schedule, down to a tenth."""

    @property
    def delta_std(self) -> float:
        """Standard deviation of the exploration noise (nu)."""
        return self.config.delta_std * max(0.1, self.remaining)


class Orthogonal(ARS):
    """Directions are made orthogonal in the order of their indices, as many as there are weights.

    Their lengths stay, so that the variance of a perturbation does.
    """

    def __init__(self, config: ARSConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self._drawn = lru_cache(maxsize=2)(self._draw)
        play_with(lambda seed, iteration, index, size: self._drawn(iteration)[index])

    def _direction(self, index: int) -> Array:
        return self._drawn(self.iteration)[index]

    def _draw(self, iteration: int) -> list[Array]:
        """The directions of an iteration, by Gram and Schmidt."""
        size, found = self.policy.spec.n_weights, list[Array]()
        for index in range(self.config.n_directions):
            delta = direction(self.context.seed, iteration, index, size)
            length = norm(delta.tolist())
            for other in found[index // size * size :]:
                delta = delta - other * (float(delta @ other) / float(other @ other))
            found.append(delta * (length / norm(delta.tolist())))
        return found


class TwoEpisodes(ARS):
    """Two episodes, of resets of their own, for each sign of a direction; their mean counts."""

    def __init__(self, config: ARSConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        play_with(lambda seed, iteration, *rest: direction(seed, iteration // 2, *rest))

    def iterate(self, pool: Pool) -> Row:
        """Play every direction, then update weights and statistics."""
        return super().iterate(_Twice(pool))


class _Twice(Pool):
    """Plays each task as two, told apart by their iterations, 2j and 2j + 1."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def submit(self, snapshot: Snapshot, tasks: Sequence[Task]) -> int:
        at = [replace(task, iteration=2 * task.iteration + i) for task in tasks for i in (0, 1)]
        return self._pool.submit(snapshot, at)

    def collect(self, request: int) -> list[Episode]:
        episodes = self._pool.collect(request)
        return [_together(*pair) for pair in zip(episodes[::2], episodes[1::2], strict=True)]

    def abandon(self) -> None:
        self._pool.abandon()

    def close(self) -> None:
        self._pool.close()


def _together(one: Episode, other: Episode) -> Episode:
    """Two episodes as one: sums of lengths, means of the rest."""
    if one.fault or other.fault:
        return replace(one, fault=one.fault or other.fault)
    statistics = one.statistics
    if statistics is not None and other.statistics is not None:
        statistics.merge(other.statistics)
    return Episode(
        mean([one.total_reward, other.total_reward]),
        mean([one.score, other.score]),
        one.length + other.length,
        statistics,
        None,
        tuple(mean(list(pair)) for pair in zip(one.terms, other.terms, strict=True)),
        {name: mean([one.measures[name], other.measures[name]]) for name in one.measures},
    )
