"""This process as the host of environments: other people's code, which may do anything to it.

Constructors, resets and steps move to other folders, take Ctrl-C for themselves, end the program.
While environments are hosted, relative paths still mean what they did when the user called
(`at_home`), signals are taken back, `os._exit` raises as `sys.exit` does, what fails in closing is
a warning, and programs that they start end with this process, however it ends.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ars.common.errors import failures, one_line
from ars.common.reaper import Reaper

if TYPE_CHECKING:
    import gymnasium

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class _Host:
    """What this process was like before it hosted environments.

    Attributes:
        depth: of blocks inside of blocks.
        staying: threads that `os._exit` must not end, each with the number of its blocks.
        pid: of this process, which differs in a fork of it.
        home: the folder in which the user called.
        workshop: the folder in which the first environment was made, perhaps moved to by its
            module; all others are made there too.
        handlers: those of the signals that are ours.
        files: for each number of a standard file, another of the same file.
        streams: `sys.stdout` and `sys.stderr`.
        path: `sys.path`.
        recursion: Python's limit of it.
        warn: shows the user a warning.
        said: the warnings shown.
        reaper: of the programs that environments start in this process.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.staying = Counter[int]()
        self.pid = 0
        self.home: str | None = None
        self.workshop: str | None = None
        self.handlers: dict[int, Any] = {}
        self.files: dict[int, int] = {}
        self.streams: dict[str, Any] = {}
        self.path: list[str] = []
        self.recursion = 0
        self.warn: dict[int, Callable[[str], None]] = {}  # by thread
        self.marking = ExitStack()
        self.said: set[str] = set()
        self.reaper: Reaper | None = None


_host = _Host()
_lock = threading.Lock()


@contextmanager
def hosting(warn: Callable[[str], None] | None = None, *, may_exit: bool = False) -> Iterator[None]:
    """Host environments in the block; afterwards folder and signals are as they were before.

    Args:
        warn: called with warnings about environments in the block; by default as outside of it.
        may_exit: leave `os._exit` alone: a process that is replaced if it ends.
    """
    thread = threading.get_ident()
    with _lock:
        if not _host.depth:
            if not may_exit:
                _host.marking.enter_context(_reaper().marking())
            _host.pid, _host.home, _host.workshop = os.getpid(), _folder(), None
            _host.handlers = {number: signal.getsignal(number) for number in _SIGNALS}
            _host.files = _copies()
            _host.path, _host.recursion = list(sys.path), sys.getrecursionlimit()
            _host.streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
            _host.said.clear()
            _guard_exit()
        _host.depth += 1
        _host.staying[thread] += not may_exit
        before = _host.warn.get(thread)
        if warn is not None:
            _host.warn[thread] = warn
    try:
        yield
    finally:
        with _lock:
            _host.warn.pop(thread, None)
            if before is not None:
                _host.warn[thread] = before
            _host.depth -= 1
            _host.staying[thread] -= not may_exit
            if not _host.depth:  # of all threads
                _host.marking.close()
                _host.staying.clear()
                take_back_signals()
                take_back_files()
                for copy in _host.files.values():
                    os.close(copy)
                _host.handlers, _host.files, _host.streams = {}, {}, {}
                _host.path, _host.recursion = [], 0
                _move(_host.home)


def _reaper() -> Reaper:
    """This process's own; it stays, because a later environment may use what an earlier started."""
    if _host.reaper is None or _host.pid != os.getpid():
        _host.reaper = Reaper()
        atexit.register(_reap, os.getpid(), _host.reaper)
    return _host.reaper


def _reap(pid: int, reaper: Reaper) -> None:
    if pid == os.getpid():  # not in a fork
        reaper.reap(grace_seconds=0.0)


def _folder() -> str | None:
    with suppress(OSError):  # it was removed
        return os.getcwd()
    return None


def _move(folder: str | None) -> None:
    if folder is not None and folder != _folder():
        with suppress(OSError):
            os.chdir(folder)


