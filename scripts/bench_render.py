"""What a picture of a robot costs, compared with drawing twice as many rows and columns.

    python scripts/bench_render.py [--robot HalfCheetah] [--frames 20]

The other way, once the toolkit's own, draws 1280x960 pixels, averages each four of them and scales
the result down to the size of the kind of file. Both take turns at each picture, and the time is
the CPU time of this process, to which a driver in software belongs; encoding is not part of it.
`--output FILE.png` writes the same moment both ways, side by side.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 640, 480


def twice(robot: Any, width: int) -> Image.Image:
    """A picture from one of twice as many rows and columns."""
    renderer = robot._open_renderer()
    aim = renderer._mirror(robot._focus())
    fine = renderer._capture(2 * WIDTH, 2 * HEIGHT, aim, robot._yaw()).astype(np.uint16)
    total = fine[0::2, 0::2] + fine[0::2, 1::2] + fine[1::2, 0::2] + fine[1::2, 1::2]
    image = Image.fromarray((total // 4).astype(np.uint8))
    size = width, HEIGHT * width // WIDTH
    return image if width == WIDTH else image.resize(size, Image.Resampling.LANCZOS)


def now(robot: Any, width: int) -> Image.Image:
    """A picture as a file of this kind has it."""
    robot.draw_within(width)
    return Image.fromarray(robot.render())


def cost(draw: Callable[[Any, int], object], robot: Any, width: int) -> float:
    """Milliseconds of CPU."""
    began = time.process_time()
    draw(robot, width)
    return 1e3 * (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="HalfCheetah")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--output", type=Path, help="write a moment both ways: twice as many first")
    args = parser.parse_args()
    import envs
    from ars.rendering.video import KINDS

    with closing(envs.make(args.robot, render_mode="rgb_array")) as env:
        robot: Any = env.unwrapped
        env.reset(seed=0)
        env.render()
        pictures = []
        for ending in (".mp4", ".gif", ".png"):
            width = min(KINDS[ending].width or WIDTH, WIDTH)
            times = np.zeros(2)
            for _ in range(args.frames):
                for _ in range(10):
                    env.step(env.action_space.sample())
                times += cost(twice, robot, width), cost(now, robot, width)
            before, after = times / args.frames
            size = f"{width}x{HEIGHT * width // WIDTH}"
            print(
                f"{ending}  {size}: {before:.1f} ms a picture before, {after:.1f} ms now, "
                f"ratio {before / after:.2f}"
            )
            pictures += [twice(robot, width), now(robot, width)]
    if args.output is not None:
        sheet = Image.new("RGB", (2 * WIDTH, HEIGHT * len(pictures) // 2))
        for index, picture in enumerate(pictures):
            sheet.paste(picture, (index % 2 * WIDTH, index // 2 * HEIGHT))
        sheet.save(args.output)


if __name__ == "__main__":
    main()
