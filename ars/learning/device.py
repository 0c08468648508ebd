"""The device to learn on."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits

from ars.common.errors import UsageError
from policies import networks


def prepare_device(name: str, images: bool) -> torch.device:
    """The device to learn on; also limits vectors to one thread, where more only cost time.

    Args:
        name: "auto", "cpu" or "cuda".
        images: whether observations are images; "auto" uses a GPU only for these.

    Raises:
        UsageError: there is no such device.
    """
    try:
        device = networks.resolve_device("cpu" if name == "auto" and not images else name)
    except ValueError as error:
        raise UsageError(f"{error}") from None
    if not images:
        torch.set_num_threads(1)
        # One thread for NumPy's BLAS too: its sums depend on the number of threads.
        threadpool_limits(1, "blas")
    return device
