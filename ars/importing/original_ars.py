"""Policies of the original ARS code (modestyachts/ARS): `lin_policy_plus.npz`.

The file has one array of three objects: the weights [n_actions, n_observations], and mean and
standard deviation of the observations. As in `code/run_policy.py` the action is
`weights @ ((observation - mean) / std)`, and it is not clipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.importing.actor import Actor
from ars.importing.archives import Archive, read_npy
from ars.importing.arrays import Stored, array
from policies import Normalizer, NormalizerRule

# The file does not say how many observations its statistics are of. This many let a training that
# goes on from it move them slowly; a run of the original code sees millions.
COUNT = 1_000_000


def read(archive: Archive) -> Actor:
    """Raises: ValueError."""
    [name] = archive.names if len(archive.names) == 1 else [None]
    if name is None:
        raise ValueError(f"{len(archive.names)} arrays instead of one: weights, mean and deviation")
    parts = _parts(read_npy(archive.read(name)))
    weights = _floats(parts[0])
    actor = Actor("the original ARS code", "ars", [(weights, None)], clips=False)
    actor.check()
    if len(parts) == 3:
        actor.normalizer = _normalizer(_floats(parts[1]), _floats(parts[2]), weights.shape[1])
    return actor


def _parts(found: Any) -> list[Any]:
    if isinstance(found, Stored) and isinstance(found.values, list) and len(found.values) == 3:
        return found.values
    if isinstance(found, np.ndarray):  # weights alone
        return [Stored(found)]
    raise ValueError("not an array of three: weights, mean and deviation")


def _floats(value: Any) -> NDArray[np.float64]:
    return array(value).astype(np.float64)


def _normalizer(
    mean: NDArray[np.float64], std: NDArray[np.float64], size: int
) -> Normalizer | None:
    """The filter: where it was off, the code stores 0 and 1. Raises: ValueError."""
    if mean.shape == std.shape == () and mean == 0.0 and std == 1.0:
        return None
    if mean.shape != (size,) or std.shape != (size,):
        raise ValueError(f"statistics of {mean.size} and {std.size} numbers for {size} inputs")
    if not np.isfinite(mean).all() or not (std > 0.0).all():
        raise ValueError("statistics that are not those of observations")
    with np.errstate(over="ignore"):
        variance = np.square(std)
    return Normalizer(mean, variance, COUNT, NormalizerRule(ddof=1, min_std=0.0))
