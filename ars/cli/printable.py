"""Text as a terminal should show it: what comes from a file or an environment may hold anything."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 2000  # characters of a message
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Control characters, invisible ones (which can turn a line around), lone surrogates, line ends.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(text: str) -> str:
    """A message without colours, with escapes for what a terminal would obey, and not too long.

    It may have several lines.
    """
    text = _COLOUR.sub("", text)
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            ascii(char)[1:-1] if char != "\n" and unicodedata.category(char) in _UNSEEN else char
            for char in text
        )
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
