"""Reads settings in YAML, within limits."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads plain values, and `3e-4` as the number that it is in YAML 1.2."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases: a few aliases of aliases stand for more than any memory holds."""
        if self.check_event(yaml.AliasEvent):
            raise ValueError("aliases are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a name that is given twice, of which YAML would take the last."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice} is given twice")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), [*"-+0123456789"]
)


def parsed(text: str) -> Any:
    """The document. Raises: ValueError if it cannot be read, RecursionError if it is too deep."""
    try:
        return yaml.load(text, _Loader)  # which is a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
