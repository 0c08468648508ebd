"""Draw running robots for README and docs.

    python scripts/draw_robot.py docs/pictures/half_cheetah.gif [RUN ...]

Renders each RUN, side by side, or else the shipped HalfCheetah, with `python -m ars.render` and
keeps 3.5 seconds in which they run.
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


def draw_robots(output: Path, runs: list[str]) -> None:
    """Cut `SECONDS` from a longer animation; all frames share one palette."""
    width, height = SIZE
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole.gif")
        words = [*runs, "--output", str(whole), "--width", str(width)]
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
    parser.add_argument(
        "runs", nargs="*", default=["HalfCheetah"], metavar="RUN", help="run folder or shipped run"
    )
    args = parser.parse_args()
    draw_robots(args.output, args.runs)


if __name__ == "__main__":
    main()
