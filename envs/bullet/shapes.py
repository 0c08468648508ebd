"""What a robot looks like: its shapes, and where each is, for programs that draw by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from envs.bullet.client import pybullet
from envs.bullet.renderer import Point, Scene, View, painted

Quaternion = tuple[float, float, float, float]  # w, x, y, z
Array = NDArray[np.float64]


class Shape(NamedTuple):
    """A shape of a part.

    Attributes:
        part: the part's index, which it moves with.
        kind: sphere, box, cylinder, capsule or mesh.
        size: its radius; its edges; its length and radius, along z; a mesh's scale.
        file: of a mesh; otherwise empty.
        colour: red, green and blue, 0 to 1.
        position: of its centre in its part, in metres.
        attitude: its own in its part.
    """

    part: int
    kind: str
    size: tuple[float, float, float]
    file: str
    colour: tuple[float, float, float]
    position: Point
    attitude: Quaternion


_KINDS = {
    pybullet.GEOM_SPHERE: "sphere",
    pybullet.GEOM_BOX: "box",
    pybullet.GEOM_CYLINDER: "cylinder",
    pybullet.GEOM_CAPSULE: "capsule",
    pybullet.GEOM_MESH: "mesh",
}


class Shapes:
    """The shapes of a simulation but for its floor.

    Args:
        client: the simulation.
        scene: its contents.
        view: the colours, and where the camera is.
        focus: returns the point that the camera follows.
        mjcf: the file of its model, if that is MJCF.

    Attributes:
        shapes: of all parts.
        n_parts: how many links have a shape.
        view: as given.
        focus: as given.
    """

    def __init__(
        self,
        client: int,
        scene: Scene,
        view: View,
        focus: Callable[[], Point],
        mjcf: str | None = None,
    ) -> None:
        self._client, self.view, self.focus = client, view, focus
        colours = {(body, link): rgba for body, link, rgba in painted(client, scene, view)}
        ends = _ends_of_capsules(mjcf) if mjcf is not None else {}
        self._parts: list[tuple[int, int]] = []
        self.shapes: list[Shape] = []
        for body in scene.bodies:
            for found in pybullet.getVisualShapeData(body, physicsClientId=client):
                _, link, kind, size, file, position, attitude, *_ = found
                rgba = colours[body, link]
                if kind not in _KINDS or rgba[3] == 0:
                    continue
                if (body, link) not in self._parts:
                    self._parts.append((body, link))
                part = self._parts.index((body, link))
                shape = Shape(
                    part,
                    _KINDS[kind],
                    tuple(size),
                    file.decode(),
                    rgba[:3],
                    tuple(position),
                    _w_first(attitude),
                )
                geoms = ends.get(_name(client, body, link), ())
                place = sum(one.part == part for one in self.shapes)
                between = geoms[place] if place < len(geoms) else None
                self.shapes.append(shape if between is None else _between(shape, *between))
        self.n_parts = len(self._parts)

    def poses(self) -> tuple[Array, Array]:
        """Where each part is: metres [n_parts, 3], and attitudes [n_parts, 4], w first."""
        found = [self._pose(body, link) for body, link in self._parts]
        return (
            np.array([position for position, _ in found]),
            np.array([_w_first(attitude) for _, attitude in found]),
        )

    def _pose(self, body: int, link: int) -> tuple[Point, Quaternion]:
        if link >= 0:
            state = pybullet.getLinkState(
                body, link, computeForwardKinematics=1, physicsClientId=self._client
            )
            return state[4], state[5]
        # PyBullet places a base by its centre of mass.
        centre = pybullet.getBasePositionAndOrientation(body, self._client)
        inertia = pybullet.getDynamicsInfo(body, -1, self._client)[3:5]
        pose: tuple[Point, Quaternion] = pybullet.multiplyTransforms(
            *centre, *pybullet.invertTransform(*inertia)
        )
        return pose


def _name(client: int, body: int, link: int) -> str:
    if link < 0:
        return str(pybullet.getBodyInfo(body, client)[0].decode())
    return str(pybullet.getJointInfo(body, link, client)[12].decode())


Ends = tuple[Array, Array]


def _ends_of_capsules(mjcf: str) -> dict[str, list[Ends | None]]:
    """By body, for each of its geoms: the two ends that it is given by, if it is.

    PyBullet tells the length of such a capsule, but not where it lies.
    """
    found: dict[str, list[Ends | None]] = {}
    for body in ElementTree.parse(mjcf).iter("body"):
        geoms = found[body.get("name", "")] = []
        for geom in body.findall("geom"):
            numbers = np.array([float(word) for word in (geom.get("fromto") or "").split()])
            geoms.append((numbers[:3], numbers[3:]) if numbers.size == 6 else None)
    return found


def _between(shape: Shape, start: Array, end: Array) -> Shape:
    """A capsule or cylinder from one point to another."""
    along = (end - start) / np.linalg.norm(end - start)
    # The shortest turn from z to there.
    turn = np.array([1.0 + along[2], -along[1], along[0], 0.0])
    if along[2] < -1 + 1e-9:
        turn = np.array([0.0, 1.0, 0.0, 0.0])
    w, x, y, z = (turn / np.linalg.norm(turn)).tolist()
    centre = tuple(((start + end) / 2).tolist())
    return shape._replace(position=centre, attitude=(w, x, y, z))


def _w_first(attitude: Quaternion) -> Quaternion:
    """PyBullet's x, y, z, w as w, x, y, z."""
    return (attitude[3], *attitude[:3])
