"""Reads arrays out of pickles without running them.

A pickle is a program for a stack machine that may call anything. This reader interprets its opcodes
itself: strings, numbers, containers, and the few calls by which NumPy and torch store arrays, each
of them done by a function of this module. A name from the packages in `_PACKAGES` becomes a `Name`,
and what it would be called with a `Record`: data that can be looked at. Any other name is refused.
Nothing is imported, and nothing that a file names is called.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.importing.arrays import (
    TYPES,
    ArrayType,
    Name,
    Record,
    Stored,
    byte_order,
    checked_shape,
    described,
    from_bytes,
    tuple_of,
)

MOST_OPCODES = 1_000_000  # a policy's statistics have some hundred
MOST_BYTES = 2**28  # that a pickle may make of those that it has

# What the classes in files of these projects belong to. Names of `builtins` are not among them.
_PACKAGES = (
    "numpy",
    "gymnasium",
    "gym",
    "stable_baselines3",
    "sb3_contrib",
    "torch",
    "collections",
)
_STORAGES = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "ByteStorage": "<u1",
    "CharStorage": "<i1",
    "ShortStorage": "<i2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "BoolStorage": "|b1",
}


def read_pickle(data: bytes, storage: Callable[[str], bytes] | None = None) -> Any:
    """What a pickle holds: containers, numbers, texts, `Stored` arrays, `Record`s and `Name`s.

    Args:
        data: the pickle.
        storage: the bytes of a storage of torch, by its key.

    Raises:
        ValueError: it is no pickle, is cut short, or names what is not read; one line.
    """
    machine = _Machine(storage)
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in names
            for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
                if count >= MOST_OPCODES:
                    raise ValueError(f"a pickle of more than {MOST_OPCODES:,} opcodes")
                if opcode.name == "STOP":
                    return machine.pop()
                machine.do(opcode.name, argument)
    except UnicodeError:
        raise ValueError("no pickle, or a damaged one") from None
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"a damaged pickle ({type(error).__name__})") from None
    raise ValueError("a damaged pickle (it has no end)")


_MARK = object()


class _Machine:
    def __init__(self, storage: Callable[[str], bytes] | None) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._storage = storage
        self._storages: dict[str, bytes] = {}
        self._made = 0  # bytes

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise IndexError
        return value

    def _make(self, size: int) -> None:
        """Count bytes before they are copied: an opcode may name the same ones again and again."""
        self._made += size
        if self._made > MOST_BYTES:
            raise ValueError(f"a pickle that unpacks to more than {MOST_BYTES:,} bytes")

    def _as_bytes(self, contents: Any) -> Any:
        if isinstance(contents, str):  # as which Python 2, and `_codecs.encode`, store bytes
            self._make(len(contents))
            return contents.encode("latin-1")
        return contents

    def _popped_to_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:  # IndexError at the bottom
            at -= 1
            if at < 0:
                raise IndexError
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def do(self, name: str, argument: Any) -> None:
        """One opcode with its argument."""
        if name in ("PROTO", "FRAME"):
            return
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self._stack.append(argument)
        elif (method := getattr(self, f"_do_{name.lower()}", None)) is not None:
            method(argument) if name in _WITH_ARGUMENT else method()
        else:
            raise ValueError(f"a pickle with the opcode {name}, which is not read")

    def _do_pop(self) -> None:
        self._stack.pop()

    def _do_pop_mark(self) -> None:
        self._popped_to_mark()

    def _do_dup(self) -> None:
        self._stack.append(self._stack[-1])

    def _do_append(self) -> None:
        value = self.pop()
        _list(self._stack[-1]).append(value)

    def _do_appends(self) -> None:
        values = self._popped_to_mark()
        _list(self._stack[-1]).extend(values)

    _do_additems = _do_appends  # sets are read as lists

    def _do_list(self) -> None:
        self._stack.append(self._popped_to_mark())

    _do_frozenset = _do_list

    def _do_tuple(self) -> None:
        self._stack.append(tuple(self._popped_to_mark()))

    def _take(self, count: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(count)][::-1])

    def _do_tuple1(self) -> None:
        self._stack.append(self._take(1))

    def _do_tuple2(self) -> None:
        self._stack.append(self._take(2))

    def _do_tuple3(self) -> None:
        self._stack.append(self._take(3))

    def _do_dict(self) -> None:
        self._stack.append(_set({}, self._popped_to_mark()))

    def _do_setitem(self) -> None:
        pair = self._take(2)
        _set(self._stack[-1], pair)

    def _do_setitems(self) -> None:
        pairs = self._popped_to_mark()
        _set(self._stack[-1], pairs)

    def _do_get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _do_binget = _do_long_binget = _do_get

    def _do_put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _do_global(self, names: str) -> None:
        module, _, name = names.partition(" ")
        self._stack.append(_known(module, name))

    def _do_stack_global(self) -> None:
        module, name = self._take(2)
        self._stack.append(_known(module, name))

    def _do_reduce(self) -> None:
        name, args = self._take(2)
        self._stack.append(self._called(name, args))

    def _do_newobj(self) -> None:
        name, args = self._take(2)
        self._stack.append(self._called(name, args))

    def _do_newobj_ex(self) -> None:
        name, args, _ = self._take(3)
        self._stack.append(self._called(name, args))

    def _called(self, name: Any, args: Any) -> Any:
        if not isinstance(name, Name) or not isinstance(args, tuple):
            raise ValueError(f"a pickle that calls {described(name)}")
        reader = _READERS.get(str(name))
        return Record(name, args) if reader is None else reader(self, *args)

    def _do_build(self) -> None:
        state = self.pop()
        built = self._stack[-1]
        if isinstance(built, Stored):
            *about, contents = tuple_of(state, 5)
            built.build((*about, self._as_bytes(contents)))
        elif isinstance(built, ArrayType):
            built.order = byte_order(state[1])
        elif isinstance(built, Record):
            built.state = state
        elif not isinstance(built, dict):  # of an OrderedDict: attributes, which nobody reads
            raise ValueError(f"a pickle that builds {described(built)}")

    def _do_binpersid(self) -> None:
        # As torch stores the numbers of a tensor: ('storage', its class, key, device, length).
        kind, name, key, _, size = tuple_of(self.pop(), 5)
        if self._storage is None or kind != "storage" or not isinstance(key, str):
            raise ValueError("a pickle that refers to something outside it")
        if not isinstance(name, Name) or name.name not in _STORAGES:
            shown = name if isinstance(name, Name) else described(name)
            raise ValueError(f"numbers of the type {shown}, which are not read")
        dtype = np.dtype(_STORAGES[name.name])
        if key not in self._storages:  # tensors may share one
            self._storages[key] = self._storage(key)
        self._stack.append(from_bytes(self._storages[key], dtype, checked_shape((size,)), "C"))

    # The calls that are read; none of them does more than look at numbers and bytes.

    def empty_array(self, *_: Any) -> Stored:
        return Stored()

    def type_of(self, code: Any, *_: Any) -> ArrayType:
        # What is no text may be nested: its hash or its words could take for ever.
        if not isinstance(code, str) or code not in TYPES:
            shown = repr(code[:20]) if isinstance(code, str) else described(code)
            raise ValueError(f"an array of the type {shown}, which is not read")
        return ArrayType(code)

    def scalar(self, kind: Any, contents: Any) -> Any:
        if not isinstance(kind, ArrayType):
            raise ValueError("a number without a type")
        return from_bytes(self._as_bytes(contents), kind.dtype, (), "C").item()

    def from_buffer(self, contents: Any, kind: Any, shape: Any, order: Any) -> Stored:
        if not isinstance(kind, ArrayType):
            raise ValueError("an array without a type")
        rows = "F" if order == "F" else "C"
        return Stored(from_bytes(self._as_bytes(contents), kind.dtype, checked_shape(shape), rows))

    def encoded(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise ValueError("a text in an encoding that is not read")
        encoded: bytes = self._as_bytes(text)
        return encoded

    def empty_bytes(self) -> bytes:
        return b""

    def ordered_dict(self, *args: Any) -> dict[Any, Any]:
        if args:
            raise ValueError("a dictionary that is built from something else")
        return {}

    def tensor(self, storage: Any, offset: Any, size: Any, strides: Any, *_: Any) -> Stored:
        if not isinstance(storage, np.ndarray):
            raise ValueError("a tensor without numbers")
        shape, steps = checked_shape(size), checked_shape(strides)
        if len(shape) != len(steps) or math.prod(shape) > storage.size:
            raise ValueError(f"a tensor of shape {shape} on {storage.size:,} numbers")
        width = storage.itemsize
        self._make(math.prod(shape) * width)
        view: NDArray[Any] = np.ndarray(
            shape, storage.dtype, storage, checked_shape((offset,))[0] * width,
            tuple(step * width for step in steps),
        )  # fmt: skip
        return Stored(view.copy())


_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_WITH_ARGUMENT = {"GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "GLOBAL"}
_READERS: Mapping[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": _Machine.empty_array,
    "numpy._core.multiarray._reconstruct": _Machine.empty_array,
    "numpy.core.multiarray.scalar": _Machine.scalar,
    "numpy._core.multiarray.scalar": _Machine.scalar,
    "numpy.core.numeric._frombuffer": _Machine.from_buffer,
    "numpy._core.numeric._frombuffer": _Machine.from_buffer,
    "numpy.dtype": _Machine.type_of,
    "_codecs.encode": _Machine.encoded,
    "__builtin__.bytes": _Machine.empty_bytes,  # as older pickles write none at all
    "collections.OrderedDict": _Machine.ordered_dict,
    "torch._utils._rebuild_tensor_v2": _Machine.tensor,
}


def _known(module: Any, name: Any) -> Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError
    found = Name(module, name)
    if str(found) not in _READERS and module.partition(".")[0] not in _PACKAGES:
        raise ValueError(f"its pickle names {found}, which is no array; nothing of it was run")
    return found


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _set(target: Any, pairs: Any) -> Any:
    """Set items of a dictionary, by keys whose hash is quick."""
    if not isinstance(target, dict) or len(pairs) % 2:
        raise TypeError
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | int | float | bytes | None):
            raise TypeError
        target[key] = value
    return target
