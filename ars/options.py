"""Command-line flags from dataclass fields, so that a setting is written down once.

A field made with `option` carries its sentence and its bounds; `add_flags` turns it into
`--its-name`, `check` holds a finished configuration against the bounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from ars.errors import UsageError

# More of anything that lies in memory than any machine has room for: refused before NumPy is asked.
LARGE = 10**9


def option(
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


def flag_name(field_name: str) -> str:
    """`n_top` -> `--n-top`."""
    return "--" + field_name.replace("_", "-")


def add_flags(parser: argparse._ActionsContainer, config: type[Any]) -> None:
    """Add a flag for each field of a dataclass; flags not given leave no attribute behind."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        kind = _plain_type(hints[field.name])
        details: dict[str, Any] = {"help": _help(field), "default": argparse.SUPPRESS}
        if kind is bool:
            details["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(kind) is tuple:
            details |= {"type": typing.get_args(kind)[0], "nargs": "+", "metavar": "N"}
        else:
            details |= {"type": kind, "metavar": kind.__name__.upper()}
            if field.metadata.get("choices"):
                details["metavar"] = "{" + ",".join(field.metadata["choices"]) + "}"
        parser.add_argument(flag_name(field.name), **details)


def flag_names(config: type[Any]) -> list[str]:
    """The flags that `add_flags` adds, without those that turn a setting off."""
    return [flag_name(field.name) for field in dataclasses.fields(config)]


def _plain_type(hint: Any) -> Any:
    """The type behind `T | None`."""
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def _help(field: dataclasses.Field[Any]) -> str:
    text = str(field.metadata["help"]).replace("%", "%%")
    default = field.default
    if default is None or default == ():
        return text
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{text} (default: {shown})"


def build(config: type[Any], values: Mapping[str, Any]) -> Any:
    """Make a config dataclass from the values that name its fields, checked against its bounds.

    Raises: UsageError naming the flag, its value and what is allowed.
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
            raise UsageError(f"{flag_name(name)} {value!r}: must be of type {kinds[0].__name__}")


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    choices, above, at_least, at_most = (
        field.metadata.get(k) for k in ("choices", "above", "at_least", "at_most")
    )
    name = flag_name(field.name)
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


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors, underscores accepted in flags, and near misses suggested.

    `elsewhere`: flags that are not taken here, and where they are.
    """

    def __init__(self, elsewhere: Mapping[str, str] | None = None, **details: Any) -> None:
        super().__init__(allow_abbrev=False, **details)
        self._elsewhere = elsewhere or {}
        # argparse's own pattern takes -1 for a value, but -1e9 and -inf for flags.
        self._negative_number_matcher = re.compile(r"^-(\d|\.\d|inf|nan)")

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        fail(message, 2)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, refusing what is not known with the nearest flag."""
        words = [_with_dashes(word) for word in (sys.argv[1:] if args is None else args)]
        result, unknown = super().parse_known_args(words, namespace)
        if unknown:
            name = unknown[0].split("=")[0]
            if name in self._elsewhere:
                self.error(f"{name}: {self._elsewhere[name]}")
            flags = [flag for action in self._actions for flag in action.option_strings]
            hint = near(name, [*flags, *self._elsewhere]) or f"; see {self.prog} --help"
            self.error(f"unknown argument {unknown[0]}{hint}")
        return result, unknown


def _with_dashes(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def fail(message: str, status: int) -> NoReturn:
    """Print `error: message` on one line of stderr and exit."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(status)
