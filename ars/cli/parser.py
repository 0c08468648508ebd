"""Command-line flags from settings, with errors in one line."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import typing
from collections.abc import Mapping
from typing import Any, NoReturn

from ars.common.settings import _plain_type, near


def flag_name(setting: str) -> str:
    """`n_top` -> `--n-top`."""
    return "--" + setting.replace("_", "-")


# What is no flag on a command line, but a word of its own.
_WORDS = {"env_id": "ENV", "run": "RUN"}


def with_flags(text: str) -> str:
    """A library's message in the words of a command line: its `names` of settings as flags."""
    return re.sub(r"`([a-z][a-z0-9_]*)`", lambda m: _WORDS.get(m[1], flag_name(m[1])), text)


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


def _help(field: dataclasses.Field[Any]) -> str:
    text = with_flags(str(field.metadata["help"])).replace("%", "%%")
    default = field.default
    if default is None or default == ():
        return text
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{text} (default: {shown})"


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
    print(f"error: {' '.join(with_flags(message).split())}", file=sys.stderr)
    raise SystemExit(status)
