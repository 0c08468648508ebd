"""An exported C header as a function in this process."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ars.exporting.c_header import identifier

COMPILER = shutil.which("cc")


def compile_policy(header: Path, n_actions: int, *flags: str) -> Callable[[Any], Any]:
    """`act(observation) -> float32 [n_actions]` of a header with float actions."""
    source, library = header.with_suffix(".c"), header.with_suffix(".so")
    source.write_text(
        f'#include "{header.name}"\n'
        "void act(const double *observation, float *action);\n"
        "void act(const double *observation, float *action)\n"
        f"{{ {identifier(header.stem)}_act(observation, action); }}\n"
    )
    assert COMPILER is not None
    words = [COMPILER, "-O2", *flags, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    subprocess.run(words, check=True)
    function = ctypes.CDLL(str(library)).act
    pointers = [np.ctypeslib.ndpointer(kind, flags="C") for kind in (np.float64, np.float32)]
    function.argtypes, function.restype = pointers, None

    def act(observation: Any) -> Any:
        action = np.empty(n_actions, np.float32)
        function(np.ascontiguousarray(observation, np.float64).ravel(), action)
        return action

    return act
