"""`ars plot RUN…`, or `python -m ars.plot RUN…`: draw runs, or compare them in a table.

Runs that differ in their seed alone become one line, with the interquartile mean over them and its
bootstrap interval. With --weights it draws what a linear policy is. Beside the curve of a tabular
method it draws the table: a grid's values and best moves, a graph, or Blackjack's chart; beside
that of a policy in a world that is seen from above, its ways through it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ars.cli.console import progress, tell_aside
from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_trust_flag
from ars.cli.program import program
from ars.common.errors import UsageError
from ars.common.output import check_output
from ars.common.settings import make_config
from ars.common.shipped import shipped
from ars.results.plot_config import TABLE_FORMATS, PlotConfig


def _parser() -> Parser:
    parser = Parser(
        prog=program("plot"),
        description="Draw the learning curves of runs, compare them in a table (--table), or show "
        "what a linear policy is (--weights).",
    )
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="+",
        help="run folder, or a folder with run folders below; with --weights also a policy file or "
        "a shipped policy",
    )
    add_flags(parser, PlotConfig)
    add_trust_flag(parser)
    return parser


def _with_table_format(words: Sequence[str]) -> Iterator[str]:
    """The words with `--table=text` for a `--table` that no format follows, nor a wrong one."""
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        yield "--table=text" if word == "--table" and not _is_format(following) else word


def _is_format(word: str) -> bool:
    """Whether a word after `--table` is meant as a format: it may be a flag, or a RUN."""
    is_name = word.replace("-", "").isalnum() and not word.startswith("-")
    is_run = Path(word).exists() or word.lower() in map(str.lower, shipped())
    return word.lower() in TABLE_FORMATS or (is_name and not is_run)


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars plot`, by default the process's."""
    args = _parser().parse_args(list(_with_table_format(arguments)))
    config = make_config(PlotConfig, vars(args))
    from ars.results import plotting, style
    from ars.results.table import FORMATS
    from ars.training.rebuild import chosen_policy

    tell = functools.cache(tell_aside)  # a table and a figure of the same runs have the same to say
    name = "weights.png" if config.weights else "learning_curves.png"
    output = check_output(
        _default_output(args.run, name) if config.output is None else config.output, *style.FORMATS
    )
    if config.weights:
        if described := plotting.plot_tables(args.run, config, output, args.trust):
            print(*described, f"wrote {output}", sep="\n")
            return
        if len(args.run) > 1:
            raise UsageError("`weights`: shows one policy; give one RUN")
        resolved = chosen_policy(args.run[0], config.latest, config.at, args.trust)
        with progress("switching off") as advance:
            found = plotting.plot_weights(resolved, config, output, tell, args.trust, advance)
        print(*found, f"wrote {output}", sep="\n")
        return
    if config.table is not None:
        if config.output is None:
            _refuse_of_figures(config)
        print(FORMATS[config.table](plotting.compare_runs(args.run, tell)))
    if config.table is None or config.output is not None:
        lines = plotting.plot_curves(args.run, config, output, tell)
        print(
            f"wrote {output}: {plotting.summary(lines)}", file=sys.stderr if config.table else None
        )
    if config.table is None and config.output is None:
        beside = _default_output(args.run, "policy.png")
        if described := plotting.plot_policies(args.run, beside, tell, args.trust):
            print(*described, f"wrote {beside}", sep="\n")


def _refuse_of_figures(config: PlotConfig) -> None:
    """Raises: UsageError for a setting of a figure where there is a table alone."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in ("training", "x", "reference") and value != field.default:
            raise UsageError(f"`{field.name}`: is of a figure; `table` alone draws none")


def _default_output(runs: Sequence[str], name: str) -> Path:
    """In the folder that was given, if it is one; else in the current one."""
    return Path(runs[0], name) if len(runs) == 1 and Path(runs[0]).is_dir() else Path(name)


if __name__ == "__main__":
    main()
