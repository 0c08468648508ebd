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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Record, Row
from ars.algorithms.parameter_search import ParameterSearch, SearchConfig
from ars.algorithms.schedules import Scheduled, horizon_setting, schedule_setting
from ars.common.errors import UsageError
from ars.common.settings import setting
from ars.common.statistics import deviation

VARIANTS = ("brs", "v1", "v1-t", "v2", "v2-t")


@dataclass(frozen=True)
class ARSConfig(SearchConfig):
    """Settings of Augmented Random Search, in the paper's terms."""

    variant: str = setting(
        "v2-t", "which algorithm of the paper", choices=VARIANTS, depends_on=("n_top",)
    )
    n_top: int | None = setting(
        None,
        "best directions used (b); half of N in the -t variants, else all",
        at_least=1,
        at_most="n_directions",
        depends_on=("n_directions", "variant"),
    )
    step_size: float = setting(0.02, "step size (alpha)", above=0)
    step_size_schedule: str = schedule_setting()
    horizon: int | None = horizon_setting()
    delta_std: float = setting(0.03, "standard deviation of the exploration noise (nu)", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_top not in (None, self.n_directions) and not self.variant.endswith("-t"):
            raise UsageError(
                f"`n_top` {self.n_top}: variant {self.variant} uses all {self.n_directions} "
                "directions; choose v1-t or v2-t to use the best only"
            )

    @property
    def normalizes(self) -> bool:
        """Whether the variant does."""
        return self.variant.startswith("v2")

    @property
    def n_used(self) -> int:
        """Directions in the update (b)."""
        if self.n_top is not None:
            return self.n_top
        return max(1, self.n_directions // 2) if self.variant.endswith("-t") else self.n_directions


class ARS(Scheduled, ParameterSearch):
    """Augmented Random Search; the update is `_update`."""

    Config = ARSConfig

    config: ARSConfig

    @property
    def delta_std(self) -> float:
        """Standard deviation of the exploration noise (nu)."""
        return self.config.delta_std

    @property
    def policy_metadata(self) -> dict[str, Any]:
        """The variant."""
        return {"variant": self.config.variant}

    @property
    def _in_words(self) -> str:
        return f"variant {self.config.variant}"

    @property
    def _slows_down(self) -> bool:
        return self.config.step_size_schedule == "linear"

    def _move(self, scored: list[int], scores: NDArray[np.float64]) -> tuple[list[int], Row]:
        plus, minus = scores[:, 0].tolist(), scores[:, 1].tolist()
        top = best_directions(scored, plus, minus, self.config.n_used)
        sigma, step_norm = self._update(top, plus, minus)
        return top, {"sigma_r": sigma, "step_norm": step_norm}

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
        config = self.config
        # 1. sigma_R: the population deviation of the 2b returns used.
        sigma = deviation([r for k in top for r in (plus[k], minus[k])])
        scaled = config.variant != "brs"
        if not top or (scaled and sigma == 0.0):
            shifted = f" after a `shift` of {config.shift:g} a step" if config.shift else ""
            equal = f"all returns used are equal{shifted}"
            why = equal if top else "every direction is left out"
            self.context.notify_once(f"no step where {why}", self.iteration + 1)
            return sigma, 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # `_take` reports it
            # 2. The sum over the directions used, in the order of their indices.
            gradient = np.zeros_like(self.policy.weights)
            for k in top:
                gradient += (plus[k] - minus[k]) * self._direction(k)
            # 3. The step.
            step_size = self._scheduled("step_size")
            step = (step_size / (len(top) * (sigma if scaled else 1.0))) * gradient
        return sigma, self._take(step)

    # A horizon may be raised on resume, so that each record has its iteration's own.

    @property
    def _horizon(self) -> int:
        """The horizon of the schedule; 0 where there is none."""
        return self.config.horizon or 0

    def tape_record(self) -> Record:
        horizon = {"horizon": np.array(self._horizon)} if self._slows_down else {}
        return {**super().tape_record(), **horizon}

    def adopt(self, record: Record) -> None:
        if self._slows_down:
            self.config = replace(self.config, horizon=int(record["horizon"]) or None)

    def replay(self, record: Record) -> Row:
        before = self._horizon
        self.adopt(record)
        if self._horizon < before:
            raise ValueError(f"the horizon falls from {before:,} to {self._horizon:,}")
        return super().replay(record)


def best_directions(
    directions: Sequence[int], plus: Sequence[float], minus: Sequence[float], n_top: int
) -> list[int]:
    """The `n_top` of `directions` with the largest max(r+, r-), in index order.

    Ties go to the lower index. `plus`, `minus`: r+ and r- of all directions, by index.
    """
    ranked = sorted(directions, key=lambda k: (-max(plus[k], minus[k]), k))
    return sorted(ranked[:n_top])
