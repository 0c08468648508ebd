"""The preset of an environment, and lines on what it decides or which there are instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import envs
from ars.algorithms import ALGORITHMS
from ars.common.settings import in_words
from ars.training.config import TrainingConfig


def preset_named_like(name: str, algo: str) -> str | None:
    """The preset of an algorithm that an environment has by its name; None if there is none."""
    short = {row.id: row.name for row in envs.table()}.get(name, name)
    return short if short in ALGORITHMS[algo].presets else None


def what_the_preset_decides(
    config: TrainingConfig,
    preset: Mapping[str, Any],
    used: Mapping[str, Any],
    given: Mapping[str, Any],
) -> list[str]:
    """Lines on what a user would not expect: a preset's seed or start, and what they replaced.

    Args:
        config: what was resolved.
        preset: all values of its preset.
        used: those of them that go with what was given.
        given: the user's settings.
    """
    notes = [
        f"`{name}` {used[name]}, from `preset` {config.preset}"
        for name in ("seed", "init_from")
        if name in used and name not in given
    ]
    for name in [name for name in preset if name not in used and name not in given]:
        value = getattr(config.algorithm, name)
        if value not in (None, (), preset[name]):
            notes.append(
                f"`{name}` {in_words(value)}: `preset` {config.preset} has "
                f"{in_words(preset[name])}, which does not go with what is given"
            )
    return notes


def who_has_a_preset(name: str, algo: str) -> list[str]:
    """A line on the algorithms with a preset for a world of ours for which this one has none.

    Elsewhere the defaults may well be what suits it.
    """
    others = [other for other in ALGORITHMS if preset_named_like(name, other) is not None]
    if not others or not any(name in (row.name, row.id) for row in envs.table()):
        return []
    have = "has one" if len(others) == 1 else "have one"
    return [f"{algo} has no preset for {name}; {', '.join(others)} {have}: `algo` {others[0]}"]
