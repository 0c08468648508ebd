"""Settings: dataclass fields that carry their sentence and their bounds.

A field made with `setting` is written down once: `ars.cli.parser` turns it into a flag, and
`make_config` holds a finished configuration against the bounds.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ars.common.errors import UsageError

# More of anything that lies in memory than any machine has room for: refused before NumPy is asked.
LARGE = 10**9


def setting(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
) -> Any:
    """A dataclass field that becomes a flag. Bounds hold for numbers and each item of a tuple."""
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "choices": choices,
            "at_least": at_least,
            "at_most": at_most,
            "above": above,
        },
    )


def _plain_type(hint: Any) -> Any:
    """The type behind `T | None`."""
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def make_config(config: type[Any], values: Mapping[str, Any]) -> Any:
    """Make a config dataclass from the values that name its fields, checked against its bounds.

    Raises: UsageError naming the setting, its value and what is allowed.
    """
    names = {field.name for field in dataclasses.fields(config)}
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in names
    }
    hints = typing.get_type_hints(config)
    for name, value in given.items():
        _check_type(name, value, hints[name])
    # Each by itself first: what `config` compares with each other makes sense then.
    for field in dataclasses.fields(config):
        _check(field, given.get(field.name, field.default))
    return config(**given)


def _check_type(name: str, value: Any, hint: Any) -> None:
    """Flags have their types already; a config.json may hold anything."""
    kind = _plain_type(hint)
    if value is None and kind is not hint:
        return
    if typing.get_origin(kind) is tuple:
        kinds, items = typing.get_args(kind)[:1], value if isinstance(value, tuple) else (value,)
    else:
        kinds, items = (kind,), (value,)
    allowed = (int, float) if kinds == (float,) else kinds
    for item in items:
        if not isinstance(item, allowed) or (isinstance(item, bool) and bool not in allowed):
            raise UsageError(f"`{name}` {value!r}: must be of type {kinds[0].__name__}")


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    choices, above, at_least, at_most = (
        field.metadata.get(k) for k in ("choices", "above", "at_least", "at_most")
    )
    name = f"`{field.name}`"
    if choices and value is not None and value not in choices:
        raise UsageError(
            f"{name} {value}: must be one of {', '.join(choices)}" + near(value, choices)
        )
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"{name} {number}: must be a finite number")
        if above is not None and not number > above:
            raise UsageError(f"{name} {number}: must be greater than {above}")
        if at_least is not None and number < at_least:
            raise UsageError(f"{name} {number}: must be at least {at_least}")
        if at_most is not None and number > at_most:
            raise UsageError(f"{name} {number}: must be at most {at_most}")


def near(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing where no known word is near."""
    folded = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(str(word).lower(), folded, n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(folded[m] for m in matches)}?)" if matches else ""


def counted(number: int, noun: str) -> str:
    """`1 episode`, `2,000 episodes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
