"""`python -m ars`: what there is."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ars.cli.exit import reporting
from ars.cli.parser import Parser


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
}


def overview() -> str:
    """The commands, an example, what ENV and RUN stand for, and the algorithms."""
    import envs
    from ars.algorithms import ALGORITHMS

    calls = {
        f"python -m ars.{name} {command.argument}": command.description
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
            "  python -m ars.train HalfCheetah",
            "  python -m ars.render runs/HalfCheetah/ars-s0",
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


@reporting()
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv` as after `python -m ars`."""
    parser = Parser(prog="python -m ars", description="Shows what commands there are.")
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        parser.error(f"{words[0]}: written with a dot, python -m ars.{words[0]}")
    parser.parse_args(words)
    print(overview())


if __name__ == "__main__":
    main()
