"""Ctrl-C, SIGTERM and SIGHUP at the right moment, and in one line at any moment.

While a program loads they end it at once (`ars.common.loading`). Later they become
KeyboardInterrupt, where that is `allowed`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import Any, ClassVar

from ars.common.host import our_signals, take_back_signals
from ars.common.loading import NAMES, end_at_once

RETRY_SECONDS = 0.05
POSTPONED_SECONDS = 5.0  # at most; importing torch takes 2
CLEANUP_SECONDS = 8.0  # for closing what is open when an interrupt ends a program
PATIENCE_SECONDS = 5.0  # for an iteration to end; saving and closing have to fit into ten with it

# Functions that must not end halfway; this one redirects the file descriptors.
_UNBROKEN = {("envs.bullet.client", "quiet")}

Handler = Callable[[int, FrameType | None], None]


def numbers() -> list[signal.Signals]:
    """The signals that ask a program to end; without SIGHUP where it is ignored, as by nohup."""
    found = [signal.Signals[name] for name in NAMES if hasattr(signal, name)]
    ignored = signal.getsignal(found[-1]) is signal.SIG_IGN
    return found[:2] if ignored else found


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    ours: dict[int, Any] = dict.fromkeys(numbers(), handler)
    before = {number: signal.signal(number, handler) for number in ours}
    try:
        with our_signals(ours):  # also where environments install their own
            yield
    finally:
        for number, earlier in before.items():
            if earlier is not None:  # one not installed from Python cannot be restored
                signal.signal(number, earlier)


def in_main_thread() -> bool:
    """Whether this is the thread that handles signals."""
    return threading.current_thread() is threading.main_thread()


class Interrupts:
    """Turns the signals into KeyboardInterrupt, only where `allowed`.

    Elsewhere a signal is remembered and raised at the next allowed place, so an iteration's update,
    its log rows and a checkpoint are complete or not begun. Further signals while the run is being
    saved and closed are ignored, except Ctrl-C where it is `forceful`.

    In the middle of an import, or of what leaves the process in another state if it ends halfway,
    the exception waits: a module of C code that is interrupted as it starts fails in a way of its
    own (NumPy: ImportError).

    Args:
        cleanup_seconds: end the process so long after an interrupt; None: never.

    Attributes:
        requested: whether a signal has come.
        forced: whether a second one was raised at once.
        active: the instance that handles the signals now.
    """

    active: ClassVar[Interrupts | None] = None

    def __init__(self, cleanup_seconds: float | None = None) -> None:
        self.requested = self.forced = False
        self._allowed = self._forceful = False
        self._cleanup_seconds = cleanup_seconds
        self._postponed = 0.0  # seconds
        self._deadline: threading.Timer | None = None
        self._patience = 0.0  # seconds
        self._insisting: threading.Timer | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals for the block; does nothing outside the main thread.

        Python delivers signals to the main thread alone.
        """
        if not in_main_thread():
            yield
            return
        before = Interrupts.active, sys.unraisablehook
        Interrupts.active, sys.unraisablehook = self, partial(self._unraisable, before[1])
        try:
            with _handled_by(self._on_signal):
                yield
        finally:
            Interrupts.active, sys.unraisablehook = before
            if self._deadline is not None:
                self._deadline.cancel()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if first and self._deadline is None and self._cleanup_seconds is not None:
            self._deadline = _later(self._cleanup_seconds, end_at_once)
        if self._allowed and first:
            self._raise(number, frame)
        if self._forceful and first:
            self._insisting = _send_later(self._patience, signal.SIGINT)
        # The end of a terminal sends several SIGHUP: only a person insists.
        if self._forceful and not first and not self.forced and number == signal.SIGINT:
            self.forced = True
            raise KeyboardInterrupt

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if not _unfinished(frame) or self._postponed >= POSTPONED_SECONDS:
            raise KeyboardInterrupt
        self._postpone(number)

    def _unraisable(self, hook: Callable[[Any], Any], what: sys.UnraisableHookArgs) -> None:
        """Raise an interrupt again that was lost in a call from C code, such as `__del__`."""
        if issubclass(what.exc_type, KeyboardInterrupt) and in_main_thread():
            self._postpone(signal.SIGINT)
        elif not self.requested:  # an interrupt leaves objects half made, which cannot be freed
            hook(what)

    def _postpone(self, number: int) -> None:
        """Let the same signal come once more, as if it were the first."""
        self._postponed += RETRY_SECONDS
        self.requested = False
        _send_later(RETRY_SECONDS, number)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A block in which an interrupt may be raised."""
        if self.requested:
            raise KeyboardInterrupt
        before, self._allowed = self._allowed, True
        try:
            yield
        finally:
            self._allowed = before
            take_back_signals(installed_in_c=True)

    @contextmanager
    def forceful(self, seconds: float) -> Iterator[None]:
        """A block whose end a first signal waits for, while a second Ctrl-C is raised at once.

        Args:
            seconds: after which a first signal waits no longer: something hangs.
        """
        self._forceful, self._patience = True, seconds
        try:
            yield
        finally:
            self._forceful = False
            if self._insisting is not None:
                self._insisting.cancel()
            take_back_signals(installed_in_c=True)


def _later(seconds: float, call: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
    return timer


def _send_later(seconds: float, number: int) -> threading.Timer:
    """Send a signal to the main thread of this process."""
    thread = threading.main_thread().ident
    assert thread is not None
    return _later(seconds, lambda: signal.pthread_kill(thread, number))


def _unfinished(frame: FrameType | None) -> bool:
    """Whether a frame is of what must not end halfway, or called by it.

    A `with` that is interrupted between its block and its end would stay open until its exception
    is gone.
    """
    if frame is not None and frame.f_code.co_filename == contextlib.__file__:
        return True
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in _UNBROKEN:
            return True
        frame = frame.f_back
    return False


def waiting() -> AbstractContextManager[None]:
    """A block that only waits, which a signal may end although its surroundings are not allowed."""
    active = Interrupts.active
    return active.allowed() if active is not None and in_main_thread() else nullcontext()


@contextmanager
def held_back() -> Iterator[None]:
    """Hold the signals back, from this process and from those that it starts in the block.

    A process that is interrupted before it can handle signals prints a traceback; one whose parent
    is interrupted while it sends what the process needs does so too. The new process has to
    `let_through` signals.
    """
    active = Interrupts.active if in_main_thread() else None
    allowed = active is not None and active._allowed
    if active is not None:
        active._allowed = False
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers()) if masks else set()
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if active is not None:
            active._allowed = allowed
    if active is not None and allowed and active.requested:
        raise KeyboardInterrupt


def let_through() -> None:
    """In a process started while signals were held back: leave Ctrl-C to its parent.

    It gets a group of its own, which no terminal signals, and ends on SIGTERM and SIGHUP.
    """
    if not hasattr(os, "setpgid"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    os.setpgid(0, 0)
    held = numbers()
    for number in held:
        signal.signal(number, signal.SIG_IGN)  # drops one that is held back
    signal.pthread_sigmask(signal.SIG_UNBLOCK, held)
    for number in held:
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
