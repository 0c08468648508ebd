"""Numbers that another processor may round otherwise: those of float32, of BLAS and of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def close(found: Any, wanted: Any, rtol: float = 1e-5, *, scale: float | None = None) -> None:
    """Assert that arrays, tensors or lists of numbers agree, whatever processor computed them.

    Sums are taken in another order on another processor. What that changes is as large as the
    rounding of what was summed, however near to zero the sum is: a tolerance relative to each
    number fails where numbers cancel.

    Args:
        found: What the code gives, of the shape of `wanted`.
        wanted: What it should give, finite.
        rtol: The largest difference allowed, as a part of `scale`.
        scale: As large as what was summed; by default the largest magnitude in `wanted`.
    """
    ours, theirs = _array(found), _array(wanted)
    assert ours.shape == theirs.shape, f"shape {ours.shape}, not {theirs.shape}"
    assert np.isfinite(theirs).all(), f"not finite: {theirs}"
    if scale is None:
        scale = float(np.abs(theirs).max(initial=0.0))
    np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=rtol * scale, equal_nan=False)


def _array(numbers: Any) -> np.ndarray[Any, Any]:
    if isinstance(numbers, torch.Tensor):
        numbers = numbers.detach().cpu().numpy()
    return np.asarray(numbers, np.float64)
