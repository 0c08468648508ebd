"""The comparison that holds on any processor still fails for what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from closeness import close


def test_a_sum_near_zero_may_differ_by_the_rounding_of_its_parts() -> None:
    numbers = np.array([1e4, 3.0, -1e4, 0.1], np.float32)
    in_order = np.add.accumulate(numbers)[-1]
    from_the_end = np.add.accumulate(numbers[::-1])[-1]
    assert in_order != pytest.approx(from_the_end, rel=1e-5)
    close(in_order, from_the_end, scale=1e4)
    close([in_order, 1e4], [from_the_end, 1e4])


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([1.0, 2.00003], [1.0, 2.0]),
        ([3e-5, 2.0], [0.0, 2.0]),
        ([-1.0], [1.0]),
        ([1e-30], [0.0]),  # nothing is as small as nothing
        ([float("nan"), 1.0], [float("nan"), 1.0]),
        ([float("nan")], [1.0]),
        (float("inf"), 1.0),
        ([1.0, 1.0], [1.0]),
        (1.0, [1.0]),
        (torch.tensor([1.0, 2.1]), np.array([1.0, 2.0])),
    ],
)
def test_what_is_wrong_is_not_close(found: Any, wanted: Any) -> None:
    with pytest.raises(AssertionError):
        close(found, wanted)


def test_arrays_tensors_and_lists_compare_with_each_other() -> None:
    numbers = [0.0, -2.0, 1.0]
    learned = torch.tensor(numbers, requires_grad=True)
    for other in (numbers, np.array(numbers, np.float32), learned.detach(), learned):
        close(other, numbers)
        close(numbers, other)
    close([2e-6], [1e-6], scale=1.0)
    close([], [])
