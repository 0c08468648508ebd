"""Checks what an environment says of its spaces: against what it shows, and what policies give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import ClipAction
from numpy.typing import NDArray

from ars.rollout.interface import check_numbers
from policies import (
    BoxSpec,
    PolicySpec,
    RunningMeanStd,
    is_image,
    observation_spec,
    space_spec,
)
from policies.base import Array
from policies.linear import LinearPolicy
from policies.spec import UNBOUNDED

# A float type narrower than the numbers shown loses digits. That matters where the steps between
# its numbers are a part of what an observation varies by, as of a time in seconds since 1970.
_LOST_SHARE, _LOST = 1e-3, 1e-4


class WatchingPolicy(LinearPolicy):
    """A linear policy that keeps every observation it is shown, in `shown`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.shown: list[NDArray[Any]] = []

    def flatten(self, obs: Any) -> Array:
        """Also keep a copy of `obs`, as its own type, if that is one of numbers."""
        if isinstance(obs, np.ndarray) and obs.dtype.kind == "c":  # would lose a part of itself
            check_numbers(obs)
        x = super().flatten(obs)
        shown = np.array(obs)
        check_numbers(shown)
        self.shown.append(shown)
        return x


def better_dtype(space: Any, shown: Sequence[NDArray[Any]]) -> tuple[str, str] | None:
    """A type that holds observations which the type of their space cannot hold.

    Algorithms that keep observations as arrays would otherwise learn from other numbers than the
    policy acts on: of a space of uint8, 0.2 and 0.8 are both 0.

    Args:
        space: as the environment declares it.
        shown: some observations, of its shape.

    Returns:
        The type, and what the declared one loses, in words; None where nothing is lost.
    """
    declared = observation_spec(space)
    if not isinstance(declared, BoxSpec):
        return None
    values = np.stack(shown)
    lost = _lost(values, np.dtype(declared.dtype))
    if not lost.any():
        return None
    remedy = f"its space should be of type {values.dtype}"
    if is_image(declared):
        remedy = "pictures should be whole numbers from 0 to 255, or their space of another type"
    return values.dtype.name, (
        f"observations such as {values[lost].flat[0]:g} do not fit the type {declared.dtype} of "
        f"their space and are used as they are; {remedy}"
    )


def coarse_in_float32(shown: Sequence[NDArray[Any]]) -> float | None:
    """A number among observations whose differences are lost in float32; None if there is none."""
    values = np.stack(shown)
    lost = _lost(values, np.dtype(np.float32))
    return float(values[lost].flat[0]) if lost.any() else None


def coarse_on_average(seen: RunningMeanStd) -> float | None:
    """The same from the statistics of observations: a mean beside which the deviation is lost."""
    size = np.minimum(abs(seen.mean), np.finfo(np.float32).max).astype(np.float32)
    error, deviation = np.spacing(size) / 2, np.sqrt(seen.m2 / max(1, seen.count))
    lost = (error > np.maximum(_LOST, _LOST_SHARE * deviation)) & (deviation > 0)
    return float(seen.mean[lost][0]) if lost.any() else None


def coarse_warning(number: float, normalizes: bool | None) -> str:
    """What to tell of observations such as `number`.

    `normalizes`: the setting `normalize_observations`, off; None if the algorithm has none.
    """
    also = "" if normalizes is None else ", or use `normalize_observations`"
    return (
        f"networks see observations in float32, which loses what such as {number:.10g} differ by; "
        f"subtract what they have in common in the environment{also}"
    )


def _lost(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Where numbers [n, *shape] change by becoming of another type."""
    with np.errstate(all="ignore"):
        cast = values.astype(dtype)
        finite = np.isfinite(values)
        if dtype.kind != "f":
            changed: NDArray[np.bool_] = finite & (cast != values)
            return changed
        exact = values.astype(np.float64)
        error = abs(cast.astype(np.float64) - exact)
        spread = np.max(exact, axis=0) - np.min(exact, axis=0)
        material = (error > np.maximum(_LOST, _LOST_SHARE * spread)) & (spread > 0)
        lost: NDArray[np.bool_] = finite & (material | ~np.isfinite(cast))
        return lost


# A new policy's outputs lie around 0, about as far as 1. Bounds that differ from that by no more
# than this factor are reached soon enough; those of Gymnasium's own robots are 0.4 to 3.
_WITHIN = 5.0


def action_warning(spec: PolicySpec, clipped_to: BoxSpec | None = None) -> str | None:
    """What keeps a new policy from exploring its actions, and the remedy; None if nothing does.

    `clipped_to`: the bounds that a wrapper of the environment hides.
    """
    action = clipped_to or spec.action
    if not isinstance(action, BoxSpec) or spec.scale_actions:
        return None
    low, high = action.low or (-math.inf,) * action.size, action.high or (math.inf,) * action.size
    whole = np.dtype(action.dtype).kind in "iu"
    hindrances = [_hindrance(*bounds, whole) for bounds in zip(low, high, strict=True)]
    at = next((at for at, found in enumerate(hindrances) if found), None)
    if at is None:
        return None
    if action.size == 1:
        subject = "actions are whole numbers" if whole else "actions lie"
    else:
        subject = f"number {at + 1} of an action " + ("is whole," if whole else "lies")
    remedy = "`scale_actions` scales -1 to 1 to the bounds" + ", and rounds" * whole
    if clipped_to is not None:
        remedy = f"without gymnasium's ClipAction around the environment, {remedy}"
    elif not all(map(_is_bound, low + high)):
        remedy = "give the environment two finite bounds, and use `scale_actions`"
    return (
        f"{subject} from {low[at]:g} to {high[at]:g}, but a new policy's outputs are about -1 to "
        f"1: {hindrances[at]}; {remedy}"
    )


def clipped_to(env: Any) -> BoxSpec | None:
    """The bounds that a ClipAction wrapper cuts actions to, which it hides; None without one."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, ClipAction):
            hidden = space_spec(env.env.action_space, "action")
            return hidden if isinstance(hidden, BoxSpec) else None
        env = env.env
    return None


def _hindrance(low: float, high: float, whole: bool) -> str | None:
    """What happens to outputs around 0 within bounds of an action, if that hinders learning."""
    if low == high:  # there is nothing to choose
        return None
    if low > 0 or high < 0:
        return "none of them lies within at first, and nothing may be learned"
    if whole:
        return "they are cut to whole numbers towards 0, and nothing may be learned"
    if not (_is_bound(low) and _is_bound(high)):
        return None
    reach = max(-low, high)
    if reach > _WITHIN:
        return "they reach only a small part of that"
    if reach < 1 / _WITHIN:
        return "most of them lie beyond a bound"
    return None


def _is_bound(value: float) -> bool:
    return abs(value) < UNBOUNDED
