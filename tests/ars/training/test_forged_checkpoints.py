"""A checkpoint whose contents are not right, its digest aside, is refused in a line that says so.

Every array and value of a small checkpoint of each algorithm is changed, one at a time;
scripts/fuzz_readers.py changes several at once, for as long as one likes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import OLD_RUNS
from resumed import Resumed

import ars.train
from ars.training import checkpoint
from policies.state import State

OTHER_TYPE = {"f": np.int64, "i": np.float64, "b": np.int64, "u": np.float64}
MISSING = object()
WRONG = (MISSING, "x", [1], {"x": 1}, True, None, -9, 1.5, 2**60, math.nan, 10**400)
# Values that may be others, and arrays that may hold what is not finite.
FREE: dict[str, Callable[[Any], bool]] = {
    "target_return": lambda other: other is None or abs(other) < 2**61,
    "best_return": lambda other: other is not None and abs(other) < 2**61,
    "seconds": lambda other: other is not None and 0 <= other < 2**61,
    "largest": lambda other: other == 2**60,
    "state": lambda other: other == 2**60,  # of a generator
}
MAY_OVERFLOW = ("var", "m2", "v")


def wrong_numbers(name: str, dtype: np.dtype[Any]) -> Sequence[float]:
    """What no number of that array can be."""
    if dtype.kind == "f":
        return (math.nan, -math.inf) if name in MAY_OVERFLOW else (math.nan, math.inf, -math.inf)
    return (-(2**60), 2**60) if dtype == np.int64 else ()


def forged_arrays(state: State) -> Iterator[tuple[str, State]]:
    """The state with one array wrong, and that array's name."""
    for name, array in state.arrays.items():
        wrong: list[Any] = [None, np.zeros((len(array) + 1, *array.shape[1:]), array.dtype)]
        if array.size:
            other_type = array.astype(OTHER_TYPE[array.dtype.kind])
            wrong += [other_type, array[1:], array[..., None].repeat(2, -1)]
            for number in wrong_numbers(name.rpartition(".")[2], array.dtype):
                wrong.append(array.copy())
                wrong[-1].flat[array.size // 2] = number
        for other in wrong:
            arrays: dict[str, Any] = {**state.arrays, name: other}
            if other is None:
                del arrays[name]
            yield name, State(arrays, deepcopy(state.values))


def leaves(values: dict[str, Any], *path: str) -> Iterator[tuple[str, ...]]:
    """The places of all values that are no objects."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, *path, name)
        else:
            yield *path, name


def fits(name: str, other: Any) -> bool:
    """Whether another value is as good in the place of the one that was there."""
    number = other is None or (isinstance(other, int | float) and not isinstance(other, bool))
    return number and name in FREE and FREE[name](other)


def forged_values(state: State) -> Iterator[tuple[str, State]]:
    """The state with one value wrong, and the name of that value or of the part it is in."""
    of_checkpoint = {name: value for name, value in state.values.items() if name != "run"}
    for place in leaves(of_checkpoint):
        *outer, name = place
        for wrong in WRONG:
            values = deepcopy(state.values)
            holder = reduce(getitem, outer, values)
            if wrong is holder[name] or fits(name, wrong):
                continue
            holder[name] = wrong
            if wrong is MISSING:
                del holder[name]
            yield place[place[0] == "algorithm"], State(dict(state.arrays), values)


@pytest.mark.parametrize("run", OLD_RUNS.values(), ids=OLD_RUNS)
def test_every_wrong_array_and_value_is_named(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    resumed = Resumed(tmp_path / "run")
    start = f"{tmp_path}/run/checkpoint/state.safetensors: not a checkpoint of this run ("
    tried = 0
    with closing(resumed):
        assert resumed.refusal(resumed.state) == ""
        for forge in (forged_arrays, forged_values):
            for name, state in forge(resumed.state):
                message = resumed.refusal(state)
                assert message.startswith(start), (name, message)
                assert name.partition(".")[0] in message.removeprefix(start), (name, message)
                assert "\n" not in message
                tried += 1
    assert tried > 100


def test_a_forged_file_ends_the_command_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUNS["ars-course"], folder)
    state = checkpoint.load(folder)
    state.arrays["weights"] = state.arrays["weights"].astype(np.float32)
    checkpoint.save(folder, state)
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["--resume", str(folder), "--n-workers", "0"])
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        f"error: {folder}/checkpoint/state.safetensors: not a checkpoint of this run (weights: "
        "array of shape (8,) and type float32, not (8,) and float64)\n"
    )


def test_a_log_that_ends_within_a_row_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUNS["ars-course"], folder)
    state = checkpoint.load(folder)
    state.values["offsets"]["progress.csv"] = 3
    checkpoint.save(folder, state)
    with pytest.raises(SystemExit) as stopped:
        ars.train.main(["--resume", str(folder), "--n-workers", "0"])
    assert stopped.value.code == 1
    assert "progress.csv: no row ends at its byte 3" in capsys.readouterr().err
