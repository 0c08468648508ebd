"""The actions of a C header, from a program compiled with the system's C compiler."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import RunError
from ars.exporting.plain import PlainPolicy

_PROGRAM = """\
#include <stdio.h>
#include "policy.h"

int main(void)
{{
    static double observation[{NAME}_N_OBSERVATIONS];
    static {type} action[{NAME}_N_ACTIONS];
    while (fread(observation, sizeof observation, 1, stdin) == 1) {{
        {call}
        if (fwrite(action, sizeof action, 1, stdout) != 1) return 1;
    }}
    return 0;
}}
"""
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")
_SECONDS = 120  # for a compiler, or for a program of a thousand actions


def compiler() -> list[str]:
    """The words that call the C compiler: `CC`, or else cc, gcc or clang. Raises: RunError."""
    chosen = shlex.split(os.environ.get("CC", ""))
    for words in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(words[0]) is not None:
            return words
    tried = f"CC is {chosen[0]}" if chosen else "none of cc, gcc and clang is there"
    raise RunError(
        f"`format` c: the header is compiled to check it, and there is no C compiler here ({tried})"
    )


class CompiledHeader:
    """A header's policy: `act` runs the program made of it."""

    def __init__(self, text: str, name: str, discrete: bool, kind: str, plain: PlainPolicy) -> None:
        self._text, self._plain = text, plain
        call = f"action[0] = {name}_act(observation);" if discrete else ""
        self._program = _PROGRAM.format(
            NAME=name.upper(), type=kind, call=call or f"{name}_act(observation, action);"
        )

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Actions for observations [n, *shape]. Raises: RunError."""
        with tempfile.TemporaryDirectory() as folder:
            program = self._compile(Path(folder))
            given = observations.reshape(len(observations), -1).astype(np.float64)
            done = _run([str(program)], given.tobytes())
        shape = (len(observations), *self._plain.shape)
        actions = np.frombuffer(done, self._plain.dtype)
        if actions.size != np.prod(shape):
            raise RunError("the compiled header gave no action for some observations")
        return actions.reshape(shape)

    def _compile(self, folder: Path) -> Path:
        source, program = folder / "policy.c", folder / "policy"
        (folder / "policy.h").write_text(self._text)
        source.write_text(self._program)
        _run([*compiler(), *FLAGS, str(source), "-o", str(program), "-lm"])
        return program


def _run(words: list[str], given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(words, input=given, capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{words[0]} failed: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RunError(f"{words[0]} failed: {said[0] if said else f'status {done.returncode}'}")
    return done.stdout
