"""Pictures of a policy at work, made small enough to be part of a page."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from PIL import Image

from ars.common.errors import UsageError
from ars.common.settings import counted
from ars.common.words import digits
from ars.rendering import video
from ars.rendering.film import Moment, RenderConfig
from ars.rendering.show import Opener, Recording, shoot
from ars.reporting.parts import Pictures, Stop
from ars.results.plotting import FAILURES
from ars.training.evaluation import acting
from ars.training.rebuild import training_moments
from ars.training.run_folder import TAPE, ResolvedPolicy
from ars.training.trust import check_trust

# Says what takes a while; the block calls its function after each of so many steps.
Working = Callable[[str], AbstractContextManager[Callable[[int], None]]]

SIZE, SMALL = (400, 300), (320, 240)  # pixels, where the environment lets them be chosen
MOMENTS, SECONDS, FPS = 8, 8, 20
# The film of the training: policies, seconds of each, pictures a second.
POLICIES, EACH, SLOW_FPS = 10, 3, 12
_CRF, _JPEG = 26, 82  # the quality of videos and of pictures


class _Tiles:
    """A `video.Writer` that keeps pictures, each as a JPEG."""

    def __init__(self) -> None:
        self.size = (0, 0)
        self.pictures: list[str] = []

    def open(self, path: Path, fps: float) -> video.Writer:
        self.pictures = []
        return self

    def add(self, image: Image.Image) -> None:
        self.size, buffer = image.size, io.BytesIO()
        image.save(buffer, format="JPEG", quality=_JPEG)
        self.pictures.append(data_uri("image/jpeg", buffer.getvalue()))

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


def data_uri(kind: str, content: bytes) -> str:
    """A file as a part of the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def draw(
    folder: Path,
    resolved: ResolvedPolicy,
    trust: bool,
    working: Working,
    warn: Callable[[str], None],
) -> Pictures:
    """Draw a policy, and where the run has a tape, the policies that it went through.

    Args:
        folder: of its run.
        resolved: the policy.
        trust: import the module that a run from elsewhere names.
        working: says what takes a while.
        warn: told what is not as expected of the environment.
    """
    found, file = Pictures(), resolved.file
    try:
        check_trust(resolved.path, file.env_id, file.env_kwargs, trust)
        studio = _Studio(partial(acting, resolved, None, warn=warn), working)
        _moments(studio, found)
        _video(studio, found)
        if (folder / TAPE).is_file():
            _film(studio, found, training_moments(str(folder), POLICIES, trust))
        else:
            found.notes.append(
                "The policies of the training cannot be shown: there is no tape to rebuild them "
                "from. ARS, PGPE and CMA-ES keep one; deep algorithms and early versions do not."
            )
    except FAILURES as error:
        found.notes.append(f"Not drawn: {error}")
    return found


class _Studio:
    """Draws in a size of its own where the environment lets it be chosen."""

    def __init__(self, open_env: Opener, working: Working) -> None:
        self._open, self._working, self._sized = open_env, working, True

    def shoot(
        self,
        what: str,
        kind: video.Kind,
        size: tuple[int, int],
        path: Path,
        moments: Sequence[Moment] = (),
    ) -> Recording:
        with self._working(what) as advance:
            if self._sized:
                try:
                    config = RenderConfig(width=size[0], height=size[1])
                    return shoot(self._open, config, kind, path, advance, moments)
                except UsageError:  # pictures are made smaller afterwards
                    self._sized = False
            return shoot(self._open, RenderConfig(), kind, path, advance, moments)


def _moments(studio: _Studio, found: Pictures) -> None:
    """Moments of a whole episode."""
    tiles = _Tiles()
    kind = video.Kind(tiles.open, FPS, width=SMALL[0], frames=MOMENTS, moments=True)
    done = studio.shoot("drawing moments of the policy", kind, SMALL, Path())
    [episode] = done.episodes
    found.moments = tiles.pictures
    found.caption = (
        f"One episode: return {digits(episode.total_reward)} in {counted(episode.length, 'step')}"
    )


def _video(studio: _Studio, found: Pictures) -> None:
    """The first seconds of an episode."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "video.mp4"
        kind = video.Kind(_mp4, FPS, width=SIZE[0], seconds=SECONDS)
        done = studio.shoot("filming the policy", kind, SIZE, path)
        found.video = data_uri("video/mp4", path.read_bytes())
    if done.is_cut:
        found.caption += "; the film shows its beginning"


def _film(studio: _Studio, found: Pictures, moments: Sequence[Moment]) -> None:
    """The policies of a training, one after the other."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "film.mp4"
        frames = SLOW_FPS * EACH * len(moments)
        kind = video.Kind(_mp4, SLOW_FPS, width=SMALL[0], frames=frames)
        done = studio.shoot("filming the policies of the training", kind, SMALL, path, moments)
        found.film = data_uri("video/mp4", path.read_bytes())
    for moment, episode, start, end in zip(
        moments, done.episodes, done.starts, [*done.starts[1:], done.seconds], strict=True
    ):
        text = f"{moment.timesteps:,} timesteps: return {digits(episode.total_reward)}"
        found.stops.append(Stop(round(start, 3), round(end, 3), text))


def _mp4(path: Path, fps: float) -> video.Writer:
    return video.Mp4(path, fps, _CRF)
