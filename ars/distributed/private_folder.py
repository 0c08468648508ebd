"""A folder for Ray that no other user of the machine can enter, and who can write to one.

Ray makes its folders writable by all, in the shared /tmp/ray, and keeps in them the sockets of its
processes and the code that workers run. Whoever can write there can run programs as this user.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ars.common.errors import ClusterError
from ars.common.home import home_folder

SOCKET_LENGTH = 107 if sys.platform == "linux" else 103  # bytes, the system's limit
_LONGEST_INSIDE = "/ars-01234567/r/session_2000-01-31_23-59-59_123456_4194304/sockets/plasma_store"
RAY_FOLDER = "r"
ROOM = 64 << 20  # bytes for the logs of Ray's processes


def make_private_folder() -> Path:
    """Make a folder that only this user can enter; Ray's folder is to be `RAY_FOLDER` in it.

    Ray opens its own folder to all, wherever that is. The path is short enough for its sockets.

    Raises:
        ClusterError: there is no place for it; the message says why, for each that was tried.
    """
    troubles = []
    for parent in dict.fromkeys(_places()):
        trouble = _trouble(parent)
        if trouble is None:
            try:
                return Path(tempfile.mkdtemp(prefix="ars-", dir=parent))
            except OSError as error:
                trouble = error.strerror
        troubles.append(f"{parent}: {trouble}")
    raise ClusterError(
        f"no folder for Ray ({'; '.join(troubles)}): set TMPDIR to a folder of your own whose path "
        f"has at most {SOCKET_LENGTH - len(_LONGEST_INSIDE)} bytes"
    )


def _places() -> Iterator[Path]:
    named = [os.environ.get(name) for name in ("RAY_TMPDIR", "TMPDIR")]
    home = home_folder()
    cache = None if home is None else str(home / ".cache")
    for name in (*named, "/tmp", "/var/tmp", "/dev/shm", cache):
        if name and os.path.isabs(name) and os.path.isdir(name):
            yield Path(name).resolve()


def _trouble(folder: Path) -> str | None:
    """Why Ray's folder cannot be in this one; None if it can."""
    if len(os.fsencode(folder)) + len(_LONGEST_INSIDE) > SOCKET_LENGTH:
        return "its path is too long for sockets"
    if open_folder(folder) is not None:
        return "others can write to it"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "cannot be written"
    if shutil.disk_usage(folder).free < ROOM:
        return "is full"
    return None


def open_folder(folder: Path) -> Path | None:
    """The outermost folder on the way to `folder` in which others can replace what it holds.

    None if there is none, or if others cannot get that far. In a folder with the sticky bit, such
    as /tmp, they can make files of their own but not touch those of this user.
    """
    folder = folder.resolve()
    for place in (*reversed(folder.parents), folder):
        found = place.stat()
        if found.st_uid not in _trusted_users():
            return place
        mode = found.st_mode
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            return place
        if not mode & (stat.S_IXGRP | stat.S_IXOTH):
            return None
    return None


def ray_folder_open_to_others() -> str | None:
    """The same of the folder of the Ray that this process is part of."""
    import ray

    node = ray._private.worker._global_node
    found = None if node is None else open_folder(Path(node.get_session_dir_path()))
    return None if found is None else str(found)


def _trusted_users() -> set[int]:
    """This user, the superuser, and the owner of what a container's users do not own."""
    users = {0, os.geteuid()}
    with suppress(OSError):  # not Linux
        users.add(int(Path("/proc/sys/kernel/overflowuid").read_text()))
    return users
