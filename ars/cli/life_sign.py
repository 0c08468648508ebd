"""A line now and then from a run that has nothing else to say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ars.common.words import duration

FIRST, LATER = 10.0, 30.0  # seconds of silence before the first line, and between the others
LOOKS = 1.0  # seconds between two looks


class LifeSign:
    """Says what a run is doing whenever nothing was heard for some time, from a thread of its own.

    Args:
        say: says a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._on: Callable[[], str] = lambda: "starting"
        self._heard = self._last = time.monotonic()
        self._quiet = FIRST
        self._broken: BrokenPipeError | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="life sign", daemon=True)

    def start(self) -> None:
        """Begin to listen for silence."""
        self._thread.start()

    def stop(self) -> None:
        """Say nothing from now on."""
        self._ended.set()
        self._thread.join()

    def working(self, on: Callable[[], str]) -> None:
        """Take a function that says what the run is doing."""
        self._on = on

    def heard(self) -> None:
        """Something was done, or will be said. Raises: BrokenPipeError, if our line met it."""
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken
        self._heard = self._last = time.monotonic()
        self._quiet = FIRST

    def _watch(self) -> None:
        while not self._ended.wait(LOOKS):
            now = time.monotonic()
            if now - self._last >= self._quiet:
                self._last, self._quiet = now, LATER
                try:
                    self._say(f"{self._on()}, {duration(now - self._heard)} so far")
                except BrokenPipeError as error:  # stdout raises it only once
                    self._broken = error
                    return


@contextmanager
def life_signs(doing: str) -> Iterator[None]:
    """A block that says on stdout what it is doing, now and then while it takes long."""
    sign = LifeSign(lambda line: print(line, flush=True))
    sign.working(lambda: doing)
    sign.start()
    try:
        yield
    finally:
        sign.stop()
    sign.heard()  # raises what a line of the sign's met
