"""Settings: dataclass fields that carry their help sentence, their bounds and their dependencies.

A field made with `setting` is declared once: `ars.cli.parser` turns it into a flag, `make_config`
checks a configuration against the declarations, and `preset_values` leaves out the values of a
preset that do not go with the user's own settings.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from ars.common.errors import UsageError

# An upper bound on counts of things held in memory: more than any machine has room for, and refused
# before NumPy tries to allocate them.
LARGE = 10**9
LARGEST_STEP = 1e38  # of an optimiser, whose parameters are float32
# The same for counts of what happens, which are added up as int64.
_LARGEST = 10**18
LARGEST_SEED = 2**128 - 1  # the entropy that NumPy's SeedSequence keeps


def setting(
    default: Any,
    help: str,
    *,
    choices: Sequence[Any] | None = None,
    also: Mapping[str, str] | None = None,
    at_least: float | None = None,
    at_most: float | str | None = None,
    above: float | None = None,
    parse: Callable[[Any], object] | None = None,
    metavar: str | None = None,
    requires: Mapping[str, Collection[Any]] | None = None,
    depends_on: Sequence[str] = (),
    starts_as: str | None = None,
) -> Any:
    """A dataclass field that becomes a flag.

    Args:
        default: its value unless another is given.
        help: its help sentence, which names other settings in backticks.
        choices: the only values allowed; words may be given in capitals or not.
        also: other words for some of the choices.
        at_least: lower bound of a number, or of each number of a tuple.
        at_most: upper bound, or the name of the setting that is the upper bound.
        above: lower bound that is itself not allowed.
        parse: checks a text, or a tuple of them, by parsing it; raises UsageError if it is invalid.
        metavar: what stands for a value in the help.
        requires: the values that other settings must have for this one to have a meaning; where
            they have others it must keep its default.
        depends_on: settings that a preset's value of this one goes with; if the user gives one of
            them, the preset's value is dropped.
        starts_as: the setting whose value this one takes at the start of a run, and keeps.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "choices": choices,
            "also": also or {},
            "at_least": at_least,
            "at_most": at_most,
            "above": above,
            "parse": parse,
            "metavar": metavar,
            "requires": requires or {},
            "depends_on": depends_on,
            "starts_as": starts_as,
        },
    )


def setting_names(config: type[Any]) -> list[str]:
    """The settings of a config dataclass."""
    return [field.name for field in dataclasses.fields(config)]


def plain_type(hint: Any) -> Any:
    """The type behind `T | None`."""
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def make_config(config: type[Any], values: Mapping[str, Any]) -> Any:
    """Make a config dataclass from values by field name, checked against its bounds.

    Values may come from a command line, from JSON or from Python. Equivalent ones are converted:
    an array to a tuple, NumPy's numbers to Python's, 1e6 to 1000000, 4 to "4", a path to its text,
    and a choice to the word that is declared.

    Raises:
        UsageError: naming the setting, its value and what is allowed.
    """
    fields, values = dataclasses.fields(config), as_declared(config, values)
    given = {field.name: values[field.name] for field in fields if field.name in values}
    complete = {field.name: given.get(field.name, field.default) for field in fields}
    # Each value by itself first, so that only valid values are compared with each other.
    for field in fields:
        _check(field, complete[field.name])
    for field in fields:
        _check_against_others(field, complete)
    return config(**given)


