"""A page that shows trainings, from Python."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ars.training.finished import Run
from ars.training.given_run import folder_of


@contextmanager
def watch(
    *runs: str | Path | Run, host: str = "127.0.0.1", port: int = 0, trust: bool = False
) -> Iterator[str]:
    """Serve a page that shows trainings and their robots, live, for as long as the block runs.

    Args:
        runs: runs, their folders, policy files or names of shipped policies, side by side.
        host: the address to serve on; on another than the loopback one the page needs the token
            that is part of its address.
        port: likewise; 0: any that is free.
        trust: import the modules that files from elsewhere name.

    Yields:
        The page's address, for a browser.

    Raises:
        UsageError: a run or an address that cannot be used.
        FileError: a run's files are damaged.
        RunError: viser is not installed.
    """
    from ars.watching.serve import served, wait

    with served([str(folder_of(run)) for run in runs], host, port, trust) as (address, look):
        ended = threading.Event()
        looking = threading.Thread(target=wait, args=(look, ended), name="watch", daemon=True)
        looking.start()
        try:
            yield address
        finally:
            ended.set()
            looking.join()
