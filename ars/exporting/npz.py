"""A policy as arrays in an npz file, with the few lines of NumPy that act by them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import UsageError
from ars.exporting import recipe
from ars.exporting.formats import Exported, Origin
from ars.exporting.plain import PlainPolicy
from policies import Policy


def write(policy: Policy, plain: PlainPolicy, origin: Origin) -> Exported:
    """Raises: UsageError for a policy of images."""
    if plain.convolutions:
        raise UsageError(
            "`format` npz: its recipe has no convolutions, and this policy sees images; use onnx "
            "or torch"
        )
    arrays = _arrays(plain)
    arrays |= {
        "recipe": np.array(Path(recipe.__file__).read_text()),
        "about": np.array(origin.about),
    }
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # none of them is called allow_pickle
    data = file.getvalue()
    with np.load(io.BytesIO(data)) as stored:
        read = dict(stored)

    def act(observations: NDArray[Any]) -> NDArray[Any]:
        return np.stack([np.asarray(recipe.act(read, one)) for one in observations])

    return Exported(data, act, bits=True)


def _arrays(plain: PlainPolicy) -> dict[str, NDArray[Any]]:
    given: dict[str, Any] = {
        "mean": plain.mean,
        "std": plain.std,
        "clip": plain.clip,
        "start": plain.start,
        "middle": plain.middle,
        "half": plain.half,
        "low": plain.low,
        "high": plain.high,
        "activation": plain.activation if len(plain.layers) > 1 else None,
        "squash": True if plain.squashes else None,
        "dtype": plain.dtype.name,
        "shape": np.array(plain.shape, np.int64),
    }
    for index, layer in enumerate(plain.layers):
        given |= {f"weight_{index}": layer.weight, f"bias_{index}": layer.bias}
    return {name: np.asarray(value) for name, value in given.items() if value is not None}