def _guard_exit() -> None:
    """Have `os._exit` raise where an environment calls it in a thread that hosts."""
    leave = os._exit
    if getattr(leave, "guarded", False):
        return

    def leave_unless_hosting(status: int) -> Any:
        if _host.pid == os.getpid() and _host.staying[threading.get_ident()]:
            raise SystemExit(status)
        leave(status)

    leave_unless_hosting.guarded = True  # type: ignore[attr-defined]
    os._exit = leave_unless_hosting


@contextmanager
def at_home() -> Iterator[None]:
    """Be in the folder in which the user called, for the block."""
    before = _folder()
    _move(_host.home)
    try:
        yield
    finally:
        _move(before)


def from_home(path: Path) -> Path:
    """The absolute path of what the user called `path`."""
    return path.absolute() if _host.home is None else Path(_host.home, path)


@contextmanager
def our_signals(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Keep these handlers of signals in the block, whoever installs others; in the main thread."""
    before, _host.handlers = _host.handlers, {**_host.handlers, **handlers}
    try:
        yield
    finally:
        _host.handlers = before


def take_back_signals(installed_in_c: bool = False) -> bool:
    """Install our handlers of signals where an environment has installed its own.

    Args:
        installed_in_c: also where Python cannot know, as libraries in C do.

    Returns:
        Whether there was one that was not ours.
    """
    found = False
    if not _host.handlers or threading.current_thread() is not threading.main_thread():
        return found
    for number, handler in _host.handlers.items():
        # A handler that was not installed from Python is None, and cannot be installed again.
        theirs = signal.getsignal(number) is not handler
        if (theirs or installed_in_c) and handler is not None:
            signal.signal(number, handler)
            found = found or theirs
    return found


def _copies() -> dict[int, int]:
    copies = {}
    for number in (0, 1, 2):
        with suppress(OSError):  # it is closed
            copies[number] = os.dup(number)
    return copies


def take_back_files() -> None:
    """Open standard files again where an environment has closed them, or dropped their streams.

    Otherwise the next file opened, such as a log, would take their number and what is printed.
    """
    for number, copy in _host.files.items():
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # the environment has closed everything
                os.dup2(copy, number)
    for name, stream in _host.streams.items():
        if getattr(sys, name) is None:
            setattr(sys, name, stream)


def _take_back_python() -> None:
    """Let what the toolkit needs be imported and called, whatever an environment has set."""
    sys.path += [place for place in _host.path if place not in sys.path]
    if sys.getrecursionlimit() < _host.recursion:
        sys.setrecursionlimit(_host.recursion)


def take_back_at_every_step(env: gymnasium.Env[Any, Any]) -> None:
    """Take signals back after every reset and step, of an environment that takes them there."""

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def call_and_take_back(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            finally:
                take_back_signals()

        return call_and_take_back

    for name in ("reset", "step"):
        setattr(env, name, guarded(getattr(env, name)))


def make_env(env_id: str, env_kwargs: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """An environment, made in the same folder as all before; `envs.make` says what it raises."""
    import envs

    envs.resolve(env_id)  # imports its module, which may move to another folder
    if _host.depth:
        _host.workshop = _host.workshop or _folder()
        _move(_host.workshop)
    try:
        return envs.make(env_id, **env_kwargs)
    finally:
        take_back_signals(installed_in_c=True)
        take_back_files()
        _take_back_python()
        if _folder() is None:  # it removed the folder that it moved to: libraries may not load
            _move(_host.home)


def close_env(env: gymnasium.Env[Any, Any], env_id: str, *, warns: bool = True) -> None:
    """Close an environment; a failure is at most a warning, or silent if another is on its way."""
    silent = not warns or sys.exc_info()[1] is not None
    try:
        env.close()
    except failures() as error:
        line = f"{env_id}: its close() failed: {one_line(error)}"
        warn = _host.warn.get(threading.get_ident(), next(iter(_host.warn.values()), None))
        if not silent and warn is not None and line not in _host.said:
            _host.said.add(line)
            warn(line)
    finally:
        take_back_files()
