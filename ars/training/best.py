"""The best policy of a run so far, by its scheduled evaluations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ars.algorithms.base import Algorithm
from ars.training.evaluation import Candidate
from ars.training.repetition import Played
from ars.training.run_folder import BEST_POLICY
from policies import FileError, read_policy
from policies.state import State


@dataclass(frozen=True)
class Best:
    """The best evaluated policy, its mean return and, if it is known, its first episode.

    `whole`: whether none of its evaluation's episodes was left out.
    """

    candidate: Candidate
    return_mean: float
    first: Played | None = None
    whole: bool = True

    def add_to(self, state: State) -> None:
        """Add everything that `of` needs to a trainer's state."""
        state.values["best_return"] = self.return_mean
        if self.first is not None:
            total, length = self.first
            state.values |= {"best_first_return": total, "best_first_length": length}
        if not self.whole:
            state.values["best_whole"] = False
        state.add_state("best", self.candidate.state())

    @classmethod
    def of(cls, state: State, algorithm: Algorithm) -> Best:
        """That of a trainer's state. Raises: ValueError."""
        first = None
        if "best_first_length" in state.values:  # those of earlier versions do not know it
            first = Played(state.number("best_first_return"), state.count("best_first_length"))
        candidate = Candidate.from_state(state.nested("best"), algorithm)
        whole = "best_whole" not in state.values
        return cls(candidate, state.number("best_return"), first, whole)


def is_undone(folder: Path, best: Best, iteration: int) -> bool:
    """Whether a run has found a better policy in the evaluation at its end, which a resume undoes.

    Args:
        folder: of the run.
        best: by its scheduled evaluations.
        iteration: that the run goes on from.
    """
    try:
        found = read_policy(folder / BEST_POLICY).training.get("iteration")
    except FileError:
        return False
    return bool(found == iteration > best.candidate.iteration)


def keep_undone(folder: Path, notify: Callable[[str], None]) -> None:
    """Keep that policy under another name, which `notify` is told."""
    path = folder / BEST_POLICY
    iteration = read_policy(path).training["iteration"]
    kept = path.with_name(f"{path.stem}_{iteration}{path.suffix}")
    path.replace(kept)
    notify(
        "the evaluation at the end, which a longer run does not have, found a better policy: "
        f"kept as {kept.name}"
    )
