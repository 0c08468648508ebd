"""Ctrl-C in a program's first moments: one line, at once, as there is nothing to save.

Imports only what Python itself has loaded, so that the moments before it acts are few:
`signal` and `pathlib` take ten times as long to load as all else that happens before.
"""

import _signal  # type: ignore[import-not-found]  # what the module `signal` is made of
import atexit
import os
import sys

STATUS = 130  # the exit status of a program that was interrupted
SCRIPTS = ("ars", "ars.exe")  # the names of the console script
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP

in_program = False  # whether this process is a program of the toolkit
told = False  # whether the user has been told that the program was interrupted; it then leaves


def end_at_once(*_: object) -> None:
    """End this process with one line and without any cleaning up; a handler of signals."""
    if not told:
        os.write(2, b"interrupted\n")
    os._exit(STATUS)


def guard_program() -> None:
    """If this process is a program of the toolkit, let Ctrl-C and its like end it while it loads.

    Whatever else handles them, or ignores them, stays.
    """
    global in_program
    in_program = _is_program()
    if not in_program:
        return
    atexit.register(_leave)  # the first registered is the last called
    for name in NAMES:
        number = getattr(_signal, name, None)
        if number is not None and _signal.getsignal(number) in (
            _signal.SIG_DFL,
            _signal.default_int_handler,
        ):
            _signal.signal(number, end_at_once)


def _leave() -> None:
    """End an interrupted program without taking its modules apart.

    With torch that takes half a second of processor time, which is many seconds on a machine whose
    processors are taken.
    """
    if not told:
        return
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  # contextlib would have to be imported
            stream.flush()
        except (AttributeError, OSError, ValueError):  # none, full or closed
            pass
    os._exit(STATUS)


def _is_program() -> bool:
    """Whether Python was started with `-m ars`, `-m ars.COMMAND` or the console script."""
    called = sys.argv[0] if sys.argv else ""
    if called != "-m":  # it is while Python looks for the module that it is to run
        return os.path.basename(called) in SCRIPTS and called in sys.orig_argv
    words = iter(sys.orig_argv[1:])
    word = next((word for word in words if word.startswith("-m")), "-m")
    return (word[2:] or next(words, "")).partition(".")[0] == "ars"
