"""The files that a user asks for: checked before anything is done, and written whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ars.common.errors import RunError, UsageError


def check_output(output: str | Path, *endings: str) -> Path:
    """The file to write: with one of the endings, if any are given, in a folder that exists.

    Raises:
        UsageError: it cannot be written.
    """
    path = Path(output)
    if endings and path.suffix.lower() not in endings:
        raise UsageError(f"`output` {path}: must end in {', '.join(endings)}")
    if path.is_dir():
        raise UsageError(f"`output` {path}: is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"`output` {path}: there is no folder {path.parent}")
    return path


def free(name: str) -> Path:
    """A path that nothing has yet: NAME, or with a number."""
    first = path = Path(name)
    number = 1
    while path.exists():
        number += 1
        path = first.with_stem(f"{first.stem}-{number}")
    return path


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A temporary file that replaces `output` once the block ends without an error.

    Raises:
        RunError: it cannot be written.
    """
    from policies.file import replacement  # with NumPy, which the check above does without

    try:
        # Where it is now: an environment may move to another folder.
        with replacement(output.absolute()) as temporary:
            yield temporary
    except OSError as error:
        raise RunError(f"{output}: cannot be written ({error.strerror})") from error
