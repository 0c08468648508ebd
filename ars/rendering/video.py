"""Files made of pictures: MP4 and GIF videos, and a PNG sheet of moments.

A file appears under its name only when it is complete.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

from ars.common.errors import RunError

SHEET_COLUMNS = (4, 5)


class Writer(Protocol):
    """Takes images until `finish` or `abandon`; `size`: of the result, in pixels."""

    size: tuple[int, int]

    def add(self, image: Image.Image) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class Mp4:
    """H.264 in yuv420p, which every player shows; each frame goes straight to ffmpeg.

    `crf`: libx264's constant rate factor, larger for smaller files.
    """

    def __init__(self, path: Path, fps: float, crf: int = 18) -> None:
        self.size = (0, 0)
        self._path, self._fps, self._crf = path, fps, crf
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, image: Image.Image) -> None:
        """Append a frame. Raises: RunError."""
        if self._process is None:
            # Colour is stored for 2x2 pixels, so an odd last row or column is left out.
            self.size = (image.width // 2 * 2, image.height // 2 * 2)
            if 0 in self.size:
                raise RunError(
                    f"a picture of {image.width}x{image.height} is too small for a video"
                )
            self._process = self._start()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(image.crop((0, 0, *self.size)).tobytes())
        except BrokenPipeError:
            self.finish()

    def _start(self) -> subprocess.Popen[bytes]:
        from imageio_ffmpeg import get_ffmpeg_exe

        size = f"{self.size[0]}x{self.size[1]}"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{self._fps}"]
        # Of a frame of 640x480 it takes 8 ms instead of the default's 17, and the file is as large.
        target = ["-c:v", "libx264", "-preset", "veryfast", "-crf", f"{self._crf}"]
        target += ["-pix_fmt", "yuv420p"]
        # The index comes first, so that a browser can begin before it has all of the file.
        target += ["-movflags", "+faststart", "-f", "mp4"]
        return subprocess.Popen(
            [get_ffmpeg_exe(), "-v", "error", "-y", *source, "-i", "-", *target, str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which then ends ffmpeg
        )

    def finish(self) -> None:
        """Complete the file. Raises: RunError."""
        assert self._process is not None
        messages = self._process.communicate()[1].decode(errors="replace").splitlines()
        if self._process.returncode != 0:
            reason = messages[-1] if messages else f"status {self._process.returncode}"
            reason = re.sub(r"^\[.*?\] ", "", reason)  # the name of ffmpeg's component
            raise RunError(f"ffmpeg could not write the video: {reason}")

    def abandon(self) -> None:
        """Kill ffmpeg and leave the file incomplete."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


def in_hundredths(fps: float) -> float:
    """The rate nearest to pictures per second that a GIF has, which counts hundredths."""
    return 100 / max(2, round(100 / fps))


class Gif:
    """A looping GIF in one palette of 256 colours, chosen from the first frame.

    One palette keeps still areas still: one for each frame would let them flicker.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.size = (0, 0)
        self._path, self._frames = path, list[Image.Image]()
        self._milliseconds = round(1000 / in_hundredths(fps))

    def add(self, image: Image.Image) -> None:
        """Append a frame."""
        if not self._frames:
            self.size = image.size
            self._palette = image.quantize(256, dither=Image.Dither.NONE)
        self._frames.append(image.quantize(palette=self._palette, dither=Image.Dither.NONE))

    def finish(self) -> None:
        """Write the file."""
        first, *rest = self._frames
        first.save(
            self._path,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=self._milliseconds,
            loop=0,
            optimize=False,
        )

    def abandon(self) -> None:
        """Drop the frames."""
        self._frames.clear()


class Sheet:
    """A PNG of images side by side, row by row."""

    def __init__(self, path: Path, fps: float) -> None:
        self.size = (0, 0)
        self._path, self._tiles = path, list[Image.Image]()

    def add(self, image: Image.Image) -> None:
        """Append an image."""
        self._tiles.append(image)

    def finish(self) -> None:
        """Write the file."""
        width, height = self._tiles[0].size
        gap = 4
        # As many as leave the fewest places of the last row empty.
        columns = min(SHEET_COLUMNS, key=lambda n: -len(self._tiles) % n)
        columns = min(columns, len(self._tiles))
        rows = math.ceil(len(self._tiles) / columns)
        self.size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
        sheet = Image.new("RGB", self.size, "grey")  # pictures may be white, or black
        for index, tile in enumerate(self._tiles):
            row, column = divmod(index, columns)
            sheet.paste(tile, (column * (width + gap), row * (height + gap)))
        sheet.save(self._path, format="PNG")

    def abandon(self) -> None:
        """Drop the images."""
        self._tiles.clear()


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        writer: makes its writer from a path and pictures per second.
        fps: pictures per second, about.
        width: the most pixels of a picture whose size the user did not choose; None: no limit.
        frames: the most pictures.
        seconds: the longest that a film may last.
        moments: whether the pictures are spread evenly over all episodes.
        rate: the pictures per second that a file has of those asked for.
    """

    writer: Callable[[Path, float], Writer]
    fps: int
    width: int | None = None
    frames: int = sys.maxsize
    seconds: float = math.inf
    moments: bool = False
    rate: Callable[[float], float] = float

    def described(self, size: tuple[int, int], frames: int, seconds: float, is_cut: bool) -> str:
        """A file in words: its size in pixels, its frames and how long they last."""
        text = f"{size[0]}x{size[1]}, {frames} frames"
        if self.moments:
            return text
        limit = " (the most it may have)" if is_cut else ""
        return f"{text}{limit}, {seconds:.1f} s"


KINDS = {
    ".mp4": Kind(Mp4, fps=30),
    # A GIF is for web pages, is held in memory and grows by 0.4 MB a second: it ends after 400
    # pictures, 20 s of a robot in real time.
    ".gif": Kind(Gif, fps=20, width=480, frames=400, rate=in_hundredths),
    ".png": Kind(Sheet, fps=30, width=320, frames=12, moments=True),
}


@contextmanager
def finishing(writer: Writer) -> Iterator[Writer]:
    """Finish `writer` when the block ends; abandon it if the block or finishing fails."""
    try:
        yield writer
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
