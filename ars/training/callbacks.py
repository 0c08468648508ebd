"""Callbacks from Python, called beside or instead of a display."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ars.common.errors import UsageError
from ars.training.display import Display

Callback = Callable[[dict[str, Any]], Any]
T = TypeVar("T")


class CallbackError(Exception):
    """A callback failed; the cause is what it raised.

    Not an error of the run, which an OSError, say, would look like: a disk that is full.
    """


def as_raised(train: Callable[..., T], *arguments: Any) -> T:
    """Call a function that calls callbacks; what one raises leaves it as it was."""
    try:
        return train(*arguments)
    except CallbackError as failed:
        raised = failed.__cause__
    assert raised is not None
    raise raised


class Callbacks:
    """A display that also calls two callbacks, each of which may stop the run.

    A callback gets a copy of a row of progress.csv or of evaluations.csv. If it returns True,
    Python's or NumPy's (no other truthy value counts), the run stops after this iteration.

    Raises:
        UsageError: a callback is not a function.
        CallbackError: it failed, when it is called.
    """

    def __init__(
        self, display: Display, on_iteration: Callback | None, on_evaluation: Callback | None
    ) -> None:
        for name, value in (("on_iteration", on_iteration), ("on_evaluation", on_evaluation)):
            if value is not None and not callable(value):
                raise UsageError(f"`{name}` {value!r}: must be a function")
        self._display = display
        self._on_iteration, self._on_evaluation = on_iteration, on_evaluation
        self._stop = False
        self.best_so_far, self.notify = display.best_so_far, display.notify
        self.working = display.working

    def progress(self, row: dict[str, Any]) -> None:
        """Show an iteration and call its callback."""
        self._display.progress(row)
        self._call(self._on_iteration, row)

    def evaluation(self, row: dict[str, Any]) -> None:
        """Show an evaluation and call its callback."""
        self._display.evaluation(row)
        self._call(self._on_evaluation, row)

    def _call(self, callback: Callback | None, row: dict[str, Any]) -> None:
        try:
            answer = None if callback is None else callback(dict(row))
        except Exception as error:
            raise CallbackError from error
        if isinstance(answer, bool | np.bool_) and answer:
            self._stop = True

    def stop_reason(self) -> str | None:
        """Why the run is to stop now; None if it is not."""
        return "stopped by a callback" if self._stop else None
