"""Watch a short training in a real browser: robots move, nothing is logged as an error.

    python scripts/check_watch.py [--output watch.png] [--seconds 300]

Trains a Hopper for a few iterations, serves a page with it and the shipped one (`ars watch RUN
Hopper`), opens it without a window, takes pictures until there is a robot, and another one later.
Prints when it was seen. Needs the extras `watch` and `browser` and a chromium, whose renderer in
software takes a processor meanwhile.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from browser import WEBGL, chromium
from PIL import Image

SIZE = 960, 600
SCENE = (0, 200, 630, 600)  # where the robots are, beside the panel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("watch.png"))
    parser.add_argument("--seconds", type=float, default=300.0, help="to wait for a robot")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = str(Path(place, "run"))
        words = ["--n-iterations", "20", "--n-workers", "0", "--run-dir", run]
        train = [sys.executable, "-m", "ars.train", "Hopper", *words]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        watch = [sys.executable, "-m", "ars.watch", run, "Hopper", "--port", "0"]
        with subprocess.Popen(
            watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as serving:
            try:
                faults = look(serving, args.output, args.seconds)
            finally:
                serving.send_signal(signal.SIGINT)
            said = serving.communicate(timeout=60)[1]
    if said.strip() != "interrupted" or serving.returncode != 130:
        faults.append(f"Ctrl-C ended it with status {serving.returncode} and: {said.strip()}")
    print(*(faults or ["the page is right"]), f"wrote {args.output}", sep="\n")
    raise SystemExit(bool(faults))


def look(serving: subprocess.Popen[str], output: Path, seconds: float) -> list[str]:
    """Open the page; returns what is wrong with it."""
    assert serving.stdout is not None
    line = serving.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", line)
    if found is None:
        return [f"no address in: {line!r}"]
    with chromium(WEBGL) as browser, browser.open(found[0], *SIZE) as opened:
        opened.page.set_default_timeout(180e3)  # a busy machine draws slowly

        def shot() -> np.ndarray[Any, Any]:
            opened.screenshot(output, whole=False)
            return np.asarray(Image.open(output).convert("RGB").crop(SCENE), float)

        def is_seen(picture: np.ndarray[Any, Any]) -> bool:
            return bool((np.ptp(picture, axis=2) > 60).mean() >= 1e-3)

        began = time.monotonic()
        while not is_seen(first := shot()) and time.monotonic() - began < seconds:
            opened.page.wait_for_timeout(1e3)
        print(f"looked for a robot for {time.monotonic() - began:.0f} s")
        opened.page.wait_for_timeout(2e3)
        second = shot()
        faults = [f"error: {error}" for error in opened.errors]
        ours = found[0].split("//")[1]
        faults += [f"asks for {one}" for one in opened.requests if ours not in one]
    if not is_seen(first):
        faults.append("no robot is in the picture")
    if abs(first - second).mean() < 0.05:
        faults.append("nothing moves")
    return faults


if __name__ == "__main__":
    main()
