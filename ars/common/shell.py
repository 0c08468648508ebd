"""Words for a shell, in commands that users copy from a message."""

from __future__ import annotations

import os
import shlex
from pathlib import PurePath


def quoted(word: object) -> str:
    """A word as a shell must be given it; a path is never taken for a flag."""
    text = str(word)
    if isinstance(word, PurePath) and text.startswith("-"):
        text = f"./{text}"
    return shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escaped, text))}'"


def _escaped(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
