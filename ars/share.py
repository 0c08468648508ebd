"""`ars share RUN`, or `python -m ars.share RUN`: a run in one file, for others.

It holds the policies, the configuration, the result, the tape and the curves, with a picture and a
model card. `evaluate`, `render` and `verify` take it on any machine; nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ars.cli.exit import command
from ars.cli.parser import Parser, add_trust_flag, with_flags
from ars.cli.program import hint, program


def _parser() -> Parser:
    parser = Parser(
        prog=program("share"), description="Write a run to one file that others can use."
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument(
        "--output", metavar="FILE", help="file to write, .zip (default: named after the run)"
    )
    add_trust_flag(parser)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars share`, by default the process's."""
    args = _parser().parse_args(arguments)
    from ars.reporting.sharing import share_run

    done = share_run(Path(args.run), args.output, args.trust)
    size = done.path.stat().st_size / 1e3
    print(f"wrote {done.path}: {size:,.1f} kB with {', '.join(done.names)}")
    if done.without_picture:
        print(with_flags(f"without a picture: {done.without_picture}"))
    print(f"\n  use it        {hint('evaluate', done.path)}")


if __name__ == "__main__":
    main()
