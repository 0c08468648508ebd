"""Shows a policy's episodes: in a window in real time, or in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import gymnasium

from ars.common.errors import RunError, UsageError, failures, one_line
from ars.common.output import replacing
from ars.common.seeding import Stream, reset_seed
from ars.rendering import recorder, video
from ars.rendering.film import Film, Moment, RenderConfig, TrainingFilm
from ars.rollout.episode import Episode, Rollouts, rollout
from envs.drawing.window import has_display
from envs.objective import Objective

# Opens the policy's environment, with options such as `render_mode` added to its own.
Opener = Callable[..., AbstractContextManager[Rollouts]]


@dataclass(frozen=True)
class Recording:
    """A file that was written.

    Attributes:
        path: of the file.
        episodes: those that it shows.
        description: its size in pixels, frames and seconds.
        starts: the second at which each episode begins.
        seconds: how long it lasts.
        n_pictures: how many it has.
        smooth: whether it could not have been drawn better on this machine with a driver for EGL.
        is_cut: whether it has as many pictures as its kind may have.
    """

    path: Path
    episodes: list[Episode]
    description: str
    starts: list[float]
    seconds: float
    n_pictures: int
    smooth: bool = True
    is_cut: bool = False


NOT_SMOOTH = (
    "no driver for EGL works here, so that edges are rough and robots cast no shadows; Debian has "
    "one in the package libegl1"
)


def default_output(env_id: str, moments: Sequence[Moment] = ()) -> str:
    """The default file name for a video of this environment, or of a training in it."""
    return f"{_short_name(env_id)}{'-training' if moments else ''}.mp4"


def _short_name(env_id: str) -> str:
    return env_id.rpartition(":")[2].replace("/", "-")


def watch(
    open_env: Opener, config: RenderConfig, on_episode: Callable[[int, Episode], None]
) -> None:
    """Show the episodes in a window, in real time. Raises: RunError."""
    with open_env(**_picture_options("human", config)) as rollouts:
        rollouts.env = recorder.at_speed(
            rollouts.env, steps_per_second(rollouts.env) * config.speed
        )
        for index in range(config.episodes):
            on_episode(index, _play(rollouts, index))


def record(
    open_env: Opener,
    config: RenderConfig,
    output: Path,
    on_picture: Callable[[int], None] = lambda total: None,
    moments: Sequence[Moment] = (),
) -> Recording:
    """Write the episodes to `output`; after UsageError or RunError nothing is written.

    With `moments`, one episode of each of these policies is shown. `on_picture` is called after
    each picture with how many there will be.
    """
    kind = video.KINDS[output.suffix.lower()]
    if not moments:  # those of a training are the ends of some seconds
        refuse_speed(kind, config)
    with replacing(output) as temporary:
        done = shoot(open_env, config, kind, temporary, on_picture, moments)
    return replace(done, path=output)


def refuse_speed(kind: video.Kind, config: RenderConfig) -> None:
    """Raises: UsageError where a file has no time that could pass faster."""
    if kind.moments and config.speed != 1.0:
        raise UsageError(f"`speed` {config.speed:g}: has no meaning for a sheet of moments")


def expect_no_display() -> None:
    """Have environments that are opened from now on draw to arrays where there is no display."""
    if not has_display():
        os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo reads it when it is first imported
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame complains


def shoot(
    open_env: Opener,
    config: RenderConfig,
    kind: video.Kind,
    path: Path,
    on_picture: Callable[[int], None] = lambda total: None,
    moments: Sequence[Moment] = (),
    name: str | None = None,
) -> Recording:
    """Like `record`, but with a kind of file of the caller's, written as it goes.

    `name` is what pictures are labelled with, by default the environment's.
    """
    expect_no_display()
    with open_env(**_picture_options("rgb_array", config)) as rollouts:
        recorder.follow(rollouts.env)
        if not (config.width or config.height):
            recorder.draw_within(rollouts.env, kind.width)
        name = name or _short_name(rollouts.spec.env_id)
        speed, above = steps_per_second(rollouts.env), not recorder.follows_a_robot(rollouts.env)
        # An episode depends on seed and actions alone: a first pass tells its length and return.
        if moments:
            whole = _play_moments(rollouts, moments)
            training = TrainingFilm(kind, config, name, speed, moments, whole, above)
            film: Film = training
            play = partial(_play_moments, rollouts, moments, training.steps)
        else:
            longest, seconds = rollouts.spec.rollout_length, step_seconds(rollouts.env)
            film = Film(kind, config, name, speed, longest, above, seconds)
            play = partial(_play_all, rollouts, config)
            if kind.moments:
                film.choose([episode.length for episode in play()])
        with video.finishing(kind.writer(path, film.fps)) as writer:

            def take(shot: recorder.Shot) -> None:
                writer.add(film.finish(shot))
                on_picture(film.total)

            rollouts.env = recorder.Camera(rollouts.env, film.wants, take)
            shown = play()
        smooth = recorder.drawn_smoothly(rollouts.env)
    return Recording(
        path,
        whole if moments else shown,
        film.summary(writer.size),
        [start / film.fps for start in film.starts],
        film.seconds,
        film.taken,
        smooth,
        film.is_cut,
    )


def _picture_options(render_mode: str, config: RenderConfig) -> dict[str, Any]:
    size = {"width": config.width, "height": config.height}
    chosen = {name: value for name, value in size.items() if value is not None}
    return {"render_mode": render_mode, **chosen}


def steps_per_second(env: gymnasium.Env[Any, Any]) -> float:
    """Steps per second of simulated time; 30 if the environment does not say."""
    metadata = env.metadata or {}
    fps = metadata.get("render_fps", metadata.get("video.frames_per_second"))  # Gym's old name
    if not isinstance(fps, Real) or isinstance(fps, bool):  # NumPy's numbers are real too
        return 30.0
    return float(fps) if 0 < float(fps) < 1e6 else 30.0


def step_seconds(env: gymnasium.Env[Any, Any]) -> float:
    """Seconds of simulated time in a step: a robot's own, which `render_fps` rounds."""
    return Objective(env).describe().step_seconds or 1 / steps_per_second(env)


def _play_all(rollouts: Rollouts, config: RenderConfig) -> list[Episode]:
    return [_play(rollouts, index) for index in range(config.episodes)]


def _play_moments(
    rollouts: Rollouts, moments: Sequence[Moment], most_steps: int | None = None
) -> list[Episode]:
    """The same episode with each policy: seeds are equal, so that policies alone differ."""
    episodes = []
    for moment in moments:
        rollouts.policy = moment.policy
        episodes.append(_play(rollouts, 0, most_steps))
    return episodes


def _play(rollouts: Rollouts, index: int, most_steps: int | None = None) -> Episode:
    spec = rollouts.spec
    where = f"{spec.env_id}, rendered episode {index}"
    seed = reset_seed(spec.seed, Stream.RENDERING, index)
    length = min(most_steps or spec.rollout_length, spec.rollout_length)
    try:
        episode = rollout(rollouts.env, rollouts.policy, seed, length)
    except failures() as error:
        reason = str(error) if isinstance(error, RunError) else one_line(error)
        raise RunError(f"{where}: {reason}") from error
    if episode.fault is not None:
        raise RunError(f"{where}: {episode.fault}")
    return episode
