"""Pickles are read, not run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_policies import Runs

from ars.importing.arrays import Record, Stored, array
from ars.importing.pickles import read_pickle

ARRAYS = (
    np.arange(6, dtype=np.float64).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2)),
    np.array([1, -2], ">i4"),
    np.array(2.5),
    np.zeros((0, 3)),
    np.array([True, False]),
)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", ARRAYS, ids=str)
def test_arrays_are_read_as_numpy_stores_them(value: Any, protocol: int) -> None:
    found = array(read_pickle(pickle.dumps(value, protocol)))
    assert found.dtype == value.dtype and found.shape == value.shape
    assert np.array_equal(found, value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_and_numbers_are_read(protocol: int) -> None:
    value: dict[str, Any] = {
        "a": [1, -(2**40), 2.5, None, True],
        "b": ("x", b"y" * 300, {}),
        "c": [],
    }
    value["again"] = value["a"]
    found = read_pickle(pickle.dumps(value, protocol))
    assert found == value and found["again"] is found["a"]
    assert read_pickle(pickle.dumps(np.float64(0.1), protocol)) == 0.1
    assert read_pickle(pickle.dumps(OrderedDict(a=1), protocol)) == {"a": 1}


def test_arrays_of_objects_are_lists() -> None:
    objects = np.empty(2, object)
    objects[:] = [np.ones(2), 3]
    found = read_pickle(pickle.dumps(objects))
    assert isinstance(found, Stored) and isinstance(found.values, list)
    assert np.array_equal(array(found.values[0]), np.ones(2)) and found.values[1] == 3


def test_an_object_of_a_known_project_is_a_record_of_its_state() -> None:
    text = b"\x80\x02cgymnasium.spaces.box\nBox\n)\x81}X\x01\x00\x00\x00aK\x07sb."
    found = read_pickle(text)
    assert isinstance(found, Record)
    assert (str(found.name), found.state) == ("gymnasium.spaces.box.Box", {"a": 7})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_that_a_pickle_calls_is_run(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "was_run"
    for hostile in (
        Runs(os.system, f"touch {mark}"),
        Runs(exec, f"open({str(mark)!r}, 'w')"),
        Runs(getattr, Runs(__import__, "os"), "getcwd"),
    ):
        data = pickle.dumps([np.ones(2), hostile], protocol)
        with pytest.raises(ValueError, match=r"its pickle names .*; nothing of it was run"):
            read_pickle(data)
    assert not mark.exists()


def test_calls_of_known_projects_are_not_run_either(tmp_path: Path) -> None:
    mark = tmp_path / "was_run"
    data = pickle.dumps(Runs(np.save, str(mark), np.ones(1)))
    assert isinstance(read_pickle(data), Record)
    assert list(tmp_path.iterdir()) == []


_DEEP = b"\x80\x02" + b")" + b"\x85" * 50_000 + b"."
_SHARED = b"\x80\x02)" + b"q\x00h\x00\x86" * 200 + b"."  # a tuple with 2**200 leaves


@pytest.mark.parametrize("data", [_DEEP, _SHARED])
def test_nests_are_read_without_walking_them(data: bytes) -> None:
    assert isinstance(read_pickle(data), tuple)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "damaged|no end|pickle"),
        (b"\x80\x02.", "a damaged pickle"),
        (b"\x80\x02N", "exhausted|no end"),
        (b"cne\\mpy._core\nx\n(.", "pickle|names|not read"),  # an escape that is none
        (pickle.dumps(np.ones(100))[:-20], "not enough|exhausted|no end|expected"),
        (b"\x80\x02]}e.", "a damaged pickle"),
        (b"\x80\x02Nt.", "a damaged pickle"),
        (b"\x80\x02h\x07.", "a damaged pickle"),
        (b"\x80\x02]]}s.", "a damaged pickle"),
        (b"\x80\x02X\x01\x00\x00\x00a)R.", "a pickle that calls str"),
        (b"\x80\x02K\x01}b.", "a pickle that builds int"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "a damaged array"),
        (b"\x80\x02\x82\x01.", "the opcode EXT1, which is not read"),
        (b"\x80\x02" + b"N0" * 600_000 + b".", "more than 1,000,000 opcodes"),
        # A type with 2**200 leaves, which can be neither hashed nor shown.
        (b"\x80\x02cnumpy\ndtype\nK\x01" + b"2\x86" * 200 + b"\x85R.", "the type tuple, which"),
    ],
)
def test_what_is_no_pickle_of_arrays_is_refused(data: bytes, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        read_pickle(data)


def test_bytes_that_are_named_again_and_again_are_not_made_as_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ars.importing.pickles.MOST_BYTES", 10_000)
    encode = b"c_codecs\nencode\n(X\xe8\x03\x00\x00" + b"a" * 1000 + b"X\x06\x00\x00\x00latin1t"
    assert read_pickle(b"\x80\x02" + encode + b"R.") == b"a" * 1000
    with pytest.raises(ValueError, match="unpacks to more than 10,000 bytes"):
        read_pickle(b"\x80\x02" + (encode + b"R") * 11 + b".")


def _claims(shape: str, size: str = "8") -> bytes:
    """An array that says it has another shape than its bytes."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n("
        + shape.encode()
        + b"tcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'12345678'\ntb."
    )


def test_an_array_has_as_many_bytes_as_it_says() -> None:
    assert array(read_pickle(_claims("I1\n"))).shape == (1,)
    for shape in (
        "I2\n",
        "I0\n",
        "I1000000000\nI1000000000\n",
        "I-1\n",
        "I1\nI1\nI1\n" * 20,
        "S'1'\n",
    ):
        with pytest.raises(ValueError, match="an array"):
            read_pickle(_claims(shape))
