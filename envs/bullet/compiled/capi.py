"""PyBullet's C functions and the C library's mathematics, for code compiled by Numba.

PyBullet's extension module exports Bullet's C interface (`PhysicsClientC_API.h`), so compiled code
can drive a simulation that Python opened. Only the handle of the simulation is not exported.
PyBullet keeps it in a static array, whose address is found through the module's symbol table.

Importing this module raises an ImportError with a one-line message on other systems and with other
versions of PyBullet.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import mmap
import struct
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding
from numba import types

from envs.bullet.client import pybullet
from envs.bullet.compiled.jit import Array, Indices

VERSION = "3.2.7"  # the release whose structures and constants `physics` uses

# 64-bit ELF: the fields read from a section header and from a symbol.
_SECTION = np.dtype(
    {
        "names": ["type", "offset", "size", "link"],
        "formats": ["<u4", "<u8", "<u8", "<u4"],
        "offsets": [4, 24, 32, 40],
        "itemsize": 64,
    }
)
_SYMBOL = np.dtype(
    {"names": ["name", "value"], "formats": ["<u4", "<u8"], "offsets": [0, 8], "itemsize": 24}
)
_SYMBOL_TABLE = 2


def _open() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """Return PyBullet's library and libm."""
    version = importlib.metadata.version("pybullet")
    if version != VERSION:
        raise ImportError(f"it knows PyBullet {VERSION}, and this is {version}")
    if not sys.platform.startswith("linux"):
        raise ImportError(f"it knows Linux, and this is {sys.platform}")
    try:
        return ctypes.CDLL(pybullet.__file__), ctypes.CDLL("libm.so.6")
    except OSError as error:
        raise ImportError(f"a library does not open ({error})") from error


def _locate(path: str, name: str) -> int:
    """Return the offset of the symbol `name` in a shared library, whether exported or not."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        if image[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
            raise ImportError("PyBullet's library is not a 64-bit ELF file")
        (start,), (count,) = (
            struct.unpack_from("<Q", image, 40),
            struct.unpack_from("<H", image, 60),
        )
        sections = np.frombuffer(image[start : start + count * _SECTION.itemsize], _SECTION)
        for table in sections[sections["type"] == _SYMBOL_TABLE]:
            offset, size = int(table["offset"]), int(table["size"])
            symbols = np.frombuffer(image[offset : offset + size], _SYMBOL)
            names = sections[table["link"]]
            begin, end = int(names["offset"]), int(names["offset"] + names["size"])
            text = image.find(b"\0" + name.encode() + b"\0", begin, end) + 1 - begin
            for value in symbols["value"][symbols["name"] == text].tolist():
                return int(value)
    raise ImportError(f"PyBullet's library does not tell where its {name} is")


def _address(library: ctypes.CDLL, name: str) -> int:
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    except AttributeError as error:
        raise ImportError(f"a library lacks {name}") from error


_bullet, _math = _open()
_LANDMARK = "b3CanSubmitCommand"
_clients = (
    _address(_bullet, _LANDMARK)
    - _locate(pybullet.__file__, _LANDMARK)
    + _locate(pybullet.__file__, "sPhysicsClients1")
)


def bullet_function(name: str, result: Any, *arguments: Any) -> Any:
    """Return PyBullet's function `name` for compiled code, with the given Numba types."""
    binding.add_symbol(name, _address(_bullet, name))
    return types.ExternalFunction(name, result(*arguments))


def libc_function(name: str, result: Any, *arguments: Any) -> Any:
    """Return the C library's function `name` for compiled code, with the given Numba types.

    It is registered under a different name, because LLVM recognises the original one and might
    replace the function.
    """
    binding.add_symbol(f"libc_{name}", _address(_math, name))
    return types.ExternalFunction(f"libc_{name}", result(*arguments))


def handle(client: int) -> int:
    """Return the handle, for the C functions, of the simulation that Python knows as `client`."""
    pointer = ctypes.c_void_p
    value = pointer.from_address(_clients + client * ctypes.sizeof(pointer)).value
    if value is None or _bullet.b3CanSubmitCommand(pointer(value)) != 1:
        raise RuntimeError("PyBullet's simulation is not where it was looked for")
    return value


class SimulatedBody(NamedTuple):
    """A body in a simulation, with views of the memory to which PyBullet writes its state.

    Attributes:
        simulation: the handle of the simulation.
        body: PyBullet's id of the body.
        angles: [128], position and quaternion of the base, then the joint positions.
        rates: [128], linear and angular velocity of the base, then the joint velocities.
        links: [n, 7], positions and quaternions of the links' centres of mass.
        velocities: [n, 6], linear and angular; zero unless `with_velocities`.
        with_velocities: whether the state includes the links' velocities.
        dofs: int64 [motors], indices of the driven joints in `rates`.
        torques: [motors], the torques for the next step.
    """

    simulation: int
    body: int
    angles: Array
    rates: Array
    links: Array
    velocities: Array
    with_velocities: bool
    dofs: Indices
    torques: Array


def simulated_body(
    client: int, body: int, dofs: Sequence[int], *, with_velocities: bool
) -> SimulatedBody:
    """Return a body of a simulation, with views of PyBullet's memory for its state.

    Args:
        client: PyBullet's number of the simulation.
        body: PyBullet's id of the body.
        dofs: indices of the driven joints in the velocities.
        with_velocities: whether the state includes the links' velocities.

    Raises:
        RuntimeError: PyBullet does not answer, or its memory is not laid out as expected.
    """
    simulation = handle(client)
    pointer, count = ctypes.c_void_p, ctypes.c_int()
    request, submit = (
        _bullet.b3RequestActualStateCommandInit,
        _bullet.b3SubmitClientCommandAndWaitStatus,
    )
    request.restype = submit.restype = pointer
    command = request(pointer(simulation), body)
    status = submit(pointer(simulation), pointer(command))
    arrays = [ctypes.POINTER(ctypes.c_double)() for _ in range(4)]
    angles, rates, links, velocities = map(ctypes.byref, arrays)
    _bullet.b3GetStatusActualState2(
        pointer(status), None, ctypes.byref(count), None, None, None,
        angles, rates, None, None, None, links, velocities,
    )  # fmt: skip
    if not all(arrays):
        raise RuntimeError("PyBullet does not answer a request for a body's state")
    return SimulatedBody(
        simulation=simulation,
        body=body,
        angles=np.ctypeslib.as_array(arrays[0], (128,)),
        rates=np.ctypeslib.as_array(arrays[1], (128,)),
        links=np.ctypeslib.as_array(arrays[2], (count.value, 7)),
        velocities=np.ctypeslib.as_array(arrays[3], (count.value, 6)),
        with_velocities=with_velocities,
        dofs=np.array(dofs, np.int64),
        torques=np.zeros(len(dofs)),
    )
