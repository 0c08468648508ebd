"""Rows of the fault matrix about another user of the machine, with a user id of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from faults.runs import LENGTH, SLOW, CannotBeCaused, Lab, Training, in_fork, require, words

OTHER = 54321  # a user and group id; it needs no name


def _as_another_user(action: Callable[[], None]) -> str:
    """Do something as another user; return what it printed. Raises: Fails if it raises."""
    if os.geteuid() != 0:
        raise CannotBeCaused("needs root, to become another user")

    def become() -> None:
        os.setgroups([])
        os.setgid(OTHER)
        os.setuid(OTHER)

    status, out, err = in_fork(action, become)
    require(status == 0, f"another user could not try: {err}")
    return out


def _tries(folder: Path, pids: list[int]) -> Callable[[], None]:
    """What another user does to Ray's folder and processes; prints what succeeds."""

    def enter() -> None:
        os.listdir(folder)

    def write() -> None:
        (folder / "session_latest" / "evil").write_text("")

    def replace() -> None:
        folder.parent.rename(folder.parent.with_name("taken"))

    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / "session_latest" / "sockets" / "raylet"))

    def read_token() -> None:
        for pid in pids:
            if "RAY_AUTH_TOKEN=" in Path(f"/proc/{pid}/environ").read_text():
                print("token in the environment of", pid)

    def action() -> None:
        for attempt in (enter, write, replace, connect, read_token):
            try:
                attempt()
            except OSError:
                continue
            print("succeeded:", attempt.__name__)
        for pid in pids:  # everybody may read these
            if "token=" in Path(f"/proc/{pid}/cmdline").read_text().lower():
                print("token in the command of", pid)

    return action


def _ray_folder(run: Training) -> Path:
    """Ray's folder, from the command line of its head."""
    for pid in run.left():
        for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            if word.startswith(("--session-dir=", "--session_dir=")):
                return Path(word.partition("=")[2]).parent
    raise CannotBeCaused("Ray's folder is not found")


def another_user(lab: Lab) -> str:
    """Enter, write, replace, connect and read as another user, while a local run goes on."""
    folder = lab.place / "run"
    with Training(folder, words(SLOW, folder, *LENGTH, workers=1)) as run:
        run.wait_for_rows(2)
        place = _ray_folder(run)
        require(os.stat(place.parent).st_mode & 0o777 == 0o700, f"{place.parent} is open")
        found = _as_another_user(_tries(place, run.left()))
        require(not found, f"another user: {found}")
        run.end()
    require(not place.parent.exists(), f"{place.parent} is left")
    with Training(lab.place / "killed", words(SLOW, lab.place / "killed", workers=1)) as run:
        run.wait_for_rows(2)
        place = _ray_folder(run)
        run.process.kill()
        run.end(-9)
    require(not place.parent.exists(), f"{place.parent} is left after kill -9")
    return "nothing succeeds"


def open_cluster(lab: Lab) -> str:
    """Warn of a cluster in a folder that others can write to, and not of a private one."""
    from faults.runs import raylets

    for is_open in (True, False):
        lab.place.chmod(0o755)
        given = lab.place / "r" if is_open else None
        folder = lab.place / f"open-{is_open}"
        with raylets(given) as cluster:
            cluster.add(1)
            command = words(SLOW, folder, *LENGTH, "--ray-address", cluster.address, workers=1)
            with Training(folder, command) as run:
                run.wait_for_rows(2)
                pids = run.left()
                found = _as_another_user(_tries(cluster.folder, pids))
                run.end()
        warned = "other users can replace what is in" in run.out
        require(warned == is_open, f"open: {is_open}, warned: {warned}: {run.out}")
        require(("succeeded" in found) == is_open, f"open: {is_open}, another user: {found!r}")
    return "warned of, and closed where it is private"