def as_declared(config: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with those that `config` has of its types, and words for choices in its spelling.

    Raises:
        UsageError: one cannot be converted.
    """
    found, hints = dict(values), typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if field.name in found:
            value = found[field.name]
            choices, also = field.metadata["choices"], field.metadata["also"]
            if choices:
                word = as_spelled(value, [*choices, *also])
                value = also.get(word, word) if isinstance(word, str) else word
            found[field.name] = _typed(field.name, value, hints[field.name])
    return found


def _typed(name: str, value: Any, hint: Any) -> Any:
    """Convert a value to the type of its field. Raises: UsageError."""
    kind = plain_type(hint)
    if value is None and kind is not hint:
        return None
    if typing.get_origin(kind) is tuple:
        kind = typing.get_args(kind)[0]
        value = as_words(value) if isinstance(value, Mapping) else value
        several = isinstance(value, Iterable) and not isinstance(value, str)
        return tuple(_typed(name, item, kind) for item in (value if several else (value,)))
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        return _number(name, value, kind)
    if kind is str and isinstance(value, PurePath):
        return str(value)
    raise UsageError(f"`{name}` {value!r}: must be of type {kind.__name__}")


def _number(name: str, value: Real, kind: Any) -> Any:
    """Convert a number to another type if that can hold it. Raises: UsageError."""
    whole = isinstance(value, Integral) or float(value).is_integer()
    if kind is bool or (kind is int and not whole):
        raise UsageError(f"`{name}` {value!r}: must be of type {kind.__name__}")
    try:
        return kind(value)
    except OverflowError:
        raise UsageError(f"`{name}`: must be a finite number") from None


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    """Check a value against the constant bounds of its field. Raises: UsageError."""
    choices, above, at_least, at_most, parse = (
        field.metadata[name] for name in ("choices", "above", "at_least", "at_most", "parse")
    )
    name = f"`{field.name}`"
    if choices and value is not None and value not in choices:
        words = [str(choice) for choice in choices]
        raise UsageError(f"{name} {value}: must be one of {', '.join(words)}" + near(value, words))
    if parse is not None and value is not None:
        parse(value)
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"{name} {number}: must be a finite number")
        if above is not None and not number > above:
            raise UsageError(f"{name} {number}: must be greater than {above}")
        if at_least is not None and number < at_least:
            raise UsageError(f"{name} {number}: must be at least {at_least}")
        bound = _LARGEST if at_most is None and isinstance(number, int) else at_most
        if isinstance(bound, int | float) and number > bound:
            shown = number if number < 1e30 else "with so many digits"
            raise UsageError(f"{name} {shown}: must be at most {bound}")


def _check_against_others(field: dataclasses.Field[Any], values: Mapping[str, Any]) -> None:
    """Check a value against the other settings that its field names. Raises: UsageError."""
    name, value, at_most = field.name, values[field.name], field.metadata["at_most"]
    if isinstance(at_most, str) and value is not None and value > values[at_most]:
        raise UsageError(f"`{name}` {value}: must be at most `{at_most}` {values[at_most]}")
    if value == field.default:
        return
    for other, allowed in field.metadata["requires"].items():
        if values[other] in allowed:
            continue
        shown = "" if value is True else f" {in_words(value)}"
        if values[other] is False:
            raise UsageError(f"`{name}`{shown}: has no meaning without `{other}`")
        if values[other] is True:
            raise UsageError(f"`{name}`{shown}: has no meaning with `{other}`")
        if tuple(allowed) == (None,):
            raise UsageError(f"`{name}`{shown}: has no meaning beside `{other}`")
        raise UsageError(
            f"`{name}`{shown}: has no meaning with `{other}` {values[other]}, only with "
            + " or ".join(map(str, allowed))
        )


def preset_values(
    config: type[Any], preset: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """A preset's values, without those of `config` that do not go with the settings given.

    A preset's `n_top`, for example, was chosen for its `n_directions` and is dropped with it.
    """
    dropped = {
        field.name
        for field in dataclasses.fields(config)
        if any(name in given for name in field.metadata["depends_on"])
        or any(
            name in given and given[name] not in allowed
            for name, allowed in field.metadata["requires"].items()
        )
    }
    return {name: value for name, value in preset.items() if name not in dropped}


def as_words(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Numbers by name as the words `name=value` of a command line."""
    numbers = {
        name: int(value) if isinstance(value, int | float) and value == value // 1 else value
        for name, value in values.items()
    }
    return tuple(f"{name}={value}" for name, value in numbers.items())


def in_words(value: Any) -> str:
    """A setting's value as on a command line; `none` if it is empty."""
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text or "none"


def near(word: object, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or an empty text if no known word is similar."""
    folded = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(str(word).lower(), folded, n=3, cutoff=0.6)
    if matches and difflib.SequenceMatcher(None, str(word).lower(), matches[0]).ratio() > 0.9:
        matches = matches[:1]  # a letter too few, or two that changed places
    return did_you_mean([folded[match] for match in matches])


def did_you_mean(names: Sequence[str]) -> str:
    """` (did you mean X or Y?)`, or an empty text for no names."""
    return f" (did you mean {' or '.join(names)}?)" if names else ""


def as_spelled(word: Any, known: Iterable[Any]) -> Any:
    """The one of `known` that differs from `word` in case alone; else `word` itself."""
    if not isinstance(word, str):
        return word
    same = {one for one in known if isinstance(one, str) and one.lower() == word.lower()}
    return same.pop() if word not in same and len(same) == 1 else word


def counted(number: int, noun: str) -> str:
    """`1 episode`, `2,000 episodes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
