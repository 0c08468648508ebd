"""The only place that imports PyBullet and opens simulations; keeps it from printing to stdout.

PyBullet prints from C: its build time when imported, `argv[0]=` for every client, warnings about
some models, and a page about the driver when EGL starts. Only redirecting the file descriptors
silences that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import NoReturn

import gymnasium
import pybullet_data

__all__ = ["Connection", "model_path", "pybullet", "quiet"]

# Two threads that redirected the descriptors at the same time would restore each other's sink.
_descriptors = threading.RLock()


def _flush_python() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # None, closed, broken pipe
            stream.flush()


def _flush_c() -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library by that name
        ctypes.CDLL(None).fflush(None)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard everything written to file descriptors 1 and 2 inside the block.

    Earlier output is flushed first, and both descriptors are restored however the block ends. They
    belong to the whole process, so keep the block short. `ars.common.interrupts` knows this
    function by its name: Ctrl-C waits until the descriptors are as they were.
    """
    with _descriptors, contextlib.ExitStack() as restore:
        _flush_python()
        _flush_c()
        sink = os.open(os.devnull, os.O_WRONLY)
        restore.callback(os.close, sink)
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):  # closed, as under a service manager
                original = os.dup(descriptor)
                restore.callback(os.close, original)
                restore.callback(os.dup2, original, descriptor)
                os.dup2(sink, descriptor)
        restore.callback(_flush_c)  # C buffers its output, except on a terminal
        yield


with quiet():
    import pybullet


def model_path(*parts: str) -> str:
    """Return the path of a model in `pybullet_data`."""
    return os.path.join(pybullet_data.getDataPath(), *parts)


def _disconnect(client: int, owner: int) -> None:
    if os.getpid() == owner:  # a forked child must not close its parent's simulation
        with quiet(), contextlib.suppress(pybullet.error):
            pybullet.disconnect(client)


class Connection:
    """A private simulation, closed at the latest when the interpreter exits.

    Attributes:
        id: PyBullet's number of the simulation, the `physicsClientId` of every call.
        close: ends the simulation; further calls do nothing.
    """

    def __init__(self, *, window: bool = False) -> None:
        with quiet():
            self.id: int = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        if self.id < 0:
            raise gymnasium.error.Error("PyBullet opens no further simulation; close some first")
        self.close = weakref.finalize(self, _disconnect, self.id, os.getpid())

    def __reduce__(self) -> NoReturn:
        """Refuse copies and pickles, which would step the same simulation."""
        raise TypeError("a simulation cannot be copied or pickled: make another environment")
