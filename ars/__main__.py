"""`python -m ars`: what there is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ars.cli.exit import reporting
from ars.cli.parser import Parser

COMMANDS = {
    "train": ("ENV", "train a policy for an environment"),
    "evaluate": ("RUN", "how good a policy is, over many episodes"),
    "render": ("RUN", "see a policy act: a window, a video or a sheet of pictures"),
}


def overview() -> str:
    """The commands, an example, and what ENV and RUN stand for."""
    import envs

    calls = {f"python -m ars.{name} {word}": text for name, (word, text) in COMMANDS.items()}
    width = max(map(len, calls))
    return "\n".join(
        (
            "Augmented Random Search: a robot's name in, a policy that walks out.",
            "",
            *(f"  {call:<{width}}  {text}" for call, text in calls.items()),
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
            "Each command explains itself with --help.",
        )
    )


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
