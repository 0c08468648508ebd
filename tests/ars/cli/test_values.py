"""Numbers, lists and `name=value` are read as people type them, or refused with the remedy."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

import pytest

from ars.cli.values import key_value, number, whole_number, whole_numbers
from ars.common.errors import UsageError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1000", 1000),
        ("1_000", 1000),
        ("1,000,000", 1_000_000),
        ("1e6", 1_000_000),
        ("2.5e6", 2_500_000),
        ("1M", 1_000_000),
        ("1.5m", 1_500_000),
        ("10k", 10_000),
        ("-3", -3),
    ],
)
def test_a_whole_number_in_each_of_its_spellings(text: str, meant: int) -> None:
    assert whole_number(text) == meant


@pytest.mark.parametrize(
    "text", ["1.000", "1.000.000", "0,02", "1,00", "1.5", "1e-3", "1__0", "", "0x10", "9" * 5000]
)
def test_what_may_mean_two_numbers_or_none_is_no_whole_number(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"must be a whole number, such as 1000000, .* 1M"):
        whole_number(text)


def test_a_number_has_a_point_and_no_comma() -> None:
    assert [number(text) for text in (".02", "2e-2", "1_000")] == [0.02, 0.02, 1000.0]
    for text, told in {
        "0,02": "0,02: must be written without a comma: 0.02",
        "1,000": "1,000: must be written without a comma: 1.000 or 1000",
        "1/50": "1/50: must be a number, such as 0.02 or 1e-3",
    }.items():
        with pytest.raises(ArgumentTypeError) as error:
            number(text)
        assert str(error.value) == told


@pytest.mark.parametrize("text", ["64,32", "64, 32", "[64,32]", "(64, 32)", "64 32"])
def test_a_list_in_one_word(text: str) -> None:
    assert whole_numbers(text) == [64, 32]


@pytest.mark.parametrize("text", ["1,024", "", ",", "64x32"])
def test_what_is_no_list_of_whole_numbers(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="must be"):
        whole_numbers(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        ("None", None),
        ("null", None),
        (".5", 0.5),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("-2", -2),
        ("[1, 2.5]", [1, 2.5]),
        ("(1, 2)", [1, 2]),
        ("{'wind': True}", {"wind": True}),
        ('"no"', "no"),
        ("'two words'", "two words"),
        ("text", "text"),
        ("a=b", "a=b"),
        ("", ""),
        ("1.2.3", "1.2.3"),
        ("007", "007"),
        ("...", "..."),
        ("C:\\data", "C:\\data"),
    ],
)
def test_a_value_is_what_json_or_python_spells_so_else_a_text(text: str, value: Any) -> None:
    name, found = key_value("env_kwargs", f"name={text}")
    assert (name, found, type(found)) == ("name", value, type(value))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("a=no", "a=no: write false, or '\"no\"' if you mean the text"),
        ("a=On", "a=On: write true, or '\"On\"' if you mean the text"),
        ("a=none", "a=none: write null, or '\"none\"' if you mean the text"),
        ("a=0,5", "a=0,5: a number has no comma (0.5, 1000), and a list has brackets ([0,5])"),
        ("a=False,wind=3", "a=False,wind=3: a space must stand before wind=3"),
        ("a=1e400", "a=1e400: is no number that JSON can hold"),
        ("a=[1e400]", "a=[1e400]: is no number that JSON can hold"),
        ("a=-inf", "a=-inf: -inf is no number that JSON can hold"),
        ("a={1: 2}", "a={1: 2}: must be what JSON can hold"),
        ("a={1, 2}", "a={1, 2}: must be what JSON can hold"),
        ("a=" + "9" * 5000, f"a={'9' * 5000}: must be what JSON can hold"),
        ("a=" + "[" * 9000, f"a={'[' * 9000}: must be what JSON can hold"),
        ("hard:False", "hard:False: must be name=value"),
        ("max-steps=3", "max-steps=3: must be name=value (did you mean max_steps=...?)"),
        ("=3", "=3: must be name=value"),
    ],
)
def test_what_is_no_value_or_may_mean_two_is_refused(word: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        key_value("env_kwargs", word)
    assert str(error.value) == f"`env_kwargs` {told}"
