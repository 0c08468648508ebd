"""`ars report RUN…`, or `python -m ars.report RUN…`: one page about runs that stands alone.

It shows what was trained and what came of it: curve, evaluations, settings, weights, pictures, a
video and the policies of the training on a slider. Nothing on it is fetched from elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ars.cli.console import progress, tell_aside
from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_trust_flag
from ars.cli.program import program
from ars.common.output import check_output
from ars.common.settings import make_config
from ars.reporting.config import ReportConfig


def _parser() -> Parser:
    parser = Parser(
        prog=program("report"),
        description="Write one HTML page about runs, with curve, evaluations, settings, weights, "
        "pictures and films in it.",
    )
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="+",
        help="run folder, shared run, or a folder with run folders below",
    )
    add_flags(parser, ReportConfig)
    add_trust_flag(parser)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars report`, by default the process's."""
    args = _parser().parse_args(arguments)
    config = make_config(ReportConfig, vars(args))
    from ars.reporting.make import ENDINGS, report

    folder = Path(args.run[0]) if len(args.run) == 1 and Path(args.run[0]).is_dir() else Path()
    output = check_output(
        folder / "report.html" if config.output is None else config.output, *ENDINGS
    )
    report(args.run, config, output, tell_aside, _working, args.trust)
    print(f"wrote {output}: {output.stat().st_size / 1e6:.1f} MB, for any browser")


@contextmanager
def _working(what: str) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():  # where there is no bar
        tell_aside(what)
    with progress(what) as advance:
        yield advance


if __name__ == "__main__":
    main()
