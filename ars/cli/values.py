"""What the words of a command line mean: whole numbers, numbers, lists, `name=value`."""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import math
import re
import warnings
from fractions import Fraction
from typing import Any

from ars.common.errors import UsageError

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}
_WHOLE = re.compile(r"([+-]?(?:\d[\d_]*)?(\.\d+)?(e\+?\d{1,3})?)([kmbg]?)")
_GROUPS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def whole_number(text: str) -> int:
    """The whole number that a word means: `1000000`, `1_000_000`, `1,000,000`, `1e6` or `1M`.

    Raises:
        argparse.ArgumentTypeError: it means none.
    """
    plain = text.replace(",", "") if _GROUPS.fullmatch(text) else text
    match = _WHOLE.fullmatch(plain.lower())
    # 1.5M is whole, but 1.000 may be a thousand to the one and one to the other.
    if match and (match[2] is None or match[3] or match[4]):
        with contextlib.suppress(ValueError):  # such as 1__0, or more digits than Python reads
            value = Fraction(match[1]) * _FACTORS[match[4]]
            if value.denominator == 1:
                return int(value)
    raise argparse.ArgumentTypeError(
        f"{text}: must be a whole number, such as 1000000, 1_000_000, 1,000,000, 1e6 or 1M"
    )


def number(text: str) -> float:
    """The number that a word means: `0.02`, `.02`, `2e-2`.

    Raises:
        argparse.ArgumentTypeError: it means none; the message has the remedy for a comma.
    """
    try:
        return float(text)
    except ValueError:
        told = "must be a number, such as 0.02 or 1e-3"
        if _DECIMAL_COMMA.fullmatch(text):
            told = f"must be written without a comma: {text.replace(',', '.')}"
            if _GROUPS.fullmatch(text):
                told += f" or {text.replace(',', '')}"
        raise argparse.ArgumentTypeError(f"{text}: {told}") from None


def whole_numbers(text: str) -> list[int]:
    """The whole numbers in a word of a list: `64`, `64,64`, `[64,64]`.

    Raises:
        argparse.ArgumentTypeError: there are none, or something else.
    """
    parts = [part for part in re.split(r"[\s,]+", text.strip("[]()")) if part]
    if not parts or any(re.fullmatch(r"0\d+", part) for part in parts):  # 1,024 is no list
        raise argparse.ArgumentTypeError(
            f"{text}: must be whole numbers without commas in them, such as 64 64 or 64,64"
        )
    return [whole_number(part) for part in parts]


def is_number(word: str) -> bool:
    """Whether a word begins as a number or a list of numbers does."""
    return re.match(r"[\[(]*[+-]?\.?\d|[,\])]", word) is not None


def is_key_value(word: str) -> bool:
    """Whether a word is `name=value`."""
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


def key_value(setting: str, word: str) -> tuple[str, Any]:
    """A name and its value from a word such as `hard=False`; `setting` is for messages.

    Raises:
        UsageError: it is none, or what it means cannot be known or stored.
    """
    if not is_key_value(word):
        name = word.partition("=")[0].replace("-", "_")
        meant = f" (did you mean {name}=...?)" if "=" in word and name.isidentifier() else ""
        raise UsageError(f"`{setting}` {word}: must be name=value{meant}")
    name, _, text = word.partition("=")
    try:
        return name, _value(text)
    except UsageError as error:
        raise UsageError(f"`{setting}` {word}: {error}") from None


# Whether these are meant as texts, or as true, false and nothing, only the user knows.
_AMBIGUOUS = {
    **dict.fromkeys(("yes", "on"), "true"),
    **dict.fromkeys(("no", "off"), "false"),
    **dict.fromkeys(("none", "null", "nil"), "null"),
}
_NO_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def _value(text: str) -> Any:
    """A value as JSON or Python spells it, else the text. Raises: UsageError."""
    folded = text.lower()
    if folded in ("true", "false"):
        return folded == "true"
    if text in ("None", "null"):
        return None
    if folded in _AMBIGUOUS:
        raise UsageError(f"write {_AMBIGUOUS[folded]}, or '\"{text}\"' if you mean the text")
    if _NO_NUMBER.fullmatch(text):
        raise UsageError(f"{text} is no number that JSON can hold")
    if re.fullmatch(r"[+-]?[\d.]*(,[\d.]+)+,?", text):
        raise UsageError(f"a number has no comma (0.5, 1000), and a list has brackets ([{text}])")
    try:
        value = _literal(text)
    except SyntaxError:
        if another := re.search(r"[,;]\s*[A-Za-z_]\w*=", text):
            rest = text[another.start() :].lstrip(",; ")
            raise UsageError(f"a space must stand before {rest}") from None
        return text
    except (ValueError, RecursionError, MemoryError):
        raise UsageError("must be what JSON can hold") from None
    if not _is_finite(value):
        raise UsageError("is no number that JSON can hold")
    return value


def _literal(text: str) -> Any:
    """A literal of JSON or Python, as JSON has it.

    Raises:
        SyntaxError: it is none.
        ValueError, RecursionError, MemoryError: JSON has no such type, or it is too long or deep.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes and numbers
            value = ast.literal_eval(text)
    except ValueError as error:  # no literal: a name, a call, a sum
        raise SyntaxError from error
    if isinstance(value, complex) or value is ...:
        raise SyntaxError
    return _plain(value)


def _plain(value: Any) -> Any:
    """A literal with lists for its tuples. Raises: ValueError where JSON has no such type."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _plain(item) for name, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(type(value).__name__)


def _is_finite(value: Any) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)
