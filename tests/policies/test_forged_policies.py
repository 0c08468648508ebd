"""A policy file with the right digest and wrong contents is refused in a line that names them."""

from __future__ import annotations

import math
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import forgeries
import numpy as np
import pytest
from hypothesis import given, settings

from policies import (
    BoxSpec,
    DiscreteSpec,
    FileError,
    Normalizer,
    NormalizerRule,
    PolicyFile,
    PolicySpec,
    build_policy,
    read_policy,
    save_policy,
)
from policies.file import read_arrays
from policies.spec import LARGEST_SPACE, UnsupportedSpace, space_spec

BOX = BoxSpec((2,), "float32", (-1.0, -math.inf), (1.0, 2.0))
POLICIES = {
    "linear": PolicySpec("linear", BoxSpec((3,), "float32"), BOX),
    "mlp": PolicySpec(
        "mlp",
        BoxSpec((3,), "float64"),
        DiscreteSpec(2, 1),
        (4, 3),
        "relu",
        True,
        distribution="categorical",
    ),
}
NUMBERS: list[Any] = [math.inf, -math.inf, math.nan, 10**400, -1, 2.5, True, None, "3", [], {}]


def contents(spec: PolicySpec, folder: Path) -> tuple[forgeries.Arrays, dict[str, Any]]:
    policy = build_policy(spec)
    policy.weights = np.linspace(-1, 1, spec.n_weights)
    ones = np.ones(spec.observation.size)
    policy.normalizer = Normalizer(ones, 4 * ones, 9, NormalizerRule(clip=10.0))
    training = {"algo": "ars", "seed": 3, "iteration": 2, "timesteps": 50, "rollout_length": 100}
    path = folder / "p.safetensors"
    save_policy(path, PolicyFile(policy, "Env-v0", {"x": 1}, training))
    return read_arrays(path, "policy")


def refusal(path: Path) -> str:
    """What is said of a file; empty where it is read, and then acts."""
    try:
        policy = read_policy(path).policy
    except FileError as error:
        said = str(error)
    else:
        with np.errstate(all="ignore"):
            policy.act(np.zeros(policy.spec.observation.shape))
        return ""
    assert "\n" not in said
    assert len(said) < 1000
    assert said.startswith(f"{path}: ")
    return said.removeprefix(f"{path}: not a usable policy file (").removesuffix(")")


def test_what_no_policy_can_have_is_named(tmp_path: Path) -> None:
    path = tmp_path / "forged.safetensors"
    arrays, document = contents(POLICIES["mlp"], tmp_path)
    places = [
        place
        for place in forgeries.places(document)
        if isinstance(reduce(getitem, place, document), int | float)
        and place[:2] not in (("env", "kwargs"), ("training", "seed"))
    ]
    assert len(places) == 14
    for *outer, name in places:
        good = reduce(getitem, outer, document)[name]
        for wrong in NUMBERS:
            reduce(getitem, outer, document)[name] = wrong
            forgeries.write(path, "policy", arrays, document)
            allowed = (
                wrong is good
                or (wrong is None and name in ("clip", "rollout_length", "iteration", "timesteps"))
                or (wrong == 2.5 and name in ("var_floor", "min_std", "clip"))
                or (name == "start" and wrong == -1)
            )
            field = next(part for part in reversed((*outer, name)) if isinstance(part, str))
            said = refusal(path)
            assert (said == "") if allowed else (field in said), (outer, name, wrong, said)
        reduce(getitem, outer, document)[name] = good


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("weights", math.nan),
        ("weights", math.inf),
        ("normalizer.mean", -math.inf),
        ("normalizer.var", math.nan),
        ("normalizer.var", -1),
        ("normalizer.count", -1),
        ("normalizer.count", 2**60),
    ],
)
def test_numbers_that_no_array_can_have_are_named(name: str, number: float, tmp_path: Path) -> None:
    arrays, document = contents(POLICIES["linear"], tmp_path)
    arrays[name] = arrays[name].copy()
    arrays[name][-1] = number
    forgeries.write(tmp_path / "p", "policy", arrays, document)
    assert refusal(tmp_path / "p").startswith(f"{name}: holds a number that is not")


def test_a_deviation_too_large_to_square_is_no_forgery(tmp_path: Path) -> None:
    arrays, document = contents(POLICIES["linear"], tmp_path)
    arrays["normalizer.var"] = np.full(3, math.inf)
    forgeries.write(tmp_path / "p", "policy", arrays, document)
    assert refusal(tmp_path / "p") == ""


@pytest.mark.parametrize("shape", [[31623, 31623], [1, 40000, 40000], [2**24 + 1], [2**52, 2**52]])
def test_a_picture_of_a_billion_pixels_is_refused_before_it_takes_memory(
    shape: list[int], tmp_path: Path
) -> None:
    arrays, document = contents(POLICIES["linear"], tmp_path)
    document["spec"] |= {
        "kind": "cnn",
        "observation": {"shape": shape, "dtype": "uint8", "low": None, "high": None},
        "conv_layers": [[1, 1, 40000]],
        "bias": True,
    }
    forgeries.write(tmp_path / "p", "policy", arrays, document)
    assert refusal(tmp_path / "p") == (
        f"spec.observation.shape: a box of more than {LARGEST_SPACE:,} numbers"
    )


def test_an_environment_of_such_pictures_is_refused_too() -> None:
    class Box:
        shape, dtype = (40000, 40000), np.uint8

    with pytest.raises(UnsupportedSpace, match="only Boxes of up to 16,777,216 numbers"):
        space_spec(Box(), "observation")


@pytest.mark.parametrize("kind", POLICIES)
def test_a_forged_policy_is_refused_or_acts(kind: str, tmp_path: Path) -> None:
    arrays, document = contents(POLICIES[kind], tmp_path)

    @settings(max_examples=150, database=None, deadline=None, derandomize=True)
    @given(forgeries.forgeries(arrays, document))
    def read(forged: tuple[forgeries.Arrays, dict[str, Any]]) -> None:
        forgeries.write(tmp_path / "p", "policy", *forged)
        refusal(tmp_path / "p")

    read()
