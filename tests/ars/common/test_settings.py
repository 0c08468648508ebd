"""Settings: what a field declares is what `make_config` and `preset_values` hold values against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ars.common.errors import UsageError
from ars.common.settings import make_config, preset_values, setting


def whole_word(text: str) -> None:
    if " " in text:
        raise UsageError(f"`name` {text}: must be one word")


@dataclass(frozen=True)
class Config:
    size: int = setting(8, "how large", at_least=1)
    part: int | None = setting(
        None, "how much of it", at_least=1, at_most="size", depends_on=("size",)
    )
    rate: float = setting(0.5, "how fast", above=0, at_most=1)
    layers: tuple[int, ...] = setting((), "how deep", at_least=1)
    mode: str = setting(
        "plain", "how", choices=("plain", "fancy", "fanciest"), also={"posh": "fancy"}
    )
    order: int = setting(1, "which", choices=(1, 2))
    fancy_rate: float = setting(1.0, "how fancy", requires={"mode": ("fancy", "fanciest")})
    on: bool = setting(False, "whether at all")
    strength: float = setting(0.1, "how strong", requires={"on": (True,)})
    off_rate: float = setting(0.1, "how strong otherwise", requires={"on": (False,)})
    name: str | None = setting(None, "what it is called", parse=whole_word)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "`size` 0: must be at least 1"),
        ({"size": 10**18 + 1}, "`size` 1000000000000000001: must be at most 1000000000000000000"),
        ({"part": 9}, "`part` 9: must be at most `size` 8"),
        ({"part": 3, "size": 2}, "`part` 3: must be at most `size` 2"),
        ({"rate": 0}, "`rate` 0.0: must be greater than 0"),
        ({"rate": 1.5}, "`rate` 1.5: must be at most 1"),
        ({"rate": float("inf")}, "`rate` inf: must be a finite number"),
        ({"rate": 10**400}, "`rate`: must be a finite number"),
        ({"layers": (4, 0)}, "`layers` 0: must be at least 1"),
        (
            {"mode": "fanc"},
            "`mode` fanc: must be one of plain, fancy, fanciest (did you",
        ),
        ({"order": 3}, "`order` 3: must be one of 1, 2"),
        (
            {"fancy_rate": 2.0},
            "`fancy_rate` 2.0: has no meaning with `mode` plain, only with fancy or fanciest",
        ),
        ({"strength": 0.2}, "`strength` 0.2: has no meaning without `on`"),
        ({"on": True, "off_rate": 0.2}, "`off_rate` 0.2: has no meaning with `on`"),
        ({"name": "two words"}, "`name` two words: must be one word"),
        ({"size": "8"}, "`size` '8': must be of type int"),
        ({"size": True}, "`size` True: must be of type int"),
        ({"size": 1.5}, "`size` 1.5: must be of type int"),
        ({"on": 1}, "`on` 1: must be of type bool"),
        ({"size": None}, "`size` None: must be of type int"),
        ({"layers": ["a"]}, "`layers` 'a': must be of type int"),
        ({"mode": ["plain"]}, "`mode` ['plain']: must be of type str"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_config(Config, values)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("rate", 1, 1.0),
        ("rate", np.float32(0.5), 0.5),
        ("size", np.int64(3), 3),
        ("size", 1e6, 1_000_000),
        ("layers", [4, 2], (4, 2)),
        ("layers", np.array([4, 2]), (4, 2)),
        ("layers", 4, (4,)),
        ("name", 4, "4"),
        ("name", Path("a/b"), "a/b"),
        ("name", None, None),
        ("part", 8, 8),
        ("mode", "FANCY", "fancy"),
        ("mode", "Posh", "fancy"),
    ],
)
def test_what_means_the_same_is_taken(name: str, value: Any, taken: Any) -> None:
    found = getattr(make_config(Config, {name: value}), name)
    assert found == taken
    assert type(found) is type(taken)


def test_a_setting_with_a_meaning_is_taken() -> None:
    config = make_config(Config, {"mode": "fancy", "fancy_rate": 2.0, "on": True, "strength": 1.0})
    assert (config.fancy_rate, config.strength) == (2.0, 1.0)
    # At its default it does not matter.
    assert make_config(Config, {"fancy_rate": 1.0, "strength": 0.1}) == Config()


PRESET = {"size": 4, "part": 2, "mode": "fancy", "fancy_rate": 3.0, "on": True, "strength": 0.7}


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({}, set()),
        ({"rate": 0.1}, set()),
        ({"size": 4}, {"part"}),
        ({"mode": "fanciest"}, set()),
        ({"mode": "plain"}, {"fancy_rate"}),
        ({"on": False, "mode": "plain"}, {"fancy_rate", "strength"}),
    ],
)
def test_a_preset_does_not_bind_who_chose_otherwise(
    given: dict[str, Any], left_out: set[str]
) -> None:
    values = preset_values(Config, PRESET, given)
    assert PRESET.keys() - values.keys() == left_out
    make_config(Config, {**values, **given})
