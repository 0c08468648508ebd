"""What `reset` and `step` of an environment may return: one rule, whatever algorithm steps it.

Numbers may be Python's or NumPy's, alone or as an array of one; flags may also be 0 and 1; an
`info` of None counts as empty. Anything else is refused, with its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ars.common.errors import RolloutError

StepResult = tuple[Any, float, bool, bool, Mapping[str, Any]]


def first_observation(result: Any) -> tuple[Any, Mapping[str, Any]]:
    """Observation and info from what `reset` returned. Raises: RolloutError."""
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RolloutError(f"env.reset returned {_count(result)}, not (observation, info)")
    obs, info = result
    return obs, _mapping(info, "reset")


def take_step(env: gymnasium.Env[Any, Any], action: Any) -> StepResult:
    """Step an environment; the reward is then a float, the flags are bools, and `info` is a dict.

    Raises:
        RolloutError: `step` returned something else; the message names it and its value.
    """
    result: Any = env.step(action)
    try:
        obs, reward, terminated, truncated, info = result
    except (TypeError, ValueError):
        raise RolloutError(
            f"env.step returned {_count(result)}, not (observation, reward, terminated, truncated, "
            "info)"
        ) from None
    if (  # as most environments do
        type(reward) is float
        and type(terminated) is bool
        and type(truncated) is bool
        and type(info) is dict
    ):
        return obs, reward, terminated, truncated, info
    return obs, *_converted(reward, terminated, truncated, info)


def _converted(
    reward: Any, terminated: Any, truncated: Any, info: Any
) -> tuple[float, bool, bool, Mapping[str, Any]]:
    number = reward if isinstance(reward, float) else _single(reward)
    try:
        number = float(number)
    except (TypeError, OverflowError):  # None, or a whole number that no float can hold
        raise RolloutError(f"env.step returned the reward {_shown(reward)}, not a number") from None
    flags = []
    for name, value in (("terminated", terminated), ("truncated", truncated)):
        flag = _single(value)
        if flag is None or flag not in (0, 1):
            raise RolloutError(f"env.step returned {name} {_shown(value)}, not True or False")
        flags.append(bool(flag))
    return number, flags[0], flags[1], _mapping(info, "step")


def as_array(obs: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An observation as an array of a type and shape.

    Raises:
        ValueError: it has another shape, or numbers that the type cannot hold: fractions or large
            numbers where it is for small integers.
    """
    given = obs if type(obs) is np.ndarray else np.asarray(obs)
    if given.shape != shape:
        raise ValueError(f"an observation of shape {given.shape}, not {shape}")
    if given.dtype is dtype or given.dtype == dtype:
        return given
    check_numbers(given)
    with np.errstate(over="ignore", invalid="ignore"):
        array = given.astype(dtype)
        lost = array.dtype.kind != "f" and (array != given)
    if np.any(lost):
        raise ValueError(
            f"an observation of {given[lost].flat[0]}, which {array.dtype} cannot hold; the "
            f"observation space should be of type {given.dtype}"
        )
    return array


def check_numbers(obs: NDArray[Any]) -> None:
    """Raises: ValueError if an observation is of texts, objects or complex numbers."""
    if obs.dtype.kind not in "fiub":
        raise ValueError(f"an observation of type {obs.dtype}, not of numbers: {_shown(obs)}")


def _single(value: Any) -> Any:
    """The number that a value is or holds alone; None if there is none."""
    if isinstance(value, bool | int | float):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array.item() if array.size == 1 and array.dtype.kind in "fiub" else None


def _mapping(info: Any, function: str) -> Mapping[str, Any]:
    if info is None:
        return {}
    if not isinstance(info, Mapping):
        raise RolloutError(f"env.{function} returned the info {_shown(info)}, not a dict")
    return info


def _count(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"{len(result)} values"
    return f"one {type(result).__name__}"


def _shown(value: Any) -> str:
    """A value on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
