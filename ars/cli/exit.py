"""Failures reported in one line, each with its exit status."""

from __future__ import annotations

import errno
import functools
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol

from ars.cli.parser import TRACEBACK, fail
from ars.cli.printable import printable
from ars.cli.streams import Output, standard_outputs
from ars.common import loading
from ars.common.errors import RunError, causes, one_line, with_place
from ars.common.interrupts import CLEANUP_SECONDS, Interrupts

THREAD_SECONDS = 3.0  # for threads to end, after all else is done

# By name, to import nothing: a class whose module was never imported cannot have been raised.
_STATUSES = (
    ("ars.common.errors", "UsageError", 2),
    ("envs", "UnknownEnvironment", 2),
    ("envs", "WrongOptions", 2),
    ("policies", "UnsupportedSpace", 2),
    ("ars.common.errors", "RunError", 1),
    ("gymnasium.error", "Error", 1),
    ("ars.common.errors", "RolloutError", 1),
    ("policies", "FileError", 1),
)


class Main(Protocol):
    """A command's main function; the default arguments are the process's."""

    def __call__(self, argv: Sequence[str] | None = None) -> None: ...


def command(main: Callable[[Sequence[str]], None]) -> Main:
    """Make a function a command's main function, whose failures are reported."""

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> None:
        arguments = list(sys.argv[1:] if argv is None else argv)
        try:
            with reporting(TRACEBACK in arguments):
                main(arguments)
        finally:
            if loading.in_program:
                if loading.told:  # an interrupt leaves objects half made, which cannot be freed
                    sys.unraisablehook = lambda what: None
                _end_despite_threads(_status_of(sys.exc_info()[1]))

    return run


def _end_despite_threads(status: int) -> None:
    """Let the program end also where threads that an environment started never do.

    Python waits for them, for ever, before it does anything else. Threads that end when they are
    told to at that time, such as those of `concurrent.futures`, have `THREAD_SECONDS` for it.
    """

    def end() -> None:
        main_thread = threading.main_thread()
        left = [t.name for t in threading.enumerate() if t is not main_thread and not t.daemon]
        if left:
            with suppress(OSError, ValueError):
                named = printable(", ".join(left))
                text = f"threads that the environment has not ended end with the program: {named}"
                print(text, file=sys.stderr, flush=True)
                sys.stdout.flush()
            os._exit(status)

    timer = threading.Timer(THREAD_SECONDS, end)
    timer.daemon = True
    timer.start()


def _status_of(stop: BaseException | None) -> int:
    if isinstance(stop, SystemExit):
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return int(stop is not None)


@contextmanager
def reporting(tracebacks: bool = False) -> Iterator[None]:
    """Turn the failures a user can cause or meet into one line on stderr and an exit status.

    The status is 2 for arguments that cannot be used, 130 for Ctrl-C, SIGTERM or SIGHUP, and 1 for
    any other failure, which includes system errors such as a full disk; a closed stdout exits with
    1 and prints nothing. An unexpected exception keeps its traceback. `KeyboardInterrupt("text")`
    prints its text.

    Args:
        tracebacks: show the traceback of every failure before its line.
    """
    interrupts = Interrupts(CLEANUP_SECONDS)
    with standard_outputs() as (out, err), interrupts.handled():
        try:
            with interrupts.allowed():
                yield
                out.flush()  # here, where a closed pipe can still be handled
        except BrokenPipeError:
            raise SystemExit(1) from None
        except KeyboardInterrupt as error:
            _interrupted(str(error), err)
        except Exception as error:
            if interrupts.requested:  # code in C may turn an interrupt into an error of its own
                _interrupted("", err)
            status = _status(error)
            if tracebacks:
                _print_traceback(error)
            elif status is None:
                raise
            text = one_line(error) if status is None else _told(error)
            # A run's error has its place in it already, and may end with a command to copy.
            fail(text if isinstance(error, RunError) else with_place(text, error), status or 1)
        finally:
            _check(out, err)


def _interrupted(message: str, err: Output) -> NoReturn:
    print(printable(message) or "interrupted", file=err, flush=True)
    loading.told = True
    raise SystemExit(loading.STATUS)


def _print_traceback(error: Exception) -> None:
    """Print a traceback, and those of other processes that it goes back to."""
    traceback.print_exception(error)
    for cause in causes(error):
        if details := getattr(cause, "details", ""):
            print(details, file=sys.stderr)


def _check(out: Output, err: Output) -> None:
    """Report an output that could not be written, on the other one, unless the command failed."""
    stop = sys.exc_info()[1]
    failed = stop is not None and not (isinstance(stop, SystemExit) and not stop.code)
    with suppress(BrokenPipeError):
        out.flush()
    err.flush()
    for name, stream, other in (("stdout", out, err), ("stderr", err, out)):
        if stream.error is None:
            continue
        stream.let_go()
        if failed:
            continue
        if not isinstance(stream.error, BrokenPipeError):
            text = f"error: {name} cannot be written: {stream.reason()}; everything else is done"
            print(text, file=other)
            other.flush()
        raise SystemExit(1)


def _status(error: Exception) -> int | None:
    for module, name, status in _STATUSES:
        if isinstance(error, getattr(sys.modules.get(module), name, ())):
            return status
    if isinstance(error, OSError):
        return 2 if error.errno == errno.ENAMETOOLONG else 1
    return 1 if isinstance(error, MemoryError) or _is_library(error) else None


def _is_library(error: Exception) -> bool:
    """Whether a compiled library cannot be loaded, as where memory is limited."""
    return isinstance(error, ImportError) and ".so" in str(error)


def _told(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory: {error}"
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return f"{error.strerror}: more than `ulimit -n` allows"
    if _is_library(error):
        return f"a library cannot be loaded, perhaps for `ulimit -v`: {error}"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
