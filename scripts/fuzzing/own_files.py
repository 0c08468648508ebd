"""Forged files of the toolkit itself: policies, checkpoints, configurations and tapes."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from fuzzing.outcome import Target, Unhandled, checked


@contextlib.contextmanager
def policies(run: Path, place: Path) -> Iterator[Target]:
    """The strategy for a run's policy file, and what tries a forgery."""
    import forgeries
    import numpy as np

    from policies import FileError, read_policy
    from policies.file import read_arrays

    arrays, document = read_arrays(run / "policy.safetensors", "policy")

    def attempt(forged: Any) -> bool:
        forgeries.write(place / "p.safetensors", "policy", *forged)
        try:
            policy = read_policy(place / "p.safetensors").policy
        except FileError as error:
            checked(str(error))
            return False
        with np.errstate(all="ignore"):
            policy.act(np.zeros(policy.spec.observation.shape))
        return True

    yield forgeries.forgeries(arrays, document), attempt


@contextlib.contextmanager
def checkpoints(run: Path, place: Path) -> Iterator[Target]:
    """The same for its checkpoint."""
    import forgeries
    from resumed import Resumed

    from ars.common.errors import RolloutError, RunError
    from ars.training import checkpoint
    from policies.state import State

    with closing(Resumed(run)) as resumed:
        state = resumed.state

        def attempt(forged: Any) -> bool:
            arrays, values = forged
            forgeries.write(place / "state.safetensors", "checkpoint", arrays, values)
            shutil.copy(place / "state.safetensors", checkpoint.path(run))
            try:
                said = resumed.refusal(checkpoint.load(run))
                if said:
                    checked(said)
                    return False
                resumed.algorithm.iterate(resumed.pool)
            except (RolloutError, RunError, ValueError) as error:
                if not isinstance(error, RolloutError | RunError):
                    raise Unhandled(f"{type(error).__name__}: {error}") from error
                checked(str(error))
            return True

        yield forgeries.forgeries(state.arrays, State(values=state.values).values), attempt


@contextlib.contextmanager
def configurations(run: Path, place: Path) -> Iterator[Target]:
    """The same for its config.json."""
    import forgeries

    from ars.common.errors import UsageError
    from ars.training.resolve import resolve_resumed
    from policies import FileError

    document = json.loads((run / "config.json").read_text())

    def attempt(forged: Any) -> bool:
        (place / "config.json").write_text(json.dumps(forged[1]))
        try:
            resolve_resumed(place, {})
        except (FileError, UsageError) as error:
            checked(str(error))
            return False
        return True

    yield forgeries.forgeries({}, document), attempt


@contextlib.contextmanager
def tapes(run: Path, place: Path) -> Iterator[Target]:
    """The same for the header of its tape."""
    import forgeries
    from tapes import forge_header

    from ars.common.errors import UsageError
    from ars.training.rebuild import make_algorithm, replayed
    from ars.training.tape import MAGIC, read_tape
    from policies import FileError

    path = run / "tape.bin"
    text, _, _ = read_tape(path).header.encoded[len(MAGIC) + 8 : -32].partition(b"\n")

    def attempt(forged: Any) -> bool:
        shutil.copy(path, place / "tape.bin")

        def edit(document: dict[str, Any]) -> None:
            document.clear()
            document.update(forged[1])

        forge_header(place / "tape.bin", edit)
        try:
            tape = read_tape(place / "tape.bin")
            for _ in replayed(tape, make_algorithm(tape.header, tape.path)):
                pass
        except (FileError, UsageError) as error:
            checked(str(error))
            return False
        return True

    yield forgeries.forgeries({}, json.loads(text)), attempt
