"""`python -m ars.render RUN`: see a policy act, in a window or in a file.

Without --output a window opens where there is a display; otherwise a video is written. Time in
the window and in the video is the time in the world.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ars.cli.console import progress
from ars.cli.exit import reporting
from ars.cli.parser import Parser, add_flags
from ars.common.errors import RunError, UsageError
from ars.common.settings import make_config, setting

if TYPE_CHECKING:
    from PIL.Image import Image

    from ars.rendering.recorder import Shot
    from ars.rendering.video import Kind
    from ars.rollout.episode import Episode, Rollouts
    from ars.training.run_folder import ResolvedPolicy


@dataclass(frozen=True)
class RenderConfig:
    """What to show, and where."""

    output: str | None = setting(
        None, "file to write: .mp4, .gif (at most 20 s) or .png (12 moments)"
    )
    episodes: int = setting(1, "episodes to show", at_least=1)
    seed: int | None = setting(None, "seed of the episodes, else the training run's", at_least=0)
    width: int | None = setting(None, "pixels across, where the environment lets it be chosen")
    height: int | None = setting(None, "pixels down, likewise")


SIZES = (16, 4096)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m ars.render",
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
    """Run the command; `argv` as after `python -m ars.render`."""
    args = _parser().parse_args(argv)
    config = make_config(RenderConfig, vars(args))
    for name in ("width", "height"):
        value = getattr(config, name)
        if value is not None and not SIZES[0] <= value <= SIZES[1]:
            raise UsageError(f"--{name} {value}: must be from {SIZES[0]} to {SIZES[1]}")
    from ars.rendering.video import KINDS
    from ars.training.run_folder import find_policy
    from envs.window import has_display

    if config.output is not None and Path(config.output).suffix.lower() not in KINDS:
        raise UsageError(f"--output {config.output}: must end in {', '.join(KINDS)}")
    found = find_policy(args.run, args.latest)
    print(found.description, flush=True)
    if config.output is not None:
        record(found, config, Path(config.output))
    elif has_display():
        watch(found, config)
    else:
        folder = Path(args.run) if Path(args.run).is_dir() else Path()
        record(found, config, folder / f"{_short_name(found.file.env_id)}.mp4")


def _short_name(env_id: str) -> str:
    return env_id.rpartition(":")[2].replace("/", "-")


def watch(found: ResolvedPolicy, config: RenderConfig) -> None:
    """Show the episodes in a window, in real time. Raises: RunError."""
    from ars.rendering.recorder import Paced
    from ars.training.evaluation import acting

    with acting(found, config.seed, **_picture_options("human", config)) as rollouts:
        rollouts.env = Paced(rollouts.env, _steps_per_second(rollouts))
        for index in range(config.episodes):
            _notify(index, _play(rollouts, found, index))


def record(found: ResolvedPolicy, config: RenderConfig, output: Path) -> None:
    """Write the episodes to `output`. Raises: UsageError, RunError; then nothing is written."""
    from ars.rendering import recorder, video
    from ars.training.evaluation import acting
    from ars.training.signals import Interrupts
    from envs.window import has_display

    if not has_display():
        os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo reads it when it is first imported
    kind = video.KINDS[output.suffix.lower()]
    interrupts = Interrupts()
    with (
        interrupts.handled(),
        interrupts.allowed(),
        video.replacing(output) as temporary,
        acting(found, config.seed, **_picture_options("rgb_array", config)) as rollouts,
        progress("rendering") as count,
    ):
        recorder.follow(rollouts.env)
        film = Film(kind, config, _short_name(found.file.env_id), _steps_per_second(rollouts))
        if kind.moments:
            # Seed and actions decide an episode: a first pass without pictures tells its length.
            film.choose([_play(rollouts, found, index).length for index in range(config.episodes)])
        with video.finishing(kind.writer(temporary, film.fps)) as writer:

            def take(shot: Shot) -> None:
                writer.add(film.develop(shot))
                count()

            rollouts.env = recorder.Camera(rollouts.env, film.wants, take)
            episodes = [_play(rollouts, found, index) for index in range(config.episodes)]
    for index, episode in enumerate(episodes):
        _notify(index, episode)
    size = output.stat().st_size
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    print(f"wrote {output}: {film.summary(writer.size)}, {shown}")


class Film:
    """Chooses the moments to take, scales and labels their pictures.

    `speed`: steps in a second of the world; `fps`: pictures in a second of the file.
    """

    def __init__(self, kind: Kind, config: RenderConfig, name: str, speed: float) -> None:
        from ars.rendering.recorder import Label

        self._kind, self._config, self._name, self._speed = kind, config, name, speed
        self._stride = max(1, round(speed / kind.fps))
        self._label = Label()
        self._chosen: set[tuple[int, int]] | None = None
        self._taken = 0
        self.fps = speed / self._stride

    def choose(self, lengths: Sequence[int]) -> None:
        """Take moments spread evenly over episodes of these lengths, first and last included."""
        ends = list(itertools.accumulate(length + 1 for length in lengths))
        gaps = self._kind.frames - 1
        self._chosen = set()
        for state in (round(gap * (ends[-1] - 1) / gaps) for gap in range(gaps + 1)):
            episode = bisect.bisect_right(ends, state)
            self._chosen.add((episode, state - (ends[episode - 1] if episode else 0)))

    def wants(self, episode: int, step: int) -> bool:
        """Whether the state after `step` steps of `episode` is to be taken."""
        if self._chosen is not None:
            return (episode, step) in self._chosen
        return step % self._stride == 0 and self._taken < self._kind.frames

    def develop(self, shot: Shot) -> Image:
        """The picture as it goes into the file."""
        from PIL import Image

        self._taken += 1
        image = Image.fromarray(shot.picture)
        width, chosen = self._kind.width, self._config.width or self._config.height
        if width is not None and image.width > width and not chosen:
            height = round(image.height * width / image.width)
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        count = self._config.episodes
        which = f"   episode {shot.episode + 1} of {count}" if count > 1 else ""
        seconds = shot.step / self._speed
        lines = (self._name + which, f"return {shot.total:,.1f}", f"time {seconds:.1f} s")
        self._label.draw(image, lines)
        return image

    def summary(self, size: tuple[int, int]) -> str:
        """What was made: size in pixels, frames, duration."""
        words = f"{size[0]}x{size[1]}, {self._taken} frames"
        if self._kind.moments:
            return words
        limit = " (the most it may have)" if self._taken == self._kind.frames else ""
        return f"{words}{limit}, {self._taken / self.fps:.1f} s"


def _picture_options(render_mode: str, config: RenderConfig) -> dict[str, Any]:
    size = {"width": config.width, "height": config.height}
    chosen = {name: value for name, value in size.items() if value is not None}
    return {"render_mode": render_mode, **chosen}


def _steps_per_second(rollouts: Rollouts) -> float:
    """Of the world; Gymnasium's environments that do not say it are taken to make 30."""
    fps = rollouts.env.metadata.get("render_fps")
    return float(fps) if isinstance(fps, int | float) and fps > 0 else 30.0


def _play(rollouts: Rollouts, found: ResolvedPolicy, index: int) -> Episode:
    from ars.common.errors import one_line
    from ars.common.seeding import Stream, reset_seed
    from ars.rollout.episode import rollout

    spec = rollouts.spec
    where = f"{spec.env_id}, rendered episode {index}"
    seed = reset_seed(spec.seed, Stream.RENDERING, index)
    try:
        episode = rollout(rollouts.env, found.file.policy, seed, spec.rollout_length)
    except Exception as error:
        reason = str(error) if isinstance(error, RunError) else one_line(error)
        raise RunError(f"{where}: {reason}") from error
    if episode.fault is not None:
        raise RunError(f"{where}: {episode.fault}")
    return episode


def _notify(index: int, episode: Episode) -> None:
    print(f"episode {index + 1}: return {episode.total_reward:,.2f}, {episode.length:,} steps")


if __name__ == "__main__":
    main()
