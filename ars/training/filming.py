"""A film of the policy every so often while training, drawn by a process of its own.

The training writes its policy and goes on: whatever drawing does, it changes nothing there, and
cannot end it. One film is drawn at a time, at a low priority; those that are not drawn yet wait.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ars.algorithms.base import Algorithm
from ars.common.settings import counted
from ars.training.evaluation import Candidate, policy_file
from ars.training.given_env import only_here
from policies import save_policy

VIDEOS = "videos"  # the folder, in that of a run


class _Job(NamedTuple):
    policy: Path
    output: Path


class Filming:
    """Films the policies of one run.

    Args:
        folder: of the run.
        every: iterations between films; None for no films.
        training: what policy files say about their training.
        notify: shows the user a line.
    """

    def __init__(
        self,
        folder: Path,
        every: int | None,
        training: dict[str, Any],
        notify: Callable[[str], None],
    ) -> None:
        self._folder, self._every, self._training = folder / VIDEOS, every, training
        self._notify = notify
        self._waiting = deque[_Job]()
        self._last = -1  # the iteration looked at last
        self._process: subprocess.Popen[str] | None = None
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._usable = every is not None

    def look(self, algorithm: Algorithm) -> None:
        """Have the policy filmed if it is time to; called between iterations."""
        seen, self._last = self._last == algorithm.iteration, algorithm.iteration
        if not self._usable or self._every is None or seen or self._last % self._every:
            self._go_on()
            return
        if only_here(algorithm.rollout_spec.env_id):
            self._give_up(
                "its environment is known to this program alone, and films are drawn elsewhere"
            )
            return
        name = f"iteration-{algorithm.iteration:06}"
        output = self._folder / f"{name}.mp4"
        if not output.exists():  # as it may on resume
            try:
                self._folder.mkdir(exist_ok=True)
                self._place = self._place or tempfile.TemporaryDirectory(prefix="ars-film-")
                job = _Job(Path(self._place.name, f"{name}.safetensors"), output)
                file = policy_file(algorithm, Candidate.of(algorithm), self._training)
                save_policy(job.policy, file)
                self._waiting.append(job)
            except OSError as error:
                self._give_up(f"{error.strerror}")
        self._go_on()

    def finish(self) -> None:
        """Wait until all films are drawn."""
        self._go_on()
        left = len(self._waiting) + (self._process is not None)
        if left:
            self._notify(f"drawing {counted(left, 'film')} for {self._folder.name}/")
        while self._process is not None:
            self._process.wait()
            self._go_on()

    def close(self) -> None:
        """End the film that is being drawn, and drop the others; safe to call twice."""
        self._waiting.clear()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            for half in self._folder.glob(".*.mp4.*"):  # see `policies.file.replacement`
                half.unlink(missing_ok=True)
        if self._place is not None:
            self._place.cleanup()
            self._place = None

    def _go_on(self) -> None:
        """Begin the next film where the one before it has ended."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            status, self._process = self._process.returncode, None
            if status:
                self._give_up(self._last_words() or f"the process ended with status {status}")
        if self._waiting:
            self._start(self._waiting.popleft())

    @property
    def _errors(self) -> Path:
        """What the process says: in a file, since it would wait for a pipe to be emptied."""
        assert self._place is not None
        return Path(self._place.name, "errors.txt")

    def _last_words(self) -> str:
        """The last line that the process said."""
        said = ""
        with suppress(OSError), self._errors.open("rb") as errors:
            errors.seek(max(0, os.path.getsize(self._errors) - 10_000))
            said = errors.read().decode(errors="backslashreplace").strip()
        return said.splitlines()[-1] if said else ""

    def _start(self, job: _Job) -> None:
        try:
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "ars.training.one_film"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for the training, which then ends this
                )
            assert self._process.stdin is not None
            told = {"policy": str(job.policy), "output": str(job.output)}
            with suppress(BrokenPipeError):
                json.dump({**told, "parent": os.getpid(), "path": sys.path}, self._process.stdin)
                self._process.stdin.close()
            self._process.stdin = None
        except OSError as error:
            self._give_up(f"no process can be started: {error.strerror}")

    def _give_up(self, why: str) -> None:
        self._waiting.clear()
        if self._usable:
            self._notify(f"warning: no film can be drawn, and training goes on: {why}")
        self._usable = False
