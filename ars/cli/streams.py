"""Output that cannot end what it tells about: a full disk or a missing sign costs no result."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

# How to write the signs that the toolkit uses where the encoding has none of them.
_SPELLED = str.maketrans({"±": "+/-", "·": "-", "…": "..."})


def spelled_out(text: str, encoding: str) -> str:
    """A text that an encoding can hold: `±` becomes `+/-`, and what has no spelling `\\xe9`."""
    return text.translate(_SPELLED).encode(encoding, "backslashreplace").decode(encoding)


class Output:
    """A text stream that keeps its first failure instead of raising it, and is silent afterwards.

    A reader that went away (BrokenPipeError) is raised by stdout: nobody wants the rest.

    Args:
        stream: what to write to; None if it was closed before Python began.
        raises_broken_pipe: whether it does.

    Attributes:
        error: the failure; None so far.
    """

    def __init__(self, stream: TextIO | None, raises_broken_pipe: bool = True) -> None:
        if stream is None:
            stream = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
        self._stream, self._raises_broken_pipe = stream, raises_broken_pipe
        self._before = stream
        self.error: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Write a text, spelled out where the encoding cannot hold it."""
        if self.error is None:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                with self._kept():
                    self._stream.write(spelled_out(text, self._stream.encoding or "ascii"))
            except (OSError, ValueError) as error:
                self._keep(error)
        return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        if self.error is None:
            with self._kept():
                self._stream.flush()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            self._keep(error)

    def _keep(self, error: OSError | ValueError) -> None:
        self.error = error
        if isinstance(error, BrokenPipeError) and self._raises_broken_pipe:
            raise error

    def close(self) -> None:
        """Flush: the file is not for an environment to close."""
        self.flush()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Write in the block to a copy of the file, whatever becomes of the standard one."""
        try:
            copy = _copy(self._stream)
        except (OSError, ValueError, AttributeError):  # no file of the system's, or a closed one
            yield
            return
        self._stream = copy
        try:
            yield
        finally:
            self._stream = self._before
            with suppress(OSError, ValueError):  # which `flush` has kept
                copy.close()

    def let_go(self) -> None:
        """Let everything go nowhere that is written or flushed from now on, by Python's end too."""
        for stream in (self._stream, self._before):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)

    def reason(self) -> str:
        """Why it cannot be written."""
        return getattr(self.error, "strerror", None) or str(self.error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _copy(stream: Any) -> TextIO:
    """A stream to the same file, with the same encoding and as much buffering."""
    stream.flush()
    binary = open(os.dup(stream.fileno()), "wb", 0 if stream.write_through else -1)  # noqa: SIM115
    return io.TextIOWrapper(
        binary,
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def output() -> Output:
    """stdout as an `Output`."""
    return sys.stdout if isinstance(sys.stdout, Output) else Output(sys.stdout)


@contextmanager
def standard_outputs() -> Iterator[tuple[Output, Output]]:
    """Make stdout and stderr `Output`s for the block."""
    _open_standard_files()
    before = sys.stdout, sys.stderr
    out, err = Output(before[0]), Output(before[1], raises_broken_pipe=False)
    sys.stdout, sys.stderr = out, err
    try:
        with out.apart(), err.apart():
            yield out, err
    finally:
        sys.stdout, sys.stderr = before


def _open_standard_files() -> None:
    """Open what was closed, or a log would become the file that libraries in C print to."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
