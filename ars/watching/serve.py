"""Opens the page and keeps it up to date until the user ends it."""

from __future__ import annotations

import importlib.util
import io
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from ars.common.errors import RunError, UsageError
from ars.watching.gate import gate
from ars.watching.source import Source

_SECONDS = 2.0  # between looks at the files


@contextmanager
def served(
    runs: Sequence[str], host: str = "127.0.0.1", port: int = 8008, trust: bool = False
) -> Iterator[tuple[str, Callable[[], None]]]:
    """A page that shows runs, served for the block.

    Args:
        runs: run folders, policy files or shipped policies.
        host: the address to listen on; other than the loopback one a token is needed.
        port: likewise; 0: any that is free.
        trust: import the modules that files from elsewhere name.

    Yields:
        The page's address, and a function that reads what is new, to be called now and then.

    Raises:
        UsageError: a run or an address that cannot be used.
        FileError: a run's files are damaged.
        RunError: viser is not installed.
    """
    if importlib.util.find_spec("viser") is None:
        raise RunError(
            "needs viser: pip install 'ars-toolkit[watch]' (from a checkout: pip install -e "
            "'.[watch]')"
        )
    from ars.watching.page import MOST

    if not 1 <= len(runs) <= MOST:
        raise UsageError(f"`run`: {len(runs)} are given; a page has 1 to {MOST}")
    sources = [Source(run, trust) for run in runs]
    import viser

    from ars.watching.page import LivePage

    for name in ("websockets", "websockets.server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # of browsers that are closed
    with redirect_stdout(io.StringIO()):  # where it would show its own address
        server = viser.ViserServer("127.0.0.1", 0, label="ars watch", verbose=False)
    try:
        with gate(host, port, server.get_port()) as opened:
            page = LivePage(server, sources)
            try:
                page.look()
                yield opened.address, page.look
            finally:
                page.close()
    finally:
        with redirect_stdout(io.StringIO()):
            server.stop()


def wait(look: Callable[[], None], ended: threading.Event) -> None:
    """Read what is new every few seconds until `ended` is set."""
    while not ended.wait(_SECONDS):
        look()
