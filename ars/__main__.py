"""`ars`, or `python -m ars`: what there is; followed by a command's name, that command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from ars.cli.exit import reporting
from ars.cli.parser import Parser
from ars.cli.program import program
from ars.common.own_modules import look_in_current_folder
from ars.common.settings import near

COMMANDS = {
    "train": ("ENV", "train a policy for an environment"),
    "evaluate": ("RUN", "how good a policy is, over many episodes"),
    "render": ("RUN", "see a policy act: a window, a video or a sheet of pictures"),
}


def overview() -> str:
    """The commands, an example, and what ENV and RUN stand for."""
    import envs

    calls = {f"{program(name)} {word}": text for name, (word, text) in COMMANDS.items()}
    width = max(map(len, calls))
    return "\n".join(
        (
            "Augmented Random Search: a robot's name in, a policy that walks out.",
            "",
            *(f"  {call:<{width}}  {text}" for call, text in calls.items()),
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
            "Each command explains itself with --help.",
        )
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, or show what there is; `argv` as after `ars` or `python -m ars`."""
    look_in_current_folder()
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS:
        importlib.import_module(f"ars.{words[0]}").main(words[1:])
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
