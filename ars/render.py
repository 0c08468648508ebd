"""`ars render RUN`, or `python -m ars.render RUN`: show a policy in a window or in a file.

Without --output a window opens if there is a display; otherwise a video is written. Windows and
videos play at the speed of simulated time, or --speed times that. Several RUNs are shown side by
side.
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
from ars.common.errors import UsageError
from ars.common.output import check_output
from ars.common.settings import make_config
from ars.rendering.film import Moment, RenderConfig

if TYPE_CHECKING:
    from ars.rendering.show import Recording
    from ars.rollout.episode import Episode


def _parser() -> Parser:
    parser = Parser(
        prog=program("render"),
        description="Show a policy: in a window where there is a display, else in a video.",
    )
    add_policy_flags(parser, several=True)
    parser.add_argument(
        "--window",
        action="store_true",
        help="show it in a window, as without --output where there is a display",
    )
    add_flags(parser, RenderConfig)
    return parser


@command
def main(arguments: Sequence[str]) -> None:
    """Run the command; `arguments`: those after `ars render`, by default the process's."""
    args = _parser().parse_args(arguments)
    config = make_config(RenderConfig, vars(args))
    import envs
    from ars.rendering.show import default_output, watch
    from ars.rendering.video import KINDS
    from ars.training.evaluation import acting
    from ars.training.rebuild import chosen_policy, training_moments
    from ars.training.trust import check_trust
    from envs.drawing.possible import why_no_window
    from envs.drawing.window import has_display

    if args.window and config.output is not None:
        raise UsageError(f"`output` {config.output}: has no meaning beside `window`")
    if args.window and not has_display():
        raise UsageError("`window`: needs a display, and no X server answers (DISPLAY)")
    output = None if config.output is None else check_output(config.output, *KINDS)
    if len(args.run) > 1:
        _grid(args, config, output)
        return
    [run] = args.run
    resolved = chosen_policy(run, args.latest, args.at, args.trust)
    check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, args.trust)
    moments = []
    if config.over_training:
        moments = training_moments(run, trust=args.trust, latest=args.latest, at=args.at)
    told = f"{len(moments)} policies of {run}" if moments else resolved.description
    print(told, flush=True)
    open_env = partial(acting, resolved, config.seed)
    if moments and args.window:
        raise UsageError("`over_training`: is written to a file, not shown in a window")
    if output is None and has_display() and not moments:
        reason = why_no_window(envs.resolve(resolved.file.env_id))
        if reason is None:
            watch(open_env, config, _print_episode)
            return
        if args.window:
            raise UsageError(f"`window`: {resolved.file.env_id} has none: {reason}")
        print(f"no window, but a video: {reason}", flush=True)
    if output is None:
        folder = Path(run) if Path(run).is_dir() else Path()
        output = folder / default_output(resolved.file.env_id, moments)
    from ars.rendering.show import record

    with progress("rendering") as advance:
        recording = record(open_env, config, output, advance, moments)
    for index, episode in enumerate(recording.episodes):
        _print_episode(index, episode, moments)
    _close(recording)


def _grid(args: Any, config: RenderConfig, output: Path | None) -> None:
    """Write several policies side by side."""
    from ars.rendering.grid import Shown, captions, record_grid, same_episodes
    from ars.training.evaluation import acting
    from ars.training.rebuild import chosen_policy
    from ars.training.trust import check_trust

    for name, given in (("over_training", config.over_training), ("window", args.window)):
        if given:
            raise UsageError(f"`{name}`: shows one RUN, and {len(args.run)} are given")
    config, output = same_episodes(config), output or Path("policies.mp4")
    shown = []
    for run, caption in zip(args.run, captions(args.run, output), strict=True):
        resolved = chosen_policy(run, args.latest, args.at, args.trust)
        check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, args.trust)
        print(resolved.description, flush=True)
        shown.append(Shown(caption, partial(acting, resolved, config.seed)))
    with progress("rendering") as advance:
        recording = record_grid(shown, config, output, advance)
    each = len(recording.episodes) // len(shown)
    for number, one in enumerate(shown):
        for index in range(each):
            print(f"{one.caption}, ", end="")
            _print_episode(index, recording.episodes[number * each + index])
    _close(recording)


def _close(recording: Recording) -> None:
    from ars.rendering.show import NOT_SMOOTH

    size = recording.path.stat().st_size
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    print(f"wrote {recording.path}: {recording.description}, {shown}")
    if not recording.smooth:
        print(NOT_SMOOTH)


def _print_episode(index: int, episode: Episode, moments: Sequence[Moment] = ()) -> None:
    what = f"{moments[index].timesteps:,} timesteps" if moments else f"episode {index + 1}"
    print(f"{what}: return {episode.total_reward:,.2f}, {episode.length:,} steps")


if __name__ == "__main__":
    main()
