"""A plain window for images, and a check whether windows can be opened."""

from __future__ import annotations

import os
import socket
import sys

import gymnasium
import numpy as np
from numpy.typing import NDArray


def has_display() -> bool:
    """Whether there is a working display.

    On Linux this contacts the X server. In remote shells DISPLAY is often set without a server, and
    PyBullet and GLFW then end the process; if DISPLAY is not set, PyBullet waits forever.
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


def require_display() -> None:
    """Raise a `gymnasium.error.Error` if no window can be opened."""
    if not has_display():
        raise gymnasium.error.Error(
            "render_mode='human' needs a display and no X server answers; use 'rgb_array'"
        )


class Window:
    """Shows images one after another. Raises: gymnasium.error.Error without a display."""

    def __init__(self, title: str) -> None:
        require_display()
        import tkinter

        self._tk = tkinter
        self._root = tkinter.Tk()
        self._root.title(title)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show an image, uint8 [height, width, 3]. Raises: gymnasium.error.Error once closed."""
        height, width, _ = picture.shape
        data = b"P6 %d %d 255 " % (width, height) + picture.tobytes()
        try:
            # Tk shows an image only as long as there is a reference to it.
            self._picture = self._tk.PhotoImage(data=data)
            self._label.configure(image=self._picture)
            self._root.update()
        except self._tk.TclError:
            raise gymnasium.error.Error("the window was closed") from None

    def close(self) -> None:
        """Close the window; safe to call twice."""
        try:
            self._root.destroy()
        except self._tk.TclError:
            return
