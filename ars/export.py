"""`ars export RUN`, or `python -m ars.export RUN`: a policy in the format of another program.

The file takes an environment's observations and gives its actions: normalisation, scaling, bounds
and the choice of a discrete action are part of it. Before it is written it is compared with the
policy on 1,000 observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_policy_flags
from ars.cli.program import program
from ars.common.settings import make_config
from ars.exporting.settings import ExportConfig


def _parser() -> Parser:
    parser = Parser(
        prog=program("export"),
        description="Write a policy as a C header, ONNX model, torch program or NumPy arrays.",
    )
    add_policy_flags(parser)
    add_flags(parser, ExportConfig)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars export`, by default the process's."""
    args = _parser().parse_args(arguments)
    config = make_config(ExportConfig, vars(args))
    from ars.exporting.export import export_policy
    from ars.exporting.settings import chosen_format, default_output
    from ars.training.rebuild import chosen_policy

    format = chosen_format(config)
    resolved = chosen_policy(args.run, args.latest, args.at, args.trust)
    print(resolved.description, flush=True)
    folder = Path(args.run) if Path(args.run).is_dir() else Path()
    output = config.output or folder / default_output(resolved.file.env_id, format)
    done = export_policy(resolved.file, format, Path(output))
    size = done.path.stat().st_size
    print(f"wrote {done.path}: {size / 1e3:,.1f} kB, its actions are {done.comparison}")
    print(f"beside it: {', '.join(str(path) for path in done.beside)}")
    if done.clock:
        print(f"{done.clock}.")


if __name__ == "__main__":
    main()
