"""`ars watch RUN`, or `python -m ars.watch RUN`: a page that shows a training and its robot, live.

The page is served on this machine until Ctrl-C. Files of the run are only read, so that a training
under way is not disturbed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_trust_flag
from ars.cli.program import program
from ars.common.settings import make_config, setting


@dataclass(frozen=True)
class WatchConfig:
    """Where the page is served."""

    host: str = setting(
        "127.0.0.1", "address to serve on; another than this one needs the token that is printed"
    )
    port: int = setting(8008, "port to serve on; 0: any that is free", at_least=0, at_most=65535)


def _parser() -> Parser:
    parser = Parser(
        prog=program("watch"),
        description="Show trainings in a browser: the robots, the curves, and every policy so far.",
    )
    parser.add_argument(
        "run", metavar="RUN", nargs="+", help="run folder, policy file or shipped policy"
    )
    add_flags(parser, WatchConfig)
    add_trust_flag(parser)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars watch`, by default the process's."""
    args = _parser().parse_args(arguments)
    config = make_config(WatchConfig, vars(args))
    from ars.watching.serve import served, wait

    with served(args.run, config.host, config.port, args.trust) as (address, look):
        print(f"watching {' '.join(args.run)} at {address} (Ctrl-C ends it)", flush=True)
        wait(look, threading.Event())


if __name__ == "__main__":
    main()
