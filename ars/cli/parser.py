"""Command lines: flags from settings, errors in one line."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from ars.cli.printable import printable
from ars.cli.values import is_key_value, is_number, number, whole_number, whole_numbers
from ars.cli.words import NEGATIVE_NUMBER, Several, prepared
from ars.common.errors import UsageError
from ars.common.settings import in_words, plain_type, setting_names
from ars.common.synonyms import meant, other_name


def flag_name(setting: str) -> str:
    """`n_top` -> `--n-top`."""
    return "--" + _REPEATED.get(setting, setting).replace("_", "-")


# Settings of several values, each given by a flag of its own.
_REPEATED = {"wrappers": "wrapper"}


TRACEBACK = "--traceback"  # which `ars.cli.exit` looks for

# Settings that are positional arguments on the command line.
_POSITIONALS = {"env_id": "ENV", "env": "ENV", "run": "RUN"}


def with_flags(text: str) -> str:
    """Rewrite a library's message for the command line: its `setting_names` become flags."""
    return re.sub(r"`([a-z][a-z0-9_]*)`", lambda m: _POSITIONALS.get(m[1], flag_name(m[1])), text)


_READ: Mapping[type, Callable[[str], Any]] = {int: whole_number, float: number}


def add_flags(
    parser: argparse._ActionsContainer,
    config: type[Any],
    but_of: type[Any] | None = None,
    preset: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Add a flag for each field of a dataclass; flags not given leave no attribute behind.

    Args:
        parser: the parser, or a group in it.
        config: the dataclass.
        but_of: fields of this dataclass get none.
        preset: values to show beside the defaults.
    """
    hints = typing.get_type_hints(config)
    left_out = setting_names(but_of) if but_of is not None else []
    for field in dataclasses.fields(config):
        if field.name in left_out:
            continue
        kind = plain_type(hints[field.name])
        details: dict[str, Any] = {"help": _help(field, preset), "default": argparse.SUPPRESS}
        if kind is bool:
            details["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(kind) is tuple:
            details |= {"action": Several, "metavar": field.metadata.get("metavar") or "N"}
            if typing.get_args(kind)[0] is int:
                details |= {"type": whole_numbers, "takes": is_number}
            else:
                details |= {"takes": is_key_value, "adds_up": True}
        else:
            details |= {"type": _READ.get(kind, kind), "metavar": kind.__name__.upper()}
            if field.metadata.get("choices"):
                details["metavar"] = "{" + ",".join(map(str, field.metadata["choices"])) + "}"
        parser.add_argument(flag_name(field.name), **details)


def add_policy_flags(parser: argparse._ActionsContainer, several: bool = False) -> None:
    """Add RUN, or several, and the flags that say which policy of a run folder it means."""
    details: dict[str, Any] = {"nargs": "+"} if several else {}
    parser.add_argument(
        "run", metavar="RUN", help="run folder, policy file or shipped policy", **details
    )
    parser.add_argument(
        "--latest", action="store_true", help="a run folder's latest policy instead of its best"
    )
    parser.add_argument(
        "--at",
        type=whole_number,
        metavar="TIMESTEPS",
        help="the policy that a run folder had after as many timesteps, from its tape",
    )
    add_trust_flag(parser)


def add_trust_flag(parser: argparse._ActionsContainer) -> None:
    """Add the flag that lets a file from elsewhere name the module of its environment."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="import the module that RUN names although it may come from elsewhere: its code runs",
    )


def add_wrapper_flag(parser: argparse._ActionsContainer) -> None:
    """Add the flag that puts a wrapper around the environment."""
    parser.add_argument(
        flag_name("wrappers"),
        metavar="MODULE:CLASS",
        dest="wrappers",
        action="append",
        default=argparse.SUPPRESS,
        help="a gymnasium wrapper around the environment, or a function that returns it wrapped; "
        "may be repeated, the first one is the innermost",
    )


def _help(field: dataclasses.Field[Any], preset: Mapping[str, Any]) -> str:
    values = {"default": field.default, "preset": preset.get(field.name)}
    show = str if field.name == "port" else _shown  # which is a name, not an amount
    shown = [f"{of}: {show(value)}" for of, value in values.items() if value not in (None, ())]
    text = with_flags(str(field.metadata["help"])).replace("%", "%%")
    return f"{text} ({', '.join(shown)})" if shown else text


def _shown(value: Any) -> str:
    return f"{value:,}" if type(value) is int else in_words(value)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with one-line errors that accepts underscores and suggests near misses.

    Args:
        elsewhere: called when a flag is unknown; returns the settings that belong elsewhere, each
            with a line that says where.
        **details: for argparse.
    """

    def __init__(self, elsewhere: Callable[[], Mapping[str, str]] = dict, **details: Any) -> None:
        super().__init__(allow_abbrev=False, **details)
        self.add_argument(
            TRACEBACK,
            action=_Flag,
            nargs=0,
            default=argparse.SUPPRESS,
            help="show a failure's traceback",
        )
        self._elsewhere = elsewhere
        # argparse's own pattern takes -1 for a value, but -1e9 and -inf for flags.
        self._negative_number_matcher = NEGATIVE_NUMBER

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        # In the form that a setting's own errors have: `--n-top 0,5: must be a whole number`.
        fail(re.sub(r"^argument (--\S+): (?=.*: must be )", r"\1 ", message), 2)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown argument is an error that suggests the nearest flag."""
        words = [_with_dashes(word) for word in (sys.argv[1:] if args is None else args)]
        try:
            words = list(prepared(words, self._option_string_actions))
        except UsageError as error:
            self.error(str(error))
        result, unknown = super().parse_known_args(words, namespace)
        end = unknown.index("--") if "--" in unknown else len(unknown)
        flags = [word for word in unknown[:end] if word.startswith("-")]
        unknown = unknown[:end] + unknown[end + 1 :]
        runs = [a.dest for a in self._actions if a.nargs == "+" and not a.option_strings]
        if flags or (unknown and not runs):
            self._refuse([*flags, *unknown][0])
        if unknown:  # argparse takes the RUNs before a flag alone, and leaves those after it
            getattr(result, runs[0]).extend(unknown)
        return result, []

    def _refuse(self, word: str) -> NoReturn:
        name, elsewhere = word.split("=")[0], self._elsewhere()
        known = {
            _setting(shown): shown
            for action in self._actions
            for shown in action.option_strings or [action.dest]
        }
        known |= {dest: shown for dest, shown in _POSITIONALS.items() if dest in known}
        hint = other_name(name, known)
        if (setting := _setting(name)) in elsewhere:
            self.error(f"{name}: {elsewhere[setting]}{hint}")
        known |= {setting: flag_name(setting) for setting in elsewhere}
        hint = hint or meant(name, known) or f"; see {self.prog} --help"
        self.error(f"unknown argument {word}{hint}")


def _setting(flag: str) -> str:
    """`--n-top` -> `n_top`."""
    return flag.lstrip("-").replace("-", "_")


def _with_dashes(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def fail(message: str, status: int) -> NoReturn:
    """Print `error: message` on one line of stderr and exit."""
    # Spaces stay: they may be those of a name in a command to copy.
    lines = (line.strip() for line in with_flags(message).splitlines())
    print(f"error: {printable(' '.join(filter(None, lines)))}", file=sys.stderr)
    raise SystemExit(status)


class _Flag(argparse.Action):
    """A flag that leaves no attribute behind."""

    def __call__(self, *_: Any) -> None:
        """Store nothing."""
