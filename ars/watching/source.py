"""What there is to watch in a RUN: its curve, its policies, and how far it is; only ever read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ars.common.errors import RunError, UsageError
from ars.common.words import digits
from ars.results.stored_run import Curve, StoredRun
from ars.training.rebuild import chosen_policy, tape_of
from ars.training.run_folder import (
    BEST_POLICY,
    CONFIG,
    LATEST_POLICY,
    TAPE,
    ResolvedPolicy,
)
from ars.training.shared_run import unpacked
from ars.training.trust import check_trust
from policies import FileError

NOTHING = Curve(np.empty(0), np.empty(0))


class RunState(NamedTuple):
    """What is known of a run at a moment.

    Attributes:
        curve: of its evaluations over timesteps.
        moments: the timesteps after which there is a policy, from the tape; empty without one.
        changed: of its files, to see whether there is anything new.
        ended: whether it has a result.
    """

    curve: Curve = NOTHING
    moments: tuple[int, ...] = ()
    changed: tuple[float, ...] = ()
    ended: bool = False


def plain(text: str) -> str:
    """Text from a file, which may be a stranger's, as Markdown and HTML that say just that."""
    return "".join(c if c.isalnum() or c in " ,./-" else f"&#{ord(c)};" for c in text)


class Source:
    """A RUN to watch.

    Args:
        run: a run folder, a policy file, a shared run or a shipped policy.
        trust: import the module that a file from elsewhere names.

    Raises:
        UsageError: there is no such run, or a module would have to be imported.
        FileError: its files are damaged.
    """

    def __init__(self, run: str, trust: bool) -> None:
        self.name, self._trust = run, trust
        self.folder: Path | None = None
        place = Path(unpacked(run))
        if (place / CONFIG).is_file():
            self.folder = place
            stored = StoredRun.open(place)
            self.about = f"{stored.env_id}, {stored.algo}, seed {stored.seed}"
            kwargs = stored.config.get("env_kwargs")
            check_trust(place, stored.env_id, kwargs if isinstance(kwargs, dict) else {}, trust)
        else:
            resolved = self._checked(chosen_policy(run, trust=trust))
            self.about = resolved.file.env_id
        self.state = RunState()

    def look(self) -> bool:
        """Read what is new; whether there is anything. A file that is being written waits."""
        if self.folder is None:
            return False
        names = ("evaluations.csv", TAPE, BEST_POLICY, LATEST_POLICY, "result.json")
        changed = tuple(_time(self.folder / name) for name in names)
        if changed == self.state.changed:
            return False
        try:
            stored = StoredRun.open(self.folder)
            curve = stored.curve("timesteps", False, lambda line: None)
            has_tape = (self.folder / TAPE).is_file()
            moments = tuple(tape_of(str(self.folder), "`at`").timesteps) if has_tape else ()
        except (FileError, UsageError, OSError):  # in the middle of being written
            return False
        self.state = RunState(curve, moments, changed, stored.final_return is not None)
        return True

    @property
    def status(self) -> str:
        """One line on how far it is."""
        curve = self.state.curve
        if self.folder is None:
            return "a policy by itself"
        if not curve.x.size:
            return "no evaluation yet"
        word = "ended" if self.state.ended else "so far"
        return (
            f"{word}: {curve.x[-1]:,.0f} timesteps, best evaluation {digits(float(curve.y.max()))}"
        )

    def written(self, which: str) -> float | None:
        """When the policy `best` or `latest` was written; None where it is none of a run."""
        if self.folder is None:
            return None
        return _time(self.folder / (BEST_POLICY if which == "best" else LATEST_POLICY))

    def policy(self, which: str, position: int) -> ResolvedPolicy:
        """A policy: `best`, `latest`, or `at` a position in `moments`.

        Raises:
            UsageError, FileError, RunError: there is none, or none yet.
        """
        run = self.name if self.folder is None else str(self.folder)
        if which == "at" and self.state.moments:
            position = min(position, len(self.state.moments) - 1)
            return self._checked(
                chosen_policy(run, at=self.state.moments[position], trust=self._trust)
            )
        is_run = self.folder is not None
        return self._checked(
            chosen_policy(run, latest=which == "latest" and is_run, trust=self._trust)
        )

    def _checked(self, resolved: ResolvedPolicy) -> ResolvedPolicy:
        check_trust(resolved.path, resolved.file.env_id, resolved.file.env_kwargs, self._trust)
        return resolved


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


NOT_YET = (UsageError, FileError, RunError, OSError)
