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
from ars.cli.exit import command
from ars.cli.parser import Parser, add_flags, add_policy_flags
from ars.cli.program import program
from ars.common.settings import make_config
from ars.rendering.film import Moment, RenderConfig

if TYPE_CHECKING:
    from ars.rollout.episode import Episode


def _parser() -> Parser:
    parser = Parser(
        prog=program("render"),
        description="Show a policy: in a window where there is a display, else in a video.",
    )
    add_policy_flags(parser)
    add_flags(parser, RenderConfig)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars render`, by default the process's."""
    args = _parser().parse_args(arguments)
    config = make_config(RenderConfig, vars(args))
    from ars.rendering.show import check_output, default_output, watch
    from ars.training.evaluation import acting
    from ars.training.rebuild import chosen_policy, training_moments
    from ars.training.trust import check_trust
    from envs.window import has_display

    output = None if config.output is None else check_output(config.output)
    resolved = chosen_policy(args.run, args.latest, args.at, args.trust)
    check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, args.trust)
    moments = training_moments(args.run, trust=args.trust) if config.over_training else []
    told = f"{len(moments)} policies of {args.run}" if moments else resolved.description
    print(told, flush=True)
    open_env = partial(acting, resolved, config.seed)
    if output is not None:
        _record(open_env, config, output, moments)
    elif has_display() and not moments:
        watch(open_env, config, _print_episode)
    else:
        folder = Path(args.run) if Path(args.run).is_dir() else Path()
        _record(open_env, config, folder / default_output(resolved.file.env_id, moments), moments)


def _record(open_env: Any, config: RenderConfig, output: Path, moments: list[Moment]) -> None:
    from ars.rendering.show import record

    with progress("rendering") as advance:
        recording = record(open_env, config, output, advance, moments)
    for index, episode in enumerate(recording.episodes):
        _print_episode(index, episode, moments)
    size = output.stat().st_size
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    print(f"wrote {output}: {recording.description}, {shown}")


def _print_episode(index: int, episode: Episode, moments: Sequence[Moment] = ()) -> None:
    what = f"{moments[index].timesteps:,} timesteps" if moments else f"episode {index + 1}"
    print(f"{what}: return {episode.total_reward:,.2f}, {episode.length:,} steps")


if __name__ == "__main__":
    main()
