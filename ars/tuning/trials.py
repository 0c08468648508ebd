"""Trials under way: their seeds train in processes, and meet at the points of comparison.

A process waits after each evaluation until all seeds of its trial have come as far and the trial is
not ended there. So all trials are compared at the same timesteps, and none trains on for nothing.
While seeds wait for others, the processors serve the next trial.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ars.common.errors import RunError
from ars.common.interrupts import Interrupts
from ars.common.words import digits
from ars.results.aggregates import interquartile_mean
from ars.training.processes import KILLED, Event, Processes
from ars.training.run_folder import RESULT, read_json
from ars.tuning.store import StoredTrial, TrialStore, best_first

# Trials that fail one after the other, after which a search ends: it is not their settings.
MOST_FAILURES = 5


class TuneShow(Protocol):
    """Shows a search to the user."""

    def say(self, line: str) -> None:
        """Show a message."""

    def under_way(self, states: list[str]) -> None:
        """Show how far the trials under way are, a line each."""


class SilentTuneShow:
    """Shows nothing."""

    def say(self, line: str) -> None: ...

    def under_way(self, states: list[str]) -> None: ...


class Points(NamedTuple):
    """Where trials are compared: at multiples of some timesteps."""

    every: int
    total: int

    @property
    def number(self) -> int:
        """How many there are."""
        return self.total // self.every

    def of(self, timesteps: int) -> int:
        """The last one that so many timesteps have reached."""
        return min(timesteps // self.every, self.number)


class Seed:
    """One training of a trial.

    Attributes:
        bests: its best evaluation until each point of comparison, from 0 on.
        done: whether it has ended well.
    """

    def __init__(self, bests: list[float]) -> None:
        self.bests = bests
        self.done = False

    def evaluated(self, point: int, value: float) -> None:
        """Take an evaluation after as many points; those in between had none of their own."""
        best = max([value, *self.bests[-1:]])
        while len(self.bests) < point:
            self.bests.append(self.bests[-1] if self.bests else value)
        if len(self.bests) == point:
            self.bests.append(best)

    def best_at(self, point: int) -> float | None:
        """The best evaluation until a point; None if it has not come as far."""
        if point < len(self.bests):
            return self.bests[point]
        return self.bests[-1] if self.done else None


class Trial:
    """A trial under way.

    Attributes:
        stored: what it tries, and its record.
        folder: of its runs.
        seeds: its trainings.
    """

    def __init__(self, stored: StoredTrial, folder: Path, seeds: Sequence[int]) -> None:
        self.stored, self.folder = stored, folder
        self.seeds = {seed: Seed(stored.bests.setdefault(str(seed), [])) for seed in seeds}
        for seed, training in self.seeds.items():
            if (self.place(seed) / RESULT).is_file():
                training.done = True
                result = read_json(self.place(seed) / RESULT)
                training.bests = training.bests or [result["best_evaluation"]]

    def place(self, seed: int) -> Path:
        """The run folder of a seed."""
        return self.folder / f"s{seed}"

    def compared(self) -> float | None:
        """The value at the next point of comparison; None before all seeds have come as far."""
        bests = [training.best_at(self.stored.point + 1) for training in self.seeds.values()]
        return None if None in bests else _over_seeds([best for best in bests if best is not None])

    def is_done(self) -> bool:
        """Whether all its seeds have ended well."""
        return all(training.done for training in self.seeds.values())

    def value(self) -> float:
        """The value of a trial that is done. Raises: FileError."""
        results = [read_json(self.place(seed) / RESULT) for seed in self.seeds]
        return _over_seeds([result["final_evaluation"]["return_mean"] for result in results])


def _over_seeds(returns: list[float]) -> float:
    return float(interquartile_mean(np.array(returns)))


Key = tuple[int, int]  # the number of a trial, and a seed


class Trials:
    """Makes trials until there are enough.

    Args:
        store: their records.
        points: where they are compared.
        folder_of: where the runs of a trial are.
        seeds: that each trains.
        job: what the process of a trial's seed is told.
        gated: whether processes wait for each other. On a cluster they come one after another, and
            one that waited would keep the workers that the next one needs.
        show: hears of everything.
    """

    def __init__(
        self,
        store: TrialStore,
        points: Points,
        folder_of: Callable[[int], Path],
        seeds: Sequence[int],
        job: Callable[[Trial, int], Mapping[str, Any]],
        gated: bool,
        show: TuneShow,
    ) -> None:
        self._store, self._points, self._folder_of = store, points, folder_of
        self._seeds, self._job, self._gated, self._show = seeds, job, gated, show
        self._processes: Processes[Key] = Processes()
        self._waiting: set[Key] = set()  # after an evaluation, for the other seeds
        self._trials: dict[int, Trial] = {}  # under way
        self._timesteps: dict[Key, int] = {}
        self._failures = 0  # in a row
        self._said: set[str] = set()
        self._killed: set[Key] = set()  # once; trained on from their checkpoints
        self._off_cluster: set[Key] = set()  # could not use it
        best = best_first(store.rows())
        self._best = best[0].value if best else None

    def run(
        self,
        unfinished: Sequence[StoredTrial],
        ask: Callable[[], StoredTrial | None],
        jobs: int,
        deadline: float | None = None,
    ) -> None:
        """Make trials, until there are enough or the time is up.

        Args:
            unfinished: those to go on with.
            ask: gives the next trial; None once there are enough.
            jobs: processes that train at a time.
            deadline: by `time.monotonic`, when those under way are saved and left; None: never.

        Raises:
            RunError: one trial after the other has failed, or the cluster has.
            KeyboardInterrupt: the user interrupted; all trials under way are saved.
        """
        for stored in unfinished:
            self._add(stored)
        processes, interrupts = self._processes, Interrupts()
        with interrupts.handled():
            try:
                while True:
                    self._settle()
                    self._occupy(ask, jobs)
                    if not processes.running:
                        return
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        processes.stop(self._note_done)
                        self._settle()
                        return
                    with interrupts.allowed():
                        event = processes.next(left)
                    if event is not None:
                        self._take(event)
            except BaseException:  # also a full disk, or a reader of stdout that went away
                processes.stop(self._note_done)
                raise
            finally:
                processes.kill()

    def _add(self, stored: StoredTrial) -> None:
        self._trials[stored.number] = Trial(stored, self._folder_of(stored.number), self._seeds)

    def _occupy(self, ask: Callable[[], StoredTrial | None], jobs: int) -> None:
        """Have as many processes train as there are jobs, those of earlier trials first.

        With one job there is one trial at a time, so that all follows from the search's seed.
        """
        most = math.ceil(jobs / len(self._seeds)) + (jobs > 1)
        while len(self._processes.running) - len(self._waiting) < jobs:
            if (key := self._ready()) is not None:
                self._train(key)
            elif len(self._trials) < most and (stored := ask()) is not None:
                self._add(stored)
            else:
                return

    def _ready(self) -> Key | None:
        """A seed that may train on: one that waits before one that has not begun."""
        for number, trial in self._trials.items():
            keys = [
                (number, seed)
                for seed, training in trial.seeds.items()
                if not training.done
                and not trial.stored.point < len(training.bests) - 1 < self._points.number
            ]
            for key in keys:
                if key in self._waiting:
                    return key
            for key in keys:
                if key not in self._processes.running:
                    return key
        return None

    def _train(self, key: Key) -> None:
        if key in self._waiting:
            self._waiting.remove(key)
            self._processes.go_on(key)
        else:
            number, seed = key
            job = {**self._job(self._trials[number], seed), "gated": self._gated}
            self._processes.start(key, job)

    def _take(self, event: Event[Key]) -> None:
        number, seed = event.key
        trial = self._trials.get(number)
        if event.kind == "ended":
            self._waiting.discard(event.key)
            if trial is None:  # it was ended
                self._forget(number, seed)
            elif event.value is None:
                self._note_done(event)
            elif event.value.startswith(KILLED) and event.key not in self._killed:
                self._killed.add(event.key)
                self._show.say(f"trial {number}, seed {seed}: {event.value}; it goes on once more")
            elif event.key in self._off_cluster:  # no settings would do better; this trial goes on
                raise RunError(f"trial {number}, seed {seed}: {event.value}")
            else:
                self._fail(trial, f"seed {seed}: {event.value}")
        elif event.kind == "cluster_failed":
            self._off_cluster.add(event.key)
        elif trial is None:
            return
        elif event.kind == "evaluation":
            point = self._points.of(event.value["timesteps"])
            trial.seeds[seed].evaluated(point, event.value["return_mean"])
            trial.stored.note()
            if self._gated:
                self._waiting.add(event.key)
        elif event.kind == "progress":
            self._timesteps[event.key] = event.value["timesteps"]
            self._show.under_way([self._state(trial) for trial in self._trials.values()])
        elif event.kind == "notify" and event.value.startswith("warning: "):
            self._say_once(event.value)

    def _note_done(self, event: Event[Key]) -> None:
        number, seed = event.key
        if event.value is None and number in self._trials:
            self._trials[number].seeds[seed].done = True

    def _settle(self) -> None:
        """Compare trials whose seeds have all come to a point, and take in those that are done."""
        for trial in list(self._trials.values()):
            stored = trial.stored
            while stored.point < self._points.number and (value := trial.compared()) is not None:
                hopeless = stored.is_hopeless(value)
                if hopeless and stored.point < self._points.number and not trial.is_done():
                    self._end(trial)
                    self._store.prune(stored)
                    self._failures = 0
                    at = f"{stored.point * self._points.every:,} timesteps"
                    self._show.say(f"trial {stored.number}: ended at {at} with {digits(value)}")
                    break
            else:
                if trial.is_done():
                    self._complete(trial)

    def _complete(self, trial: Trial) -> None:
        number, value = trial.stored.number, trial.value()
        self._end(trial)
        self._store.complete(trial.stored, value)
        self._failures = 0
        best = self._best is None or value > self._best
        self._best = value if best or self._best is None else self._best
        reached = "the best so far" if best else f"the best is {digits(self._best)}"
        self._show.say(f"trial {number}: {digits(value)}, {reached}")
        for seed in trial.seeds:
            self._forget(number, seed)

    def _fail(self, trial: Trial, reason: str) -> None:
        self._end(trial)
        self._store.fail(trial.stored, reason)
        self._show.say(f"trial {trial.stored.number} failed: {reason}")
        self._failures += 1
        if self._failures == MOST_FAILURES:
            raise RunError(
                f"{MOST_FAILURES} trials failed one after the other, the last at {reason}"
            )

    def _end(self, trial: Trial) -> None:
        """A trial is no longer under way."""
        number = trial.stored.number
        del self._trials[number]
        keys = [(number, seed) for seed in trial.seeds]
        self._processes.interrupt(key for key in keys if key in self._processes.running)

    def _forget(self, number: int, seed: int) -> None:
        """Remove what a run could go on with: trials that have ended stay as they are."""
        folder = self._folder_of(number) / f"s{seed}"
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._show.say(line)

    def _state(self, trial: Trial) -> str:
        number = trial.stored.number
        steps = min(self._timesteps.get((number, seed), 0) for seed in trial.seeds)
        return f"trial {number}: {steps:,} of {self._points.total:,} timesteps"
