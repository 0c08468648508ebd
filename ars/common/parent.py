"""A process that ends with the one that started it, whatever it is doing at the time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # in linux/prctl.h


def end_with_parent(parent: int) -> None:
    """Have this process end once its parent, `parent`, has ended.

    On Linux the kernel sees to it, so that neither C code that keeps Python's lock nor a stopped
    process can outlive its parent. Elsewhere a thread does, which needs the lock.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)
        return
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
