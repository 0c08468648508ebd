"""A word in a command to copy is the same word after a shell has read it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ars.common.shell import quoted

NAMES = ["plain", "two  spaces", "it's", "-rf", "a\nb'\\c", "ü $HOME `id` *", "\x1b[31m", "~", ""]


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_reads_the_word_that_was_quoted(name: str) -> None:
    command = f"printf %s {quoted(name)}"
    assert command.isprintable()
    done = subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert done.stdout.decode() == name


def test_a_path_is_not_taken_for_a_flag() -> None:
    assert quoted(Path("-rf")) == "./-rf"
    assert quoted("-3") == "-3"
