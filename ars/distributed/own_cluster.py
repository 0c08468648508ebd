"""Which Ray the address `auto` means: one of this user's, found before anything is sent to it.

Ray itself takes what it reads in the shared /tmp/ray and in the command lines of all processes, and
whoever connects shows the token. There another user could name an address of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ars.common.errors import ClusterError

_PROCESSES = Path("/proc")
_FLAGS = ("--gcs-address=", "--gcs_address=")


def own_cluster() -> str:
    """The address of the Ray that Ray would take for `auto`, or that RAY_ADDRESS names.

    Raises:
        ClusterError: there is none, or it is not known to be this user's.
    """
    from ray._private.services import canonicalize_bootstrap_address_or_die

    try:
        found: str = canonicalize_bootstrap_address_or_die("auto")
    except (ConnectionError, ValueError):
        raise ClusterError(
            "`ray_address` auto: no Ray is found here, or more than one; give its address"
        ) from None
    if os.environ.get("RAY_ADDRESS"):
        return found
    owners = set(_owners(found))
    if owners and os.geteuid() not in owners:
        raise ClusterError(
            f"`ray_address` auto: the Ray at {found} is another user's (user id {min(owners)}); to "
            "use it, give its address"
        )
    if not owners and _PROCESSES.is_dir():
        raise ClusterError(
            f"`ray_address` auto: no process of the Ray at {found} runs here; to use it, give its "
            "address"
        )
    return found


def _owners(address: str) -> Iterator[int]:
    """The user ids of the processes here whose commands name an address as that of their head."""
    for process in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if any(word == f"{flag}{address}" for word in words for flag in _FLAGS):
                yield process.stat().st_uid
