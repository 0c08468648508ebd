"""Draw the pictures for README and docs.

    python scripts/draw_pictures.py robot docs/pictures/half_cheetah.gif [RUN]
    python scripts/draw_pictures.py curve docs/pictures/hopper.png RUN...

`robot` renders RUN, or else the shipped HalfCheetah, with `python -m ars.render` and keeps 3.5
seconds in which it runs. `curve` plots the scheduled evaluations (`evaluations.csv`) of each run:
mean return over training steps. It needs matplotlib.
"""

from __future__ import annotations

import argparse
import csv
import json
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


def draw_curve(output: Path, runs: list[Path]) -> None:
    """Plot the evaluations of every run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.2), dpi=120, layout="constrained")
    for run in runs:
        config = json.loads((run / "config.json").read_text())
        with (run / "evaluations.csv").open() as file:
            rows = list(csv.DictReader(file))
        steps = [int(row["timesteps"]) / 1e6 for row in rows]
        returns = [float(row["return_mean"]) for row in rows]
        axes.plot(steps, returns, linewidth=1.2, label=f"seed {config['seed']}")
    axes.set_title(f"{config['env_id']}, {config['algo']}, the preset's settings", fontsize=10)
    axes.set_xlabel("million steps of training")
    axes.set_ylabel(f"return, mean of {rows[0]['episodes']} episodes")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(output)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", choices=("robot", "curve"))
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "runs", type=Path, nargs="*", metavar="RUN", help="run folders; one for robot"
    )
    args = parser.parse_args()
    if args.picture == "robot":
        draw_robot(args.output, *(map(str, args.runs) if args.runs else ["HalfCheetah"]))
    else:
        draw_curve(args.output, args.runs)


if __name__ == "__main__":
    main()
