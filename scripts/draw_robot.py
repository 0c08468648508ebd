"""Draw the running robot for README and docs.

    python scripts/draw_robot.py docs/pictures/half_cheetah.gif [RUN]

Renders RUN, or else the shipped HalfCheetah, with `python -m ars.render` and keeps 3.5 seconds in
which it runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

SIZE = (360, 240)
SECONDS = (8.0, 11.5)
COLORS = 64


def draw_robot(output: Path, run: str) -> None:
    """Cut `SECONDS` from a longer animation; all frames share one palette."""
    width, height = SIZE
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole.gif")
        words = [run, "--output", str(whole), "--width", str(width)]
        words += ["--height", str(height)]
        subprocess.run([sys.executable, "-m", "ars.render", *words], check=True)
        with Image.open(whole) as film:
            duration = film.info["duration"]
            first, last = (round(1000 * second / duration) for second in SECONDS)
            frames = []
            for index in range(first, last):
                film.seek(index)
                frames.append(film.convert("RGB"))
    palette = frames[0].quantize(COLORS)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    frames[0].save(
        output, save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("run", nargs="?", default="HalfCheetah", metavar="RUN", help="run folder")
    args = parser.parse_args()
    draw_robot(args.output, args.run)


if __name__ == "__main__":
    main()
