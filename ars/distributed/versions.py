"""The versions and the processor of a machine, which results may depend on.

Standard library only: a node whose packages differ from the driver's must still be able to say so.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ars import __version__

PACKAGES = ("numpy", "gymnasium", "pybullet", "mujoco", "numba", "ray", "torch")
# Rollouts use these; where they differ, results may differ.
DECISIVE = ("python", "ars", "code", "numpy", "gymnasium", "pybullet")
# Decisive as well, but only where both machines have it.
OPTIONAL = ("mujoco",)
# Lines of /proc/cpuinfo that tell generations apart, of x86 and of ARM, and in words.
_KIND = {"cpu family": "family", "model": "model", "CPU implementer": "maker", "CPU part": "part"}


class Machine(NamedTuple):
    """What results may depend on; `versions` holds those named in `DECISIVE` and others."""

    versions: dict[str, str]
    cpu: str
    libc: str


@functools.cache
def machine() -> Machine:
    """This machine; its versions include a digest of the toolkit's code."""
    return Machine({**versions(), "code": code_digest()}, cpu(), libc())


def versions() -> dict[str, str]:
    """Versions that results may depend on."""
    found = {"ars": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def code_digest() -> str:
    """A digest of the toolkit's Python files, 12 hex digits."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in ("ars", "envs", "policies"):
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def cpu() -> str:
    """The kind of processor: identical results are promised for one kind only.

    Its name alone does not tell: virtual machines show one name for several generations, whose
    BLAS kernels round differently.
    """
    try:
        first, *_ = Path("/proc/cpuinfo").read_text().split("\n\n")
    except OSError:
        return platform.processor()
    pairs = (line.partition(":") for line in first.splitlines())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    words = [found.get("model name") or platform.machine()]
    words += [f"{what} {found[name]}" for name, what in _KIND.items() if name in found]
    if "avx512f" in found.get("flags", "").split():
        words.append("AVX-512")
    return ", ".join(words)


def libc() -> str:
    """The name and version of the C library, whose `tanh` the policies use."""
    return " ".join(platform.libc_ver())


def mismatch(here: Machine, there: Machine) -> str | None:
    """Why machine `there` must not run rollouts for machine `here`; None if it may."""
    ours, theirs = _decisive(here.versions), _decisive(there.versions)
    names = [*DECISIVE, *(name for name in OPTIONAL if name in ours and name in theirs)]
    found = [
        f"{name} {theirs.get(name, 'none')} there, {ours.get(name, 'none')} here"
        for name in names
        if ours.get(name) != theirs.get(name)
    ]
    return "; ".join(found) or None


def _decisive(found: Mapping[str, str]) -> dict[str, str]:
    python = ".".join(found.get("python", "").split(".")[:2])
    return {**found, "python": python}


def other_kind(here: Machine, there: Machine) -> str | None:
    """Why machine `there` may round differently from `here`; None if no reason is known.

    Compares the processor, the C library and Numba. Another Numba is allowed, because each worker
    checks its compiled loop against the plain environment.
    """
    pairs = [(there.cpu, here.cpu), (there.libc, here.libc)]
    numba = [machine.versions.get("numba") for machine in (there, here)]
    if all(numba):
        pairs.append((f"numba {numba[0]}", f"numba {numba[1]}"))
    found = [f"{theirs} there, {ours} here" for theirs, ours in pairs if theirs != ours]
    return "; ".join(found) or None
