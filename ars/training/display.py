"""What shows a run to the user: the interface, and a display that shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Display(Protocol):
    """Shows a run to the user."""

    def progress(self, row: dict[str, Any]) -> None: ...

    def evaluation(self, row: dict[str, Any]) -> None: ...

    def best_so_far(self, return_mean: float) -> None: ...

    def notify(self, message: str) -> None: ...

    def working(self, on: Callable[[], str]) -> None:
        """Take a function that says, whenever it is called, what the run is doing."""


class Silent:
    """A display that shows nothing."""

    def progress(self, row: dict[str, Any]) -> None: ...

    def evaluation(self, row: dict[str, Any]) -> None: ...

    def best_so_far(self, return_mean: float) -> None: ...

    def notify(self, message: str) -> None: ...

    def working(self, on: Callable[[], str]) -> None: ...
