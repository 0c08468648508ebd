"""The logs that a run appends to: two CSV files, TensorBoard's events and, for ARS, the tape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ars.algorithms.base import Algorithm
from ars.training.logger import CsvLog, LogEnd, TensorBoard
from ars.training.run_folder import EVALUATIONS, PROGRESS, TAPE, writing
from ars.training.tape import TapeLog
from policies.state import State


class RunLogs:
    """The logs of a run folder, begun or cut back to a checkpoint.

    Args:
        folder: of the run.
        algorithm: as it begins or goes on.
        identity: of the run, for the tape.
        training: what policy files say about their training, for the tape.
        ends: where the files ended when the checkpoint was saved; empty for a new run.
        resumed: whether the run goes on from a checkpoint.
        notify: shows the user a line.

    Raises:
        FileError: a log is damaged.
        RunError: one cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        algorithm: Algorithm,
        identity: dict[str, Any],
        training: dict[str, Any],
        ends: Mapping[str, LogEnd],
        resumed: bool,
        notify: Callable[[str], None],
    ) -> None:
        self._algorithm = algorithm
        with writing(folder), ExitStack() as opened:
            self._tape: TapeLog | None = None
            if algorithm.tape_record() is not None:
                offset = _tape_offset(folder / TAPE, ends, notify)
                self._tape = TapeLog(folder / TAPE, algorithm, identity, training, offset)
                opened.callback(self._tape.close)
            self._progress = CsvLog(folder / PROGRESS, ends.get(PROGRESS, LogEnd()))
            opened.callback(self._progress.close)
            self._evaluations = CsvLog(folder / EVALUATIONS, ends.get(EVALUATIONS, LogEnd()))
            opened.callback(self._evaluations.close)
            self._tensorboard = TensorBoard(folder, algorithm.timesteps + 1 if resumed else 0)
            opened.callback(self._tensorboard.close)
            self._opened = opened.pop_all()

    def iteration(self) -> None:
        """Record an iteration on the tape, if there is one."""
        if self._tape is not None:
            self._tape.append(self._algorithm.tape_record())

    def progress(self, row: Mapping[str, Any]) -> None:
        """Append the row of an iteration."""
        self._progress.write(row)
        self._tensorboard.progress(row)

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """Append the row of an evaluation."""
        self._evaluations.write(row)
        self._tensorboard.evaluation(row)

    def sync(self) -> dict[str, Any]:
        """Bring all rows to the disk; returns what `log_ends` finds in a checkpoint."""
        offsets = {PROGRESS: self._progress.sync(), EVALUATIONS: self._evaluations.sync()}
        if self._tape is not None:
            offsets[TAPE] = self._tape.sync()
        digests = {PROGRESS: self._progress.sha256, EVALUATIONS: self._evaluations.sha256}
        return {"offsets": offsets, "log_sha256": digests}

    def close(self) -> None:
        """Write out what is buffered and close the files; safe to call twice."""
        self._opened.close()


def log_ends(state: State, algorithm: Algorithm, evaluated: int) -> dict[str, LogEnd]:
    """Where the logs ended when a checkpoint was saved.

    Args:
        state: the checkpoint.
        algorithm: as it was then.
        evaluated: the iteration of the last evaluation; -1 for none.

    Raises:
        ValueError: a log cannot have ended so.
    """
    offsets, digests = state.nested("offsets"), state.nested("log_sha256")
    iteration, timesteps = algorithm.iteration, algorithm.timesteps
    last = {
        PROGRESS: {"iteration": iteration, "timesteps": timesteps} if iteration else {},
        EVALUATIONS: {"iteration": evaluated} if evaluated >= 0 else {},
    }
    ends = {}
    for name, numbers in last.items():
        offset = offsets.count(name, *((1,) if numbers else (0, 0)))
        # Checkpoints of earlier versions do not know the digests of the logs.
        digest = digests.text(name) if "log_sha256" in state.values else None
        ends[name] = LogEnd(offset, digest, numbers)
    # Those of runs without a tape do not name it.
    return ends | ({TAPE: LogEnd(offsets.count(TAPE))} if TAPE in offsets.values else {})


def _tape_offset(path: Path, ends: Mapping[str, LogEnd], notify: Callable[[str], None]) -> int:
    """Where to go on with the tape; at 0 if there is none to continue."""
    offset = ends.get(TAPE, LogEnd()).offset
    if offset and not path.exists():
        notify(f"{path} is gone: a new one begins here")
        return 0
    return offset
