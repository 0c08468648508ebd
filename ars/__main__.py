"""`ars`, or `python -m ars`: runs a command, or prints an overview if none is named."""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from ars import __version__
from ars.cli.exit import command
from ars.cli.parser import Parser
from ars.cli.program import program
from ars.common.own_modules import look_in_current_folder
from ars.common.settings import counted, near
from ars.common.shipped import shipped


class Command(NamedTuple):
    """A command's entry in the registry.

    Attributes:
        entry_point: its main function, as `module:function`; it takes the list of arguments after
            the command's name.
        argument: its positional argument, explained below the list of commands.
        description: one line for the list of commands.
    """

    entry_point: str
    argument: str
    description: str


COMMANDS: Mapping[str, Command] = {
    "train": Command("ars.train:main", "ENV", "train a policy for an environment"),
    "evaluate": Command("ars.evaluate:main", "RUN", "how good a policy is, over many episodes"),
    "render": Command(
        "ars.render:main", "RUN", "show a policy: a window, a video or a sheet of pictures"
    ),
    "tune": Command("ars.tune:main", "ENV", "search for settings, and write them as a preset"),
    "plot": Command(
        "ars.plot:main", "RUN", "learning curves, comparisons and linear policies as figures"
    ),
    "report": Command("ars.report:main", "RUN", "one page about runs: curve, settings, films"),
    "export": Command(
        "ars.export:main", "RUN", "write a policy as a C header, ONNX, torch program or npz file"
    ),
    "import": Command(
        "ars.import:main", "FILE", "take in a policy of Stable-Baselines3 or the original ARS code"
    ),
    "watch": Command("ars.watch:main", "RUN", "a page that shows a training and its robot, live"),
    "share": Command("ars.share:main", "RUN", "write a run to one file that others can use"),
    "verify": Command(
        "ars.verify:main", "RUN", "check that a run is what it claims, to the last bit"
    ),
}


def overview() -> str:
    """The text of `ars`: commands, an example, what ENV and RUN stand for, and algorithms."""
    import envs
    from ars.algorithms import ALGORITHMS

    calls = {
        f"{program(name)} {command.argument}": command.description
        for name, command in COMMANDS.items()
    }
    return "\n".join(
        (
            "Augmented Random Search: give a robot's name, get a policy that walks.",
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
            "Shipped policies, with the mean return of their run's last evaluation:",
            "",
            *_columns({name: _worth(path) for name, path in shipped().items()}),
            "",
            "Algorithms, chosen with --algo:",
            "",
            *_columns({name: entry.description for name, entry in ALGORITHMS.items()}),
            "",
            "Presets, taken for the environment of their name or chosen with --preset:",
            "",
            *_columns({name: ", ".join(entry.presets) for name, entry in ALGORITHMS.items()}),
            "",
            "Each command lists its options with --help, train HalfCheetah --help also its preset.",
        )
    )


def _worth(shipped: Path) -> str:
    """What a shipped run's policy is worth: `ppo, 2,803, 36 metres in 5 episodes`."""
    with ZipFile(shipped) as file:
        config, result = (json.loads(file.read(f"{name}.json")) for name in ("config", "result"))
    final = result["final_evaluation"]
    worth = [config["algo"], f"{final['return_mean']:,.0f}"]
    if "flags_mean" in final:
        worth.append(f"{final['flags_mean']:.1f} flags")
    if "metres_mean" in final:
        worth.append(f"{final['metres_mean']:.0f} metres")
    return f"{', '.join(worth)} in {counted(final['episodes'], 'episode')}"


def _columns(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    rest = " " * (width + 4)
    return [
        line
        for name, text in rows.items()
        for line in textwrap.wrap(
            text,
            100,
            initial_indent=f"  {name:<{width}}  ",
            subsequent_indent=rest,
            break_on_hyphens=False,
        )
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command or print the overview; `argv`: the arguments after `ars`."""
    look_in_current_folder()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in COMMANDS:
        module, _, function = COMMANDS[arguments[0]].entry_point.partition(":")
        getattr(importlib.import_module(module), function)(arguments[1:])
    else:
        _run_without_command(arguments)


@command
def _run_without_command(arguments: Sequence[str]) -> None:
    parser = Parser(prog=program(), usage=f"{program()} [COMMAND ...]", add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="store_true")
    if arguments and not arguments[0].startswith("-"):
        known = near(arguments[0], COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        parser.error(f"{arguments[0]}: no command of that name{known}")
    if parser.parse_args(arguments).version:
        print(f"ars {__version__}")
        return
    print(overview())


if __name__ == "__main__":
    main()
