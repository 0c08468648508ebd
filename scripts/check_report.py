"""Does a report's page work in a real browser?

    python scripts/check_report.py [RUN ...] [--pictures FOLDER]

Trains small runs (or takes yours), writes their report with `ars report` and opens it in a browser
in the widths of a phone and of a desk, light and dark: nothing may be logged as an error or asked
of the network, the page must fit, its films must play and its slider must move through them, and
text of files that looks like HTML must stay text. Exits with 1 where that does not hold; --pictures
keeps a picture of each. Needs what `scripts/browser.py` needs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from browser import Chromium, Opened, chromium

ROOT = Path(__file__).resolve().parents[1]

WIDTHS = {390: 844, 1280: 800}
HOSTILE = (
    "</title><script>document.title='run'</script><img src=http://127.0.0.1/x onerror=alert(1)>"
)


def small_runs(folder: Path) -> list[Path]:
    """A run with a tape, a deep one, and seeds of which one has a name that no browser may run."""
    from ars.api import train

    few: dict[str, Any] = {"n_workers": 0, "verbose": False, "eval_episodes": 2}
    hopper: dict[str, Any] = {"n_directions": 4, "n_top": 2, "n_iterations": 3, "eval_freq": 1}
    runs = [train("Hopper", run_dir=folder / "hopper", **hopper, **few).folder]
    cart: dict[str, Any] = {"algo": "ppo", "total_timesteps": 2000}
    runs.append(train("InvertedPendulum", run_dir=folder / "ppo", **cart, **few).folder)
    runs.append(train("Hopper", run_dir=folder / "hostile", seed=1, **hopper, **few).folder)
    path = runs[-1] / "config.json"
    config = json.loads(path.read_text())
    config["init_from"] = config["preset"] = HOSTILE
    config["commands"] = [HOSTILE]
    config["versions"] = {HOSTILE: HOSTILE}
    path.write_text(json.dumps(config))
    return runs


def faults(opened: Opened) -> Iterator[str]:
    """What is wrong with a page."""
    page = opened.page
    page.wait_for_timeout(300)
    yield from slider_faults(page)
    if wide := opened.too_wide():
        yield f"{wide} pixels wider than the window"
    if page.evaluate("document.title") == "run":
        yield "a text of a file was run"
    if page.evaluate("document.querySelectorAll('img').length") != page.evaluate(
        "document.querySelectorAll('img[src^=\"data:image/\"]').length"
    ):
        yield "a text of a file became a picture"
    yield from opened.errors
    asked = [address for address in opened.requests if address != page.url]
    yield from (f"asked for {address}" for address in asked)


# Moves the slider and stops the film at once: a busy machine would show much of it meanwhile.
_MOVE = """(slider, [index, video]) => new Promise(done => {
    slider.value = index;
    slider.dispatchEvent(new Event("input"));
    const plays = !video.paused;
    video.pause();
    const tell = () => video.seeking ? setTimeout(tell, 20) : done([plays, video.currentTime]);
    tell();
})"""


def slider_faults(page: Any) -> Iterator[str]:
    """Whether films play, and whether each slider chooses the part of its film that it names."""
    if page.evaluate("[...document.querySelectorAll('video')].some(v => v.error || !v.duration)"):
        yield "a film cannot be played"
    for figure in page.query_selector_all(".training"):
        slider, video = figure.query_selector("input"), figure.query_selector("video")
        stops = figure.query_selector_all("li")
        for index in (0, len(stops) // 2, len(stops) - 1):
            plays, at = slider.evaluate(_MOVE, [index, video])
            if not plays:
                yield f"the slider's place {index} does not play"
            start, end = (float(stops[index].get_attribute(f"data-{x}")) for x in ("start", "end"))
            if not start <= at < end:
                yield f"the slider's place {index} shows second {at:.2f}, not {start} to {end}"
            if figure.query_selector("output").inner_text() != stops[index].text_content():
                yield f"the slider's place {index} has another text"


def check(browser: Chromium, path: Path, pictures: Path | None) -> bool:
    """Open a page in each width, light and dark; says what is wrong."""
    good = True
    for width, height in WIDTHS.items():
        for dark in (False, True):
            name = f"{path.stem}, {width} pixels, {'dark' if dark else 'light'}"
            with browser.open(path, width, height, dark) as opened:
                found = list(faults(opened))
                if pictures is not None:
                    opened.screenshot(pictures / f"{name.replace(', ', '-')}.png")
            print(f"{name}: {'; '.join(found) or 'good'}", flush=True)
            good = good and not found
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="*", help="run folders; without them, small runs are trained")
    parser.add_argument("--pictures", type=Path, help="folder to write a picture of each page to")
    args = parser.parse_args()
    from ars.api import report

    with chromium() as browser, tempfile.TemporaryDirectory() as place:
        if args.pictures is not None:
            args.pictures.mkdir(parents=True, exist_ok=True)
        runs = args.run or small_runs(Path(place))
        pages = {"one": runs[:1], **({"several": runs} if runs[1:] else {})}
        good = True
        for name, words in pages.items():
            path = report(*words, output=Path(place, f"{name}.html"), verbose=False)
            print(f"{name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
            good = check(browser, path, args.pictures) and good
    raise SystemExit(int(not good))


if __name__ == "__main__":
    main()
