"""Compares an exported policy with the original, on observations like those that it knows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import RunError
from ars.exporting.formats import Exported
from policies import Policy

N_OBSERVATIONS = 1000
CLOSE = 1e-6  # relative; formats whose sums run in another order
CLOSE_IMAGES = 1e-4  # where the policy itself computes in float32
_LARGEST_BATCH = 2**22  # numbers
_LARGEST_KEPT = 2**22  # bytes of observations that are written to a file


@dataclass(frozen=True)
class Checked:
    """How an exported policy compares.

    Attributes:
        equal: whether all actions are the same numbers, to the last bit.
        difference: the largest relative difference; of a choice, by how much what the policy
            thinks of it is smaller than what it thinks of its own.
        observations: the first observations, [n, *shape], in the type of their space.
        actions: the policy's own for them.
    """

    equal: bool
    difference: float
    observations: NDArray[Any]
    actions: NDArray[Any]


def check(policy: Policy, exported: Exported) -> Checked:
    """Compare on `N_OBSERVATIONS`. Raises: RunError where actions differ by more than they may."""
    n_kept = max(1, _LARGEST_KEPT // max(1, policy.spec.observation.size * 8))
    kept: list[tuple[NDArray[Any], NDArray[Any]]] = []
    both: list[tuple[NDArray[Any], NDArray[Any]]] = []
    equal, worst = True, 0.0
    for batch in _batches(policy):
        with np.errstate(all="ignore"):  # integers that an action's type cannot hold
            ours = np.stack([np.asarray(policy.act(one)) for one in batch])
        theirs = exported.act(batch)
        if theirs.dtype != ours.dtype or theirs.shape != ours.shape:
            raise RunError(
                f"the export gives actions of type {theirs.dtype} and shape {theirs.shape[1:]}, "
                f"the policy {ours.dtype} and {ours.shape[1:]}; nothing is written"
            )
        equal = equal and np.array_equal(theirs, ours, equal_nan=ours.dtype.kind == "f")
        if policy.spec.deterministic_rule == "argmax":
            where = np.flatnonzero(ours != theirs)
            worst = max([worst, *(_loss(policy, batch[i], theirs[i]) for i in where)])
        else:
            both.append((ours, theirs))
        if len(kept) < n_kept:
            kept += list(zip(batch, ours, strict=True))
    # Of a network that adds up in float32, small actions are what large terms leave of each other.
    most, least = (CLOSE_IMAGES, 1e-2) if policy.spec.conv_layers else (CLOSE, 1e-3)
    if both:
        ours, theirs = (np.concatenate(actions) for actions in zip(*both, strict=True))
        worst = _difference(ours, theirs, least)
    if (exported.bits and not equal) or not worst <= most:
        raise RunError(
            f"the exported policy does not act as the original: actions differ by {worst:.2g} of "
            "their size; nothing is written"
        )
    observations, actions = zip(*kept[:n_kept], strict=True)
    return Checked(equal, worst, np.stack(observations), np.stack(actions))


def observations(policy: Policy) -> Iterator[NDArray[Any]]:
    """Observations in the type of their space: zeros first, then usual ones and some far off."""
    spec, normalizer = policy.spec.observation, policy.normalizer
    rng, dtype = np.random.default_rng(0), np.dtype(spec.dtype)
    mean, std = np.zeros(spec.size), np.ones(spec.size)
    if normalizer is not None:
        mean, std = normalizer.mean, np.where(np.isfinite(normalizer.std), normalizer.std, 1.0)
    yield np.zeros(spec.shape, dtype)
    for index in range(1, N_OBSERVATIONS):
        if dtype.kind == "b" or dtype.itemsize == 1:
            lowest, highest = (0, 1) if dtype.kind == "b" else _range(dtype)
            numbers = rng.integers(int(lowest), int(highest), spec.size, endpoint=True)
            yield numbers.astype(dtype).reshape(spec.shape)
            continue
        spread = 10.0 if index % 5 == 0 else 1.0
        values = mean + spread * std * rng.standard_normal(spec.size)
        values = np.clip(values if dtype.kind == "f" else np.rint(values), *_range(dtype))
        yield values.astype(dtype).reshape(spec.shape)


def _range(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    return int(limits.min), min(int(limits.max), 2**53)


def _batches(policy: Policy) -> Iterator[NDArray[Any]]:
    """All of them: the first alone, as a batch of one, the others many at a time."""
    size = max(1, _LARGEST_BATCH // policy.spec.observation.size)
    found = observations(policy)
    yield np.stack([next(found)])
    while batch := list(itertools.islice(found, size)):
        yield np.stack(batch)


def _difference(ours: NDArray[Any], theirs: NDArray[Any], least: float) -> float:
    """The largest difference, relative to an action or to the share `least` of the largest one."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    scale = np.maximum(np.abs(a), least * np.abs(a).max(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(a == b, 0.0, np.abs(a - b) / scale)
    return float(np.nan_to_num(relative, nan=np.inf).max())


def _loss(policy: Policy, observation: NDArray[Any], chosen: Any) -> float:
    """How much smaller the output of another choice is, relative to the largest."""
    x = policy.flatten(observation)
    outputs = policy.forward(x if policy.normalizer is None else policy.normalizer(x))
    index = int(chosen) - int(getattr(policy.spec.action, "start", 0))
    if not 0 <= index < outputs.size:
        return np.inf
    return float((outputs.max() - outputs[index]) / np.abs(outputs).max())
