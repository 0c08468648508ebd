"""Several policies in one film, side by side: each plays its episodes, from the same seeds."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ars.common.errors import UsageError
from ars.common.output import replacing
from ars.rendering import video
from ars.rendering.film import RenderConfig
from ars.rendering.show import Opener, Recording, refuse_speed, shoot
from ars.rollout.episode import Episode

MOST = 16  # policies
GAP = 4  # pixels between them
WIDEST = {".mp4": 1280, ".gif": 720}  # pixels of the whole, where the user did not choose
MOMENTS = 4  # of each policy on a sheet
LONGEST = 28  # letters of a caption
LETTER = 8  # pixels that one may take in a small picture, and its share of the margins
_LEFT_OUT = "..."
_ENDINGS = (".safetensors", ".zip")  # of policy files and shared runs; "lr0.1" has none
_BETWEEN = (16, 20, 28)


class Shown(NamedTuple):
    """A policy of a grid: its caption, and what opens its environment."""

    caption: str
    open_env: Opener


class _Reel:
    """A `video.Writer` that keeps pictures in a file, to be read again."""

    def __init__(self, folder: Path) -> None:
        self.size, self.fps, self.length = (0, 0), 0.0, 0
        self._path = folder / "reel"

    def open(self, path: Path, fps: float) -> video.Writer:
        self._path, self.fps = path, fps
        self._file = path.open("w+b")
        return self

    def add(self, image: Image.Image) -> None:
        self.size = image.size
        self._file.write(image.tobytes())
        self.length += 1

    def finish(self) -> None:
        self._file.flush()

    def abandon(self) -> None:
        self._file.close()

    def read(self, index: int) -> Image.Image:
        """A picture; after the last one, that one."""
        size = 3 * self.size[0] * self.size[1]
        self._file.seek(min(index, self.length - 1) * size)
        return Image.frombytes("RGB", self.size, self._file.read(size))

    def close(self) -> None:
        self._file.close()
        self._path.unlink()


def same_episodes(config: RenderConfig) -> RenderConfig:
    """With one seed for all, where the user chose none: each run has its own otherwise."""
    return replace(config, seed=0) if config.seed is None else config


def captions(runs: Sequence[str], output: Path | None = None) -> list[str]:
    """What tells runs apart, equal for equal runs alone, and not too long for their pictures.

    The last parts of their paths, as many as are needed; of long ones the beginning, the end or
    both, or else a number and the end.
    """
    longest = _longest(len(runs), output)
    paths = [Path(run) for run in runs]
    if not paths:
        raise UsageError("`run`: give one at least")
    paths = [path.resolve() if path.name in ("", "..") else path for path in paths]
    short = [path.with_suffix("") if path.suffix in _ENDINGS else path for path in paths]
    parts = [path.parts for path in (short if len({*short}) == len({*paths}) else paths)]
    for count in range(1, max(map(len, parts)) + 1):
        found = [str(Path(*one[-count:])) for one in parts]
        if len({*found}) == len({*parts}):
            break
    for head in range(longest - len(_LEFT_OUT) + 1):
        cut = [_cut(text, head, longest) for text in found]
        if len({*cut}) == len({*found}):
            return cut
    order = list(dict.fromkeys(found))
    return [_cut(f"{order.index(text) + 1}: {text}", len(f"{MOST}: "), longest) for text in found]


def _longest(n_runs: int, output: Path | None) -> int:
    """How many letters a picture has room for; in a file of any kind, if there is none yet."""
    widest = None if output is None else WIDEST.get(output.suffix.lower())
    return LONGEST if widest is None else min(LONGEST, _tile_width(n_runs, widest) // LETTER)


def _tile_width(n_runs: int, widest: int) -> int:
    columns = _columns(n_runs)
    return (widest - (columns - 1) * GAP) // columns


def _columns(n_runs: int) -> int:
    return math.ceil(math.sqrt(n_runs))


def _cut(text: str, head: int, longest: int) -> str:
    """A text without what its first `head` letters and its end leave no room for."""
    if len(text) <= longest:
        return text
    return text[:head] + _LEFT_OUT + text[len(text) - (longest - len(_LEFT_OUT) - head) :]


def record_grid(
    shown: Sequence[Shown],
    config: RenderConfig,
    output: Path,
    on_picture: Callable[[int], None] = lambda total: None,
) -> Recording:
    """Write the episodes of several policies to `output`; nothing is written after an error.

    One after the other plays, as only one environment at a time can be drawn well. Where episodes
    differ in length, the last picture of the shorter ones stays.

    Args:
        shown: the policies.
        config: what to show of each.
        output: the file.
        on_picture: called after each picture of a policy with how many there will be of all.

    Raises:
        UsageError: there are too many, or `output` cannot be written.
        RunError: an environment fails, or draws nothing.
    """
    if len(shown) > MOST:
        raise UsageError(f"`run`: {len(shown)} policies are given; at most {MOST} fit")
    ending = output.suffix.lower()
    kind, columns = video.KINDS[ending], _columns(len(shown))
    refuse_speed(kind, config)
    if kind.moments:
        tile = replace(kind, frames=MOMENTS)
    else:
        tile = replace(kind, width=min(_tile_width(len(shown), WIDEST[ending]), 640))
    with tempfile.TemporaryDirectory() as place, replacing(output) as temporary:
        reels: list[_Reel] = []
        episodes: list[Episode] = []
        is_cut = False
        try:
            for index, (caption, open_env) in enumerate(shown):
                reel = _Reel(Path(place))
                done = shoot(
                    open_env,
                    config,
                    replace(tile, writer=reel.open),
                    Path(place) / f"{index}",
                    lambda total: on_picture(total * len(shown)),
                    name=caption,
                )
                reels.append(reel)
                episodes += done.episodes
                is_cut |= done.is_cut and not kind.moments
            fps = _rate(reels, kind)
            with video.finishing(kind.writer(temporary, fps)) as writer:
                n_pictures = _compose(reels, kind, columns, fps, writer)
        finally:
            for reel in reels:
                reel.close()
    seconds = n_pictures / fps
    text = kind.described(writer.size, n_pictures, seconds, is_cut)
    starts = [0.0] * len(episodes)
    return Recording(output, episodes, text, starts, seconds, n_pictures, done.smooth, is_cut)


def _rate(reels: Sequence[_Reel], kind: video.Kind) -> float:
    """Pictures per second: those of the fastest, or as many as the whole leaves room for."""
    fastest = max(reel.fps for reel in reels)
    longest = max(reel.length / reel.fps for reel in reels)
    room = kind.frames / longest
    if kind.moments or room >= fastest:
        return fastest
    return 100 / math.ceil(100 / room)  # of a GIF, which counts hundredths of a second


def _compose(
    reels: Sequence[_Reel], kind: video.Kind, columns: int, fps: float, writer: video.Writer
) -> int:
    """Write the pictures of all reels; returns how many."""
    width, height = (max(reel.size[axis] for reel in reels) for axis in (0, 1))
    if kind.moments:  # a row of each policy
        for reel in reels:
            for index in range(MOMENTS):
                writer.add(_padded(reel.read(index), width, height))
        return MOMENTS * len(reels)
    rows = math.ceil(len(reels) / columns)
    whole = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP)
    count = min(max(math.ceil(reel.length * fps / reel.fps) for reel in reels), kind.frames)
    for number in range(count):
        picture = Image.new("RGB", whole, _BETWEEN)
        for index, reel in enumerate(reels):
            row, column = divmod(index, columns)
            tile = _padded(reel.read(int(number * (reel.fps / fps))), width, height)
            picture.paste(tile, (column * (width + GAP), row * (height + GAP)))
        writer.add(picture)
    return count


def _padded(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    padded = Image.new("RGB", (width, height), _BETWEEN)
    padded.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return padded
