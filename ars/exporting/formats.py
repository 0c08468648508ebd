"""What the writer of a format takes and returns."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ars.exporting.plain import PlainPolicy
from ars.exporting.settings import FORMATS
from policies import Policy


@dataclass(frozen=True)
class Origin:
    """What an exported file says of where it comes from, and the name of its file.

    Attributes:
        file: the file's name.
        env_id: the environment that the policy acts in.
        description: of the policy, one line.
        clock: which of its inputs are a clock's, in words; empty where it has none.
    """

    file: str
    env_id: str
    description: str
    clock: str = ""

    @property
    def name(self) -> str:
        """That of the file, without its ending."""
        return Path(self.file).stem

    @property
    def about(self) -> str:
        """As JSON, for formats that keep a text."""
        about = {"env_id": self.env_id, "policy": self.description}
        return json.dumps({**about, "clock": self.clock} if self.clock else about)


@dataclass(frozen=True)
class Exported:
    """A policy in another format, not yet written to the disk.

    Attributes:
        data: the file.
        act: the actions that the file gives, through a program that reads it: for observations
            [n, *shape] in the type of their space, [n, *shape of an action].
        bits: whether they have to equal the policy's to the last bit.
        beside: further files: endings, and what makes each from a few observations and actions.
    """

    data: bytes
    act: Callable[[NDArray[Any]], NDArray[Any]]
    bits: bool = False
    beside: Mapping[str, Callable[[NDArray[Any], NDArray[Any]], bytes]] = field(
        default_factory=dict
    )


Writer = Callable[[Policy, PlainPolicy, Origin], Exported]


def load_writer(format: str) -> Writer:
    """Import and return what writes a format."""
    module, _, name = FORMATS[format].entry_point.partition(":")
    writer: Writer = getattr(importlib.import_module(module), name)
    return writer
