"""Shows a policy's episodes: in a window in real time, or in a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ars.common.errors import RunError, UsageError, one_line
from ars.common.seeding import Stream, reset_seed
from ars.rendering import recorder, video
from ars.rendering.film import Film, RenderConfig
from ars.rollout.episode import Episode, Rollouts, rollout
from envs.window import has_display

# Opens the policy's environment, with options such as `render_mode` added to its own.
Opener = Callable[..., AbstractContextManager[Rollouts]]


@dataclass(frozen=True)
class Recording:
    """A file that was written, its episodes, and its size in pixels, frames and seconds as text."""

    path: Path
    episodes: list[Episode]
    description: str


def default_output(env_id: str) -> str:
    """The default file name for a video of this environment."""
    return f"{_short_name(env_id)}.mp4"


def _short_name(env_id: str) -> str:
    return env_id.rpartition(":")[2].replace("/", "-")


def check_output(output: str) -> Path:
    """The file to write. Raises: UsageError if files with this ending cannot be written."""
    if Path(output).suffix.lower() not in video.KINDS:
        raise UsageError(f"`output` {output}: must end in {', '.join(video.KINDS)}")
    return Path(output)


def watch(
    open_env: Opener, config: RenderConfig, on_episode: Callable[[int, Episode], None]
) -> None:
    """Show the episodes in a window, in real time. Raises: RunError."""
    with open_env(**_picture_options("human", config)) as rollouts:
        rollouts.env = recorder.Paced(rollouts.env, _steps_per_second(rollouts))
        for index in range(config.episodes):
            on_episode(index, _play(rollouts, index))


def record(
    open_env: Opener,
    config: RenderConfig,
    output: Path,
    on_picture: Callable[[], None] = lambda: None,
) -> Recording:
    """Write the episodes to `output`; after UsageError or RunError nothing is written."""
    if not has_display():
        os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo reads it when it is first imported
    kind = video.KINDS[output.suffix.lower()]
    with (
        video.replacing(output) as temporary,
        open_env(**_picture_options("rgb_array", config)) as rollouts,
    ):
        recorder.follow(rollouts.env)
        name = _short_name(rollouts.spec.env_id)
        film = Film(kind, config, name, _steps_per_second(rollouts))
        if kind.moments:
            # An episode depends on seed and actions alone: a first pass tells its length.
            film.choose([_play(rollouts, index).length for index in range(config.episodes)])
        with video.finishing(kind.writer(temporary, film.fps)) as writer:

            def take(shot: recorder.Shot) -> None:
                writer.add(film.finish(shot))
                on_picture()

            rollouts.env = recorder.Camera(rollouts.env, film.wants, take)
            episodes = [_play(rollouts, index) for index in range(config.episodes)]
    return Recording(output, episodes, film.summary(writer.size))


def _picture_options(render_mode: str, config: RenderConfig) -> dict[str, Any]:
    size = {"width": config.width, "height": config.height}
    chosen = {name: value for name, value in size.items() if value is not None}
    return {"render_mode": render_mode, **chosen}


def _steps_per_second(rollouts: Rollouts) -> float:
    """Steps per second of simulated time; 30 if the environment does not say."""
    fps = rollouts.env.metadata.get("render_fps")
    return float(fps) if isinstance(fps, int | float) and fps > 0 else 30.0


def _play(rollouts: Rollouts, index: int) -> Episode:
    spec = rollouts.spec
    where = f"{spec.env_id}, rendered episode {index}"
    seed = reset_seed(spec.seed, Stream.RENDERING, index)
    try:
        episode = rollout(rollouts.env, rollouts.policy, seed, spec.rollout_length)
    except Exception as error:
        reason = str(error) if isinstance(error, RunError) else one_line(error)
        raise RunError(f"{where}: {reason}") from error
    if episode.fault is not None:
        raise RunError(f"{where}: {episode.fault}")
    return episode
