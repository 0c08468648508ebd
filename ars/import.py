"""`ars import FILE ENV`, or `python -m ars.import FILE ENV`: take in another project's policy.

FILE is a `lin_policy_plus.npz` of the original ARS code or a zip of Stable-Baselines3. The result
is a policy file that every command takes. Nothing that is pickled in FILE is run.

`import` is a keyword, so this module has a name that no import statement can hold. It is only ever
started, by a name that goes with those of the other commands; from Python call
`ars.api.import_policy`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_wrapper_flag, with_flags
from ars.cli.program import hint, program
from ars.cli.words import KeyValues
from ars.common.output import free
from ars.common.settings import make_config, setting


@dataclass(frozen=True)
class ImportConfig:
    """Settings of an import."""

    statistics: str | None = setting(
        None, "VecNormalize's file, of a Stable-Baselines3 policy that was trained with it"
    )
    output: str | None = setting(
        None,
        "policy file to write (default: named as FILE, with a number if there is one already)",
    )


def _parser() -> Parser:
    parser = Parser(
        prog=program("import"),
        description="Make a policy file of a policy of Stable-Baselines3 or the original ARS code.",
    )
    parser.add_argument(
        "file", metavar="FILE", help="lin_policy_plus.npz, or what model.save wrote"
    )
    parser.add_argument("env", metavar="ENV", help="the environment that it acts in")
    add_flags(parser, ImportConfig)
    parser.add_argument(
        "--env-kwargs",
        metavar="K=V",
        action=KeyValues,
        default={},
        help="keyword arguments for the environment, spelled as those of training",
    )
    add_wrapper_flag(parser)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars import`, by default the process's."""
    args = _parser().parse_args(arguments)
    config = make_config(ImportConfig, vars(args))
    from ars.training.imports import import_file

    file = Path(args.file)
    statistics = None if config.statistics is None else Path(config.statistics)
    output = free(f"{file.stem}.safetensors") if config.output is None else Path(config.output)
    wrappers = {"wrappers": args.wrappers} if "wrappers" in args else {}
    done = import_file(file, args.env, args.env_kwargs | wrappers, statistics, output)
    for warning in done.warnings:
        print(f"warning: {with_flags(warning)}", file=sys.stderr)
    print(done.description)
    print(f"wrote {done.path}; evaluate it: {hint('evaluate', done.path)}")


if __name__ == "__main__":
    main()
