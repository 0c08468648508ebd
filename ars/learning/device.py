"""The device to learn on."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock

import torch
from threadpoolctl import threadpool_limits

from ars.common.errors import UsageError
from policies import networks


class _OneThread:
    """One thread for torch, and for NumPy's BLAS, whose sums depend on their number.

    BLAS has one number for the whole process, in which several runs may learn in threads of the
    user's: it is what it was before when the last of them has ended.
    """

    def __init__(self) -> None:
        self._lock, self._runs, self._before = Lock(), 0, ExitStack()

    def hold(self) -> None:
        with self._lock:
            # Each time: torch's number is of the thread that sets it, and others may set BLAS's.
            torch_before, blas = torch.get_num_threads(), threadpool_limits(1, "blas")
            torch.set_num_threads(1)
            if not self._runs:
                self._before.callback(torch.set_num_threads, torch_before)
                self._before.callback(blas.restore_original_limits)
            self._runs += 1

    def release(self) -> None:
        with self._lock:
            self._runs -= 1
            if not self._runs:
                self._before.close()


_one_thread = _OneThread()


def prepare_device(name: str, images: bool, opened: ExitStack) -> torch.device:
    """The device to learn on; also limits vectors to one thread, where more only cost time.

    Args:
        name: "auto", "cpu" or "cuda".
        images: whether observations are images; "auto" uses a GPU only for these.
        opened: when it is closed, there are as many threads as before.

    Raises:
        UsageError: there is no such device.
    """
    try:
        device = networks.resolve_device("cpu" if name == "auto" and not images else name)
    except ValueError as error:
        raise UsageError(f"{error}") from None
    if not images:
        _one_thread.hold()
        opened.callback(_one_thread.release)
    return device
