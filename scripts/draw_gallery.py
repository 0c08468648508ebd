"""Draw every robot and world of the toolkit for docs/robots.md.

    python scripts/draw_gallery.py [NAME ...]

Each is drawn as its shipped policy has it after some seconds, or at its start where none is
shipped. The pictures lie in docs/pictures/robots.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

import envs
from ars.api import load, make_env
from ars.common.shipped import shipped

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "robots"
SIZE = 240, 180  # pixels
STEPS = {"Reacher": 100, "LQR": 150}  # where it is not 300 of a policy or none without
COLOURS = 128


def draw(name: str, seed: int = 0) -> Image.Image:
    """A picture from an episode; without a policy actions are random."""
    policy = load(name) if name in shipped() else None
    env: Any = make_env(name, "rgb_array") if policy else envs.make(name, render_mode="rgb_array")
    with closing(env):
        obs, _ = env.reset(seed=seed)
        env.action_space.seed(seed)
        for _ in range(STEPS.get(name, 300 if policy else 0)):
            obs, *_ = env.step(policy.act(obs) if policy else env.action_space.sample())
        return Image.fromarray(env.render())


def main() -> None:
    """Draw those that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="as python -m ars lists them")
    names = parser.parse_args().names or [row.name for row in envs.table()]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        picture = ImageOps.pad(draw(name), SIZE, Image.Resampling.LANCZOS, "white")
        # Few colours: small files, and no difference that one sees.
        picture.quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
