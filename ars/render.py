"""`ars render RUN`, or `python -m ars.render RUN`: show a policy in a window or in a file.

Without --output a window opens if there is a display; otherwise a video is written. Windows and
videos play at the speed of simulated time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ars.cli.console import progress
from ars.cli.exit import reporting
from ars.cli.parser import Parser, add_flags
from ars.cli.program import program
from ars.common.settings import make_config
from ars.rendering.film import RenderConfig

if TYPE_CHECKING:
    from ars.rollout.episode import Episode


def _parser() -> Parser:
    parser = Parser(
        prog=program("render"),
        description="Show a policy: in a window where there is a display, else in a video.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder, policy file or shipped policy")
    add_flags(parser, RenderConfig)
    parser.add_argument(
        "--latest", action="store_true", help="a run folder's latest policy instead of its best"
    )
    return parser


@reporting()
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; `argv`: the arguments after `ars render`."""
    args = _parser().parse_args(argv)
    config = make_config(RenderConfig, vars(args))
    from ars.rendering.show import check_output, default_output, watch
    from ars.training.evaluation import acting
    from ars.training.run_folder import find_policy
    from envs.window import has_display

    output = None if config.output is None else check_output(config.output)
    resolved = find_policy(args.run, args.latest)
    print(resolved.description, flush=True)
    open_env = partial(acting, resolved, config.seed)
    if output is not None:
        _record(open_env, config, output)
    elif has_display():
        watch(open_env, config, _print_episode)
    else:
        folder = Path(args.run) if Path(args.run).is_dir() else Path()
        _record(open_env, config, folder / default_output(resolved.file.env_id))


def _record(open_env: Any, config: RenderConfig, output: Path) -> None:
    from ars.rendering.show import record
    from ars.training.signals import Interrupts

    interrupts = Interrupts()
    with interrupts.handled(), interrupts.allowed(), progress("rendering") as advance:
        recording = record(open_env, config, output, advance)
    for index, episode in enumerate(recording.episodes):
        _print_episode(index, episode)
    size = output.stat().st_size
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    print(f"wrote {output}: {recording.description}, {shown}")


def _print_episode(index: int, episode: Episode) -> None:
    print(f"episode {index + 1}: return {episode.total_reward:,.2f}, {episode.length:,} steps")


if __name__ == "__main__":
    main()
