"""Groups of training environments, in this process or in processes of their own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

from ars.common.errors import RolloutError, UsageError, carried, failures
from ars.common.host import at_home, hosting
from ars.common.interrupts import held_back, let_through
from ars.common.parent import end_with_parent
from ars.experience.env_group import EnvGroup, GroupSpec

CLOSE_SECONDS = 2.0  # for an environment process to close its environments
_NAME = "ars environments"  # of environment processes
_NO_MAIN_BLOCK = 78  # the exit status of one that would train instead of serving


class EnvGroupHandle(Protocol):
    """A group, wherever it runs: a method call is begun, then finished, one at a time."""

    def begin(self, name: str, *args: Any) -> None: ...

    def finish(self) -> Any: ...

    def leave(self) -> None: ...

    def close(self) -> None: ...


class InProcessGroup:
    """A group in this process."""

    def __init__(self, spec: GroupSpec, indices: Sequence[int]) -> None:
        self._group, self._result = EnvGroup(spec, indices), None

    def begin(self, name: str, *args: Any) -> None:
        self._result = getattr(self._group, name)(*args)

    def finish(self) -> Any:
        return self._result

    def leave(self) -> None:
        pass

    def close(self) -> None:
        self._group.close()


class ProcessDied(RolloutError):
    """An environment process died."""


class SubprocessGroup:
    """A group in a process of its own."""

    def __init__(self, spec: GroupSpec, indices: Sequence[int]) -> None:
        self._env_id = spec.env_id
        # Not forked, because torch and Ray run threads.
        context = multiprocessing.get_context("spawn")
        self._connection, child_end = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(child_end, spec, indices), daemon=True, name=_NAME
        )
        with at_home(), held_back():  # in the folder where its modules are found
            self._process.start()
        self._kill_at = 0.0
        child_end.close()

    def begin(self, name: str, *args: Any) -> None:
        with suppress(OSError):  # `finish` reports a process that died
            self._connection.send((name, args))

    def finish(self) -> Any:
        try:
            result, error = self._connection.recv()
        except (OSError, EOFError):
            self._process.join(1.0)
            status = self._process.exitcode
            if status == _NO_MAIN_BLOCK:
                raise _without_main_block() from None
            how = "closed its connection" if status is None else f"ended with status {status}"
            raise ProcessDied(f"{self._env_id}: an environment process {how}") from None
        if error is not None:
            raise error
        return result

    def leave(self) -> None:
        """Have the process end; `close` waits for that, and ends one that does not."""
        with suppress(OSError):
            self._connection.close()
        self._kill_at = self._kill_at or time.monotonic() + CLOSE_SECONDS

    def close(self) -> None:
        self.leave()
        try:
            self._process.join(max(0.0, self._kill_at - time.monotonic()))
        finally:  # also where a second Ctrl-C ends the wait
            self._process.kill()  # also one that is stopped, or in C code
            self._process.join()


def refuse_to_train_again() -> None:
    """Refuse to train in a process that imports the program which started it, and trains.

    Raises:
        UsageError: there is no main block; an environment process leaves it to its parent.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):
        if process.name == _NAME:
            raise SystemExit(_NO_MAIN_BLOCK)
        raise _without_main_block()


def _without_main_block() -> UsageError:
    return UsageError(
        "a process that training starts imports this program, which trains again: put the call "
        'under `if __name__ == "__main__":`'
    )


def _serve(connection: Connection, spec: GroupSpec, indices: Sequence[int]) -> None:
    """The main function of an environment process: serve calls until the other end closes."""
    let_through()
    parent = multiprocessing.parent_process()
    assert parent is not None and parent.pid is not None
    end_with_parent(parent.pid)
    # An environment may start processes of its own, which multiprocessing denies to daemons.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    group = None
    answer: tuple[Any, RolloutError | None]
    with suppress(EOFError, OSError), hosting(may_exit=True):
        while True:
            name, values = connection.recv()
            try:
                group = group or EnvGroup(spec, indices)
                answer = getattr(group, name)(*values), None
            except failures() as error:
                answer = None, carried(error)
            connection.send(answer)
    if group is not None:
        group.close()
