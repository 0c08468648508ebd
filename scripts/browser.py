"""Open a page in a real browser, without a window, and see how it does.

    python scripts/browser.py report.html [--width 390] [--dark] [--output page.png]

Prints what the page logs as errors, what it asks the network for and by how much it is too wide,
takes a picture of the whole page, and exits with 1 if anything is wrong. `scripts/check_report.py`
and its like use `chromium` and `Opened` for the pages that the toolkit makes. Needs the extra
`browser` (Playwright, which drives the browser) and Debian's chromium or another one on the path.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = "chromium", "chromium-browser", "google-chrome", "chrome"
# Nothing that the browser would send by itself may be taken for what the page sends.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Pages in 3D need WebGL, which the browser's own renderer in software draws where there is no GPU.
WEBGL = (
    *(flag for flag in FLAGS if flag != "--disable-gpu"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)
PHONE = 600  # narrower windows are those of phones: they scale and are touched
INSIDE = "data:", "blob:", "about:"


@dataclass
class Opened:
    """A page that is open.

    Attributes:
        page: Playwright's own page, for everything that this class does not do.
        errors: what it logged as errors and the exceptions that nothing caught, so far.
        requests: the addresses that it asked for, its own included, so far.
    """

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Hear errors and requests from now on."""

        def log(message: Any) -> None:
            if message.type == "error":
                self.errors.append(message.text)

        def ask(address: str) -> None:
            if not address.startswith(INSIDE):
                self.requests.append(address)

        self.page.on("console", log)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: ask(request.url))
        self.page.on("websocket", lambda socket: ask(socket.url))

    def too_wide(self) -> int:
        """By how many pixels the page is wider than its window; 0 where it fits."""
        return int(
            self.page.evaluate(
                "Math.max(0, document.documentElement.scrollWidth"
                " - document.documentElement.clientWidth)"
            )
        )

    def screenshot(self, path: str | Path, whole: bool = True) -> Path:
        """Write a picture, PNG or JPEG, of the whole page or of what the window shows."""
        self.page.screenshot(path=str(path), full_page=whole)
        return Path(path)


class Chromium:
    """A browser that runs; `chromium` opens one."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def open(
        self, address: str | Path, width: int = 1280, height: int = 800, dark: bool = False
    ) -> Iterator[Opened]:
        """A page in a window of its own, closed at the end of the block.

        Args:
            address: of the page, or its file (a `Path`, if there is a colon in its name).
            width: of the window, in pixels; below `PHONE` it is a phone's.
            height: likewise.
            dark: whether the user prefers dark pages.
        """
        phone = width < PHONE
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            is_mobile=phone,
            has_touch=phone,
            device_scale_factor=2 if phone else 1,
        )
        try:
            opened = Opened(context.new_page())
            opened.listen()
            is_file = isinstance(address, Path) or ":" not in address
            opened.page.goto(Path(address).resolve().as_uri() if is_file else address)
            yield opened
        finally:
            context.close()


@contextmanager
def chromium(flags: Sequence[str] = FLAGS) -> Iterator[Chromium]:
    """The browser of this machine, for the block. Exits with one line where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SystemExit('error: needs Playwright: pip install -e ".[browser]"') from None
    place = next(filter(None, map(shutil.which, NAMES)), None)
    if place is None:
        raise SystemExit("error: needs a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=list(flags))
        try:
            yield Chromium(browser)
        finally:
            browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="of the page, or its file")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--dark", action="store_true", help="as a user who prefers dark pages")
    parser.add_argument("--output", default="page.png", help="picture to write")
    args = parser.parse_args()
    with (
        chromium() as browser,
        browser.open(args.address, args.width, args.height, args.dark) as opened,
    ):
        opened.page.wait_for_timeout(500)
        opened.screenshot(args.output)
        asked = [address for address in opened.requests if address != opened.page.url]
        wide = opened.too_wide()
    lines = [f"error: {error}" for error in opened.errors]
    lines += [f"asks for {address}" for address in asked]
    lines += [f"{wide} pixels too wide"] if wide else []
    print(*lines, f"wrote {args.output}", sep="\n")
    raise SystemExit(int(bool(lines)))


if __name__ == "__main__":
    main()
