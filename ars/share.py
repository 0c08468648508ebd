"""`ars share RUN`, or `python -m ars.share RUN`: a run in one file, for others.

It holds the policies, the configuration, the result, the tape and the curves, with a picture and a
model card. `evaluate`, `render` and `verify` take it on any machine; nothing in it is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ars.cli.exit import command
from ars.cli.parser import Parser, add_trust_flag
from ars.cli.program import hint, program
from ars.common.errors import RunError, UsageError
from ars.common.output import check_output


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
    from ars.training.run_folder import CONFIG, one_of_those_in, read_json
    from ars.training.shared_run import PICTURE, share

    folder = Path(args.run)
    if not (folder / CONFIG).is_file():
        raise UsageError(
            f"`run` {folder}: not a run folder (no {CONFIG} in it){one_of_those_in(folder)}"
        )
    config = read_json(folder / CONFIG)
    name = f"{config.get('env_id')}-{config.get('algo')}-s{config.get('seed')}.zip"
    output = check_output(args.output or name.replace("/", "-").replace(":", "-"), ".zip")
    picture, why = None, ""
    try:
        picture = _picture(args.run, args.trust)
    except (RunError, UsageError) as error:
        why = str(error)
    names = share(folder, output, picture)
    print(f"wrote {output}: {output.stat().st_size / 1e3:,.1f} kB with {', '.join(names)}")
    if PICTURE not in names:
        print(f"without a picture: {why}")
    print(f"\n  use it        {hint('evaluate', output)}")


def _picture(run: str, trust: bool) -> bytes:
    """A sheet of the best policy at work, as PNG."""
    from ars.rendering.film import RenderConfig
    from ars.rendering.show import record
    from ars.training.evaluation import acting
    from ars.training.rebuild import chosen_policy
    from ars.training.trust import check_trust

    resolved = chosen_policy(run, trust=trust)
    check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, trust)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "picture.png"
        record(partial(acting, resolved, None), RenderConfig(), path)
        return path.read_bytes()


if __name__ == "__main__":
    main()
