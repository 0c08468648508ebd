"""Draws robots in the browser: each on a strip of floor of its own, side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import trimesh

from ars.common.words import digits

WIDTH = 2.4  # metres from one strip to the next; more for robots that are seen from afar
_CAPTION = 0.12  # metres above a picture
_TEXT_SECONDS = 0.5  # between two texts: they are for reading
_FLOOR = (226, 234, 244)
_LINES = (186, 200, 220)


class OnStage:
    """The body of a lane: what a page shows of it, in its place.

    Args:
        server: viser's.
        place: which strip, from 0.
        places: how many there are, with this one.
        name: what the label begins with.
        tell: called now and then with how its episode goes, in words.
    """

    def __init__(
        self, server: Any, place: int, places: int, name: str, tell: Callable[[str], None]
    ) -> None:
        self._server, self._place, self._name, self._tell = server, place, name, tell
        self._places = places
        self._at: Any = None
        self._root = f"/lane{place}"
        self._server.scene.add_frame(self._root, show_axes=False)
        self._parts: list[Any] = []
        self._floor: Any = None
        self._label: Any = None
        self._image: Any = None
        self._about, self._above, self._written = "", 0.0, 0.0

    def say(self, text: str) -> None:
        """What stands above the robot, or in its place if it cannot be shown."""
        self._about = text
        self._write(0.0, 0.0, (0.0, self._place * WIDTH, 1.5) if self._label is None else None)

    def model(self, model: Any) -> None:
        """Make the shapes of a robot, and its floor."""
        self._clear()
        view = model.view
        self._y = self._place * max(WIDTH, 0.75 * view.distance)
        # Higher behind, where labels would be one upon the other.
        self._above = (0.36 + 0.1 * self._place) * view.distance
        size = 4 * max(WIDTH, view.distance)
        self._floor = self._server.scene.add_grid(
            f"{self._root}/floor",
            width=size,
            height=0.7 * max(WIDTH, view.distance),
            cell_size=0.5,
            section_size=1.0,
            cell_color=_LINES,
            section_color=_LINES,
            plane_color=_FLOOR,
            plane_opacity=1.0,
            fade_distance=10 * size,
            position=(0.0, self._y, view.floor),
        )
        for part in range(model.n_parts):
            self._parts.append(
                self._server.scene.add_frame(f"{self._root}/part{part}", show_axes=False)
            )
        for number, shape in enumerate(model.shapes):
            mesh = _mesh(shape)
            if mesh is None:
                continue
            self._server.scene.add_mesh_simple(
                f"{self._root}/part{shape.part}/shape{number}",
                np.asarray(mesh.vertices, np.float32),
                np.asarray(mesh.faces, np.uint32),
                color=tuple(round(255 * value) for value in shape.colour),
                position=shape.position,
                wxyz=shape.attitude,
            )
        if self._place == 0:
            aim = np.array([0.0, self._y, view.height])
            yaw, pitch = math.radians(view.yaw), math.radians(view.pitch)
            back = view.distance * 1.15
            camera = self._server.initial_camera
            camera.look_at = tuple(aim)
            camera.position = tuple(
                aim
                + back
                * np.array(
                    [
                        math.sin(yaw + 0.35) * math.cos(pitch),
                        -math.cos(yaw + 0.35) * math.cos(pitch),
                        0.12 - math.sin(pitch),
                    ]
                )
            )

    def move(self, model: Any, seconds: float, total: float) -> None:
        """Put all parts where they are; the robot stays in its place, and its floor moves."""
        positions, attitudes = model.poses()
        x, y, _ = model.focus()
        shift = np.array([-x, self._y - y, 0.0])
        with self._server.atomic():
            for part, position, attitude in zip(self._parts, positions, attitudes, strict=True):
                part.position, part.wxyz = position + shift, attitude
            self._floor.position = (
                math.floor(x) - x,
                self._y + math.floor(y) - y,
                model.view.floor,
            )
            self._write(seconds, total, (0.0, self._y, model.view.height + self._above))

    def picture(self, picture: Any, seconds: float, total: float) -> None:
        """Show a picture that stands upright, two of them in a row, the first row above."""
        height, width = picture.shape[:2]
        across = WIDTH * 0.95
        up = across * height / width
        row, column = divmod(self._place, 2)
        x, z = column * WIDTH, -row * (up + 2 * _CAPTION)
        with self._server.atomic():
            if self._image is None:
                self._clear()
                self._image = self._server.scene.add_image(
                    f"{self._root}/picture",
                    picture,
                    render_width=across,
                    render_height=up,
                    format="jpeg",
                    position=(x, 0.0, z),
                    wxyz=(math.sqrt(0.5), -math.sqrt(0.5), 0.0, 0.0),
                )
                if self._place == 0:
                    columns, rows = min(self._places, 2), math.ceil(self._places / 2)
                    middle = (columns - 1) * WIDTH / 2, (1 - rows) * (up + 2 * _CAPTION) / 2
                    back = 1.2 * max(columns * WIDTH, rows * (up + 2 * _CAPTION))
                    camera = self._server.initial_camera
                    camera.look_at = middle[0], 0.0, middle[1]
                    camera.position = middle[0], -back, middle[1] + 0.1
            else:
                self._image.image = picture
            self._write(seconds, total, (x - across / 2, 0.0, z + up / 2 + _CAPTION))

    def _write(self, seconds: float, total: float, position: Any) -> None:
        now = time.monotonic()
        if seconds and now - self._written < _TEXT_SECONDS:
            return
        self._written = now
        if seconds:
            self._tell(f"return {digits(total)}, {seconds:.1f} s")
        # Its text is laid out anew, which takes a while, so it changes with the policy alone.
        text = ": ".join(word for word in (self._name, self._about) if word)
        if self._label is None:
            self._label = self._server.scene.add_label(
                f"{self._root}-label", text, position=position or (0.0, 0.0, 1.5)
            )
            return
        if self._label.text != text:
            self._label.text = text
        if position is not None and self._at != position:
            self._at = self._label.position = position

    def _clear(self) -> None:
        for handle in (*self._parts, self._floor, self._image):
            if handle is not None:
                handle.remove()
        self._parts, self._floor, self._image = [], None, None


def _mesh(shape: Any) -> Any:
    """A shape's surface; None if its file cannot be read."""
    if shape.kind == "sphere":
        return trimesh.creation.icosphere(subdivisions=3, radius=shape.size[0])
    if shape.kind == "box":
        return trimesh.creation.box(extents=shape.size)
    if shape.kind == "cylinder":
        return trimesh.creation.cylinder(radius=shape.size[1], height=shape.size[0], sections=32)
    if shape.kind == "capsule":
        mesh = trimesh.creation.capsule(radius=shape.size[1], height=shape.size[0], count=[24, 24])
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
        return mesh
    try:
        loaded: Any = trimesh.load(shape.file, force="mesh", process=False)
        loaded.apply_scale(shape.size)
    except Exception:  # of any reader: the robot is shown without this part
        return None
    return loaded
