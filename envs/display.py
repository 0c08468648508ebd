"""Whether a window can open here."""

from __future__ import annotations

import os
import socket
import sys


def has_display() -> bool:
    """Whether there is a display that answers.

    On Linux the X server is asked: DISPLAY outlives it in many a remote shell, and PyBullet and
    GLFW then end the process, while PyBullet waits for ever where DISPLAY is not set.
    """
    if not sys.platform.startswith("linux"):
        return True
    host, _, screen = os.environ.get("DISPLAY", "").rpartition(":")
    number = screen.partition(".")[0]
    if not number.isdigit():
        return False
    local = host in ("", "unix")
    with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as server:
        server.settimeout(2.0)
        try:
            server.connect(f"/tmp/.X11-unix/X{number}" if local else (host, 6000 + int(number)))
        except (OSError, OverflowError):
            return False
    return True
