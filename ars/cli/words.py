"""Prepares the words of a command line for argparse: lists, and flags with true or false."""

from __future__ import annotations

import argparse
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ars.cli.values import is_key_value, key_value
from ars.common.errors import UsageError

NEGATIVE_NUMBER = re.compile(r"^-(\d|\.\d|inf|nan)")


class Several(argparse.Action):
    """Collects the values of a flag that takes several.

    Args:
        takes: whether a word looks like one of them; a last one that does not is an argument of its
            own, as ENV is in `--hidden-sizes 64 64 ENV`.
        adds_up: whether the flag may be repeated.
        **details: for argparse.
    """

    def __init__(
        self, takes: Callable[[str], bool] = bool, adds_up: bool = False, **details: Any
    ) -> None:
        super().__init__(nargs="+", **details)
        self.takes, self.adds_up = takes, adds_up

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add the values of each word; a word may have several."""
        added = [one for value in values for one in (value if isinstance(value, list) else [value])]
        setattr(namespace, self.dest, [*getattr(namespace, self.dest, ()), *added])


class KeyValues(Several):
    """Collects words `name=value` as a dictionary."""

    def __init__(self, **details: Any) -> None:
        super().__init__(takes=is_key_value, adds_up=True, **details)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add the entry of each word."""
        found: dict[str, Any] = dict(getattr(namespace, self.dest, {}))
        for word in values:
            try:
                name, value = key_value(self.dest, word)
            except UsageError as error:
                parser.error(str(error))
            if name in found:
                parser.error(f"`{self.dest}` {word}: {name} is given twice")
            found[name] = value
        setattr(namespace, self.dest, found)


def prepared(words: Sequence[str], actions: Mapping[str, argparse.Action]) -> Iterator[str]:
    """The words in forms that argparse reads as they are meant.

    `--sizes 64 32 ENV` becomes `--sizes=64 --sizes=32 ENV`, and `--clip False` becomes `--no-clip`.

    Args:
        words: of the command line.
        actions: the parser's, by flag.

    Raises:
        UsageError: a list is given twice.
    """
    left, seen = deque(words), set()
    while left:
        word = left.popleft()
        name, equals, value = word.partition("=")
        action = actions.get(name)
        if isinstance(action, Several):
            if name in seen and not action.adds_up:
                raise UsageError(f"`{action.dest}`: is given twice; give all its values at once")
            seen.add(name)
            values = [value] if equals else []
            while left and (not left[0].startswith("-") or NEGATIVE_NUMBER.match(left[0])):
                values.append(left.popleft())
            if len(values) > 1 and not action.takes(values[-1]):
                left.appendleft(values.pop())
            yield from (f"{name}={value}" for value in values)
            if not values:
                yield word
        elif isinstance(action, argparse.BooleanOptionalAction):
            given = value if equals else left[0] if left else ""
            if given.lower() in ("true", "false"):
                if not equals:
                    left.popleft()
                on, off = action.option_strings
                word = on if (given.lower() == "true") == (name == on) else off
            yield word
        else:
            yield word
