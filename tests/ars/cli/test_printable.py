"""Whatever a message quotes, a terminal shows it and does nothing else."""

from __future__ import annotations

import pytest

from ars.cli.printable import LONGEST, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, ümläuts, 走る, a\u00a0space", "plain words, ümläuts, 走る, a\u00a0space"),
        ("two\nlines", "two\nlines"),
        ("\x1b[33mWARN: a colour\x1b[0m", "WARN: a colour"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b[2Jgone\r", r"\x1b[2Jgone\r"),
        ("a\u202etxt.exe", r"a\u202etxt.exe"),
        ("name\udcff", r"name\udcff"),
        ("\x9b31m", r"\x9b31m"),
        ("one\u2028two", r"one\u2028two"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_message_has_an_end() -> None:
    assert len(printable("x" * 10**6)) == LONGEST + 1
