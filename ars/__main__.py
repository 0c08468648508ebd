"""`ars`, or `python -m ars`: what there is; followed by a command's name, that command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ars.cli.exit import reporting
from ars.cli.parser import Parser
from ars.cli.program import program
from ars.common.own_modules import look_in_current_folder
from ars.common.settings import near


class Command(NamedTuple):
    """What others must know of a command.

    `entry_point`: its function, `module:function`, of the words after the command's name;
    `argument`: what it acts on, explained below the list; `description`: what it does, in a line.
    """

    entry_point: str
    argument: str
    description: str


COMMANDS: Mapping[str, Command] = {
    "train": Command("ars.train:main", "ENV", "train a policy for an environment"),
    "evaluate": Command("ars.evaluate:main", "RUN", "how good a policy is, over many episodes"),
    "render": Command(
        "ars.render:main", "RUN", "see a policy act: a window, a video or a sheet of pictures"
    ),
    "verify": Command(
        "ars.verify:main", "RUN", "check that a run is what it claims, to the last bit"
    ),
}


def overview() -> str:
    """The commands, an example, what ENV and RUN stand for, and the algorithms."""
    import envs
    from ars.algorithms import ALGORITHMS

    calls = {
        f"{program(name)} {command.argument}": command.description
        for name, command in COMMANDS.items()
    }
    return "\n".join(
        (
            "Augmented Random Search: a robot's name in, a policy that walks out.",
            "",
            *_columns(calls),
            "",
            "For example:",
            "",
            f"  {program('train')} HalfCheetah",
            f"  {program('render')} runs/HalfCheetah/ars-s0",
            "",
            f"ENV  {', '.join(envs.names())},",
            "     any registered Gymnasium id (CartPole-v1) or module:Id-v0",
            "RUN  a run folder, a policy file or the name of a shipped policy",
            "",
            "Algorithms, chosen with --algo:",
            "",
            *_columns({name: entry.description for name, entry in ALGORITHMS.items()}),
            "",
            "Each command explains itself with --help.",
        )
    )


def _columns(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"  {name:<{width}}  {text}" for name, text in rows.items()]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, or show what there is; `argv` as after `ars` or `python -m ars`."""
    look_in_current_folder()
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS:
        module, _, function = COMMANDS[words[0]].entry_point.partition(":")
        getattr(importlib.import_module(module), function)(words[1:])
    else:
        _show(words)


@reporting()
def _show(words: list[str]) -> None:
    parser = Parser(prog=program(), usage=f"{program()} [COMMAND ...]", add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="store_true")
    if words and not words[0].startswith("-"):
        known = near(words[0], COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        parser.error(f"{words[0]}: no command of that name{known}")
    if parser.parse_args(words).version:
        from ars import __version__

        print(f"ars {__version__}")
        return
    print(overview())


if __name__ == "__main__":
    main()
