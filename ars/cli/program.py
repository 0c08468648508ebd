"""How the user called the toolkit: `ars train`, `python -m ars train` or `python -m ars.train`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from ars.cli.parser import flag_name
from ars.common.loading import SCRIPTS
from ars.common.shell import quoted


def program(command: str = "") -> str:
    """How to call a command (`train`) or, without one, the toolkit, in the form the user did.

    Any other program than the console script and `python -m ars` gets the form that always works.
    """
    called = Path(sys.argv[0])
    if called.name in SCRIPTS:
        return f"ars {command}".rstrip()
    if called.parts[-2:] == ("ars", "__main__.py"):
        return f"python -m ars {command}".rstrip()
    return f"python -m ars.{command}" if command else "python -m ars"


def command_line() -> str:
    """This process's command line, quoted for a shell."""
    called = Path(sys.argv[0])
    if called.parts[-2:-1] == ("ars",):
        name = program("" if called.stem == "__main__" else called.stem)
    else:
        name = program() if called.name in SCRIPTS else called.name
    return shlex.join([*name.split(), *sys.argv[1:]])


def hint(command: str, *words: object) -> str:
    """A command to copy: `ars render 'runs/my robot'`."""
    return " ".join((program(command), *map(quoted, words)))


def resuming(folder: Path, command: str = "train", **settings: Any) -> str:
    """The command that goes on with a run, with these settings; one of None is left out."""
    given = {name: value for name, value in settings.items() if value is not None}
    flags = [word for name, value in given.items() for word in (flag_name(name), value)]
    return hint(command, "--resume", folder, *flags)
