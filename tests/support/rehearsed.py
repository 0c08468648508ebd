"""Trainings that follow a formula, in place of processes: a search of them takes no time."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ars.training.processes import Event
from ars.tuning.trials import Key

POINTS = 10


def quality(given: Mapping[str, Any]) -> float:
    """What a training reaches at its end: the nearer its step size is to 0.03, the more."""
    return 100.0 - 10.0 * abs(math.log(given["step_size"] / 0.03)) + int(given["seed"]) % 7


class Rehearsed:
    """Stands in for `Processes`.

    A training is evaluated at ten points, saves at each, and has its result after the last.

    Attributes:
        jobs: what the processes were told, of all instances.
        most: how many trained at a time.
        evaluated: how often each run was evaluated.
        fails: says why a run fails at its first evaluation; None where it does not.
        on_cluster: whether they fail for the cluster's sake.
        patience: events after which the user interrupts; None: never.
    """

    jobs: list[Mapping[str, Any]]
    most: int
    evaluated: dict[str, int]
    fails: Callable[[Mapping[str, Any]], str | None]
    patience: int | None
    on_cluster: bool

    @classmethod
    def reset(cls) -> None:
        cls.jobs, cls.most, cls.evaluated, cls.patience = [], 0, {}, None
        cls.on_cluster = False
        cls.fails = lambda given: None

    def __init__(self) -> None:
        self._events: deque[Event[Key]] = deque()
        self.running: dict[Key, Iterator[None]] = {}
        self._training: set[Key] = set()

    def start(self, key: Key, job: Mapping[str, Any]) -> None:
        Rehearsed.jobs.append(job)
        self.running[key] = self._play(key, job)
        self.go_on(key)

    def go_on(self, key: Key) -> None:
        self._training.add(key)
        Rehearsed.most = max(Rehearsed.most, len(self._training))
        next(self.running[key], None)

    def _play(self, key: Key, job: Mapping[str, Any]) -> Iterator[None]:
        folder = Path(job["folder"] or job["given"]["run_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        saved, given = folder / "config.json", job["given"]
        if job["folder"] is None:
            saved.write_text(json.dumps({"given": given, "point": 0}))
        stored = json.loads(saved.read_text())
        given = stored["given"]
        total, best = given["total_timesteps"], quality(given)
        for point in range(stored["point"], POINTS + 1):
            if (reason := Rehearsed.fails(given)) is not None:
                if Rehearsed.on_cluster:
                    self._events.append(Event(key, "cluster_failed", None))
                self._events.append(Event(key, "ended", reason))
                return
            row = {"timesteps": point * total // POINTS, "return_mean": best * point / POINTS}
            Rehearsed.evaluated[str(folder)] = point
            saved.write_text(json.dumps({"given": given, "point": point}))
            self._events.append(Event(key, "progress", row))
            self._events.append(Event(key, "evaluation", row))
            yield
        result = {"best_evaluation": best, "final_evaluation": {"return_mean": best}}
        (folder / "result.json").write_text(json.dumps(result))
        self._events.append(Event(key, "ended", None))

    def next(self, timeout: float | None = None) -> Event[Key] | None:
        if Rehearsed.patience is not None:
            Rehearsed.patience -= 1
            if Rehearsed.patience < 0:
                raise KeyboardInterrupt
        event = self._events.popleft()
        if event.kind in ("evaluation", "ended"):
            self._training.discard(event.key)
        if event.kind == "ended":
            del self.running[event.key]
        return event

    def interrupt(self, keys: Iterator[Key]) -> None:
        for key in keys:
            self._events.append(Event(key, "ended", "interrupted"))

    def stop(self, ended: Callable[[Event[Key]], None]) -> None:
        while self._events:
            event = self._events.popleft()
            if event.kind == "ended":
                self.running.pop(event.key, None)
                ended(event)

    def kill(self) -> None:
        self.running.clear()
