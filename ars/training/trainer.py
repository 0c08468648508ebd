"""The training loop of every algorithm: iterate, evaluate, log, save a checkpoint, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ars.algorithms.base import Algorithm, Row
from ars.common.errors import RunError
from ars.common.seeding import Stream
from ars.common.settings import counted
from ars.common.statistics import summarize_objective
from ars.rollout.pool import Pool
from ars.rollout.task import Task
from ars.training import checkpoint
from ars.training.config import RunConfig
from ars.training.evaluation import Candidate, evaluation_row, policy_file, speed
from ars.training.logger import CsvLog, TensorBoard
from ars.training.repetition import Played, RepetitionCheck
from ars.training.run_folder import (
    BEST_POLICY,
    EVALUATIONS,
    LATEST_POLICY,
    PROGRESS,
    RESULT,
)
from ars.training.signals import InterruptiblePool, Interrupts
from ars.training.stored_settings import check_identity
from ars.training.tape import TAPE, TapeLog
from policies import save_policy
from policies.file import write_json
from policies.state import State


class Display(Protocol):
    """Shows a run to the user."""

    def progress(self, row: dict[str, Any]) -> None: ...

    def evaluation(self, row: dict[str, Any]) -> None: ...

    def best_so_far(self, return_mean: float) -> None: ...

    def notify(self, message: str) -> None: ...


@dataclass(frozen=True)
class Best:
    """The best evaluated policy, its mean return and, if it is known, its first episode."""

    candidate: Candidate
    return_mean: float
    first: Played | None = None


class Trainer:
    """Runs an algorithm in a run folder until a stop, from the start or from a checkpoint.

    Args:
        algorithm: before its first iteration.
        pool: where rollouts run.
        interrupts: the user's, handled by the caller.
        folder: of the run.
        config: when to stop, evaluate and save.
        display: shows the run to the user.
        identity: the settings that decide the run's results, as JSON; a checkpoint with others is
            refused.
        training: what policy files say about their training, besides iteration and timesteps.
        budget_seconds: the time budget of this call, in seconds; None for none.
        resume: go on from the folder's checkpoint.
        stop: called before each iteration; a reason that it returns ends the run.
        repeats: whether the environment repeats its episodes, as far as is known.

    Raises:
        RunError: the checkpoint is not one of this run.
        FileError: the checkpoint or a log is damaged.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        pool: Pool,
        interrupts: Interrupts,
        folder: Path,
        config: RunConfig,
        display: Display,
        identity: dict[str, Any],
        training: dict[str, Any],
        budget_seconds: float | None = None,
        resume: bool = False,
        stop: Callable[[], str | None] = lambda: None,
        repeats: bool = True,
    ) -> None:
        self.algorithm, self.folder, self.config = algorithm, folder, config
        self.interrupts = interrupts
        self.pool: Pool = InterruptiblePool(pool, interrupts)
        self.display, self.identity, self.training = display, identity, training
        self.budget_seconds, self._stop = budget_seconds, stop
        self._repetition = RepetitionCheck(
            algorithm.rollout_spec.env_id,
            config.eval_episodes,
            lambda found: display.notify(f"warning: {found}"),
            known=not repeats,
        )
        self.best: Best | None = None
        self.evaluated = -1  # the iteration after which the last collected evaluation was begun
        self.reached = -1  # the iteration whose evaluation reached the target return
        self._pending: tuple[int, Candidate] | None = None
        self._complete = False  # the loop has ended and its state is saved
        self._mid_iteration = False  # in one whose failure leaves a state that cannot be saved
        self._earlier_seconds = 0.0
        self._started = time.monotonic()
        offsets = self._restore() if resume else {}
        with ExitStack() as opened:
            self.tape = self._open_tape(offsets.get(TAPE, 0))
            if self.tape is not None:
                opened.callback(self.tape.close)
            self.progress_log = CsvLog(folder / PROGRESS, offsets.get(PROGRESS, 0))
            opened.callback(self.progress_log.close)
            self.evaluation_log = CsvLog(folder / EVALUATIONS, offsets.get(EVALUATIONS, 0))
            opened.callback(self.evaluation_log.close)
            self.tensorboard = TensorBoard(folder, algorithm.timesteps + 1 if resume else None)
            opened.callback(self.tensorboard.close)
            self._logs = opened.pop_all()

    def run(self) -> dict[str, Any]:
        """Train until a stop; returns what result.json holds.

        The last complete iteration is saved before anything is raised, if the disk allows it and
        the algorithm did not fail in the middle of the next one.

        Raises:
            KeyboardInterrupt: the user interrupted.
            RunError, RolloutError, OSError: training cannot go on.
        """
        try:
            result = self._finish(self._loop())
            self._logs.close()
            return result
        except OSError as error:
            if isinstance(error, BrokenPipeError):  # stdout was closed, not the disk full
                self._save_if_possible()
                raise
            # Nothing more can be written; the last checkpoint is intact.
            raise RunError(f"{self.folder}: cannot be written: {error.strerror}") from error
        except BaseException:
            self._save_if_possible()
            raise
        finally:
            with suppress(OSError):  # of a full disk, reported already
                self._logs.close()

    def _loop(self) -> str:
        if self._pending is not None and self._pending[1].iteration < self.algorithm.iteration:
            self._collect_evaluation()
        while (reason := self._stop_reason()) is None:
            with self.interrupts.allowed():  # the only place if the algorithm uses no pool
                pass
            self._begin_evaluation()
            before, steps = time.monotonic(), self.algorithm.timesteps
            row = self._iterate()
            seconds = time.monotonic() - before
            steps = self.algorithm.timesteps - steps
            if self.tape is not None:
                self.tape.append(self.algorithm.tape_record())
            self._log_progress(row, steps / seconds if seconds > 0 else math.inf)
            self._collect_evaluation()
            if self.algorithm.iteration % self.config.save_freq == 0:
                self._save()
        # The evaluation after the last iteration is collected here, as no next iteration follows.
        self._begin_evaluation()
        self._collect_evaluation()
        self._save()
        self._complete = True
        # The last policy is always evaluated. A resumed run evaluates at its own end instead, so
        # the checkpoint is saved before: on resume this row and this best policy are undone.
        if self.evaluated < self.algorithm.iteration:
            self._begin(Candidate.of(self.algorithm))
            self._collect_evaluation()
        return reason

    def _iterate(self) -> Row:
        if self.algorithm.trains_in_pool:
            return self.algorithm.iterate(self.pool)
        self._mid_iteration = True
        with self.interrupts.forceful():  # an environment may hang
            row = self.algorithm.iterate(self.pool)
        self._mid_iteration = False
        return row

    @property
    def elapsed(self) -> float:
        """Seconds of training, those before a resume included."""
        return self._earlier_seconds + time.monotonic() - self._started

    def _stop_reason(self) -> str | None:
        config, algorithm = self.config, self.algorithm
        if config.target_return is not None and -1 < self.reached < algorithm.iteration:
            return f"target return {config.target_return:,g} reached"
        if config.n_iterations is not None and algorithm.iteration >= config.n_iterations:
            return f"{counted(config.n_iterations, 'iteration')} done"
        if config.total_timesteps is not None and algorithm.timesteps >= config.total_timesteps:
            return f"{counted(config.total_timesteps, 'timestep')} done"
        spent = time.monotonic() - self._started
        if self.budget_seconds is not None and spent >= self.budget_seconds:
            return f"time budget {config.time_budget} used"
        return self._stop()

    def _log_progress(self, row: dict[str, Any], steps_per_second: float) -> None:
        algorithm = self.algorithm
        full = {
            "iteration": algorithm.iteration,
            "timesteps": algorithm.timesteps,
            "episodes": algorithm.episodes,
            **row,
            "time_seconds": round(self.elapsed, 3),
            "steps_per_second": round(steps_per_second, 1),
        }
        self.progress_log.write(full)
        self.tensorboard.progress(full)
        self.display.progress(full)

    def _open_tape(self, offset: int) -> TapeLog | None:
        """The tape, a new one if there is none to continue."""
        if self.algorithm.tape_record() is None:
            return None
        path = self.folder / TAPE
        if offset and not path.exists():
            self.display.notify(f"{path} is gone: a new one begins here")
            offset = 0
        return TapeLog(path, self.algorithm, self.identity, self.training, offset)

    # Evaluations: begun after iteration j, run during iteration j + 1, collected at its end.

    def _begin_evaluation(self) -> None:
        iteration = self.algorithm.iteration
        done = iteration <= self.evaluated or self._pending is not None
        if done or iteration % self.config.eval_freq:
            return
        self._begin(Candidate.of(self.algorithm))

    def _begin(self, candidate: Candidate) -> None:
        tasks = self._repetition.scheduled(self._tasks(Stream.EVALUATION))
        self._pending = self.pool.submit(candidate.snapshot, tasks), candidate

    def _tasks(self, stream: Stream) -> list[Task]:
        return [Task(stream, 0, episode) for episode in range(self.config.eval_episodes)]

    def _collect_evaluation(self) -> None:
        if self._pending is None:
            return
        request, candidate = self._pending
        episodes = self._repetition.evaluated(self.pool.collect(request))
        row = evaluation_row(candidate, episodes)
        self._pending, self.evaluated = None, candidate.iteration
        better = self.best is None or row["return_mean"] > self.best.return_mean
        if better:
            self.best = Best(candidate, row["return_mean"], Played.of(episodes[0]))
            self._write_policy(BEST_POLICY, candidate)
        if self.reached < 0 and self._is_target(row["return_mean"]):
            self.reached = candidate.iteration
        row = {
            **row,
            "best": int(better),
            **summarize_objective(self.algorithm.rollout_spec.objective, episodes),
            "time_seconds": round(self.elapsed, 3),
        }
        self.evaluation_log.write(row)
        self.tensorboard.evaluation(row)
        self.display.evaluation(row)

    def _is_target(self, return_mean: float) -> bool:
        return self.config.target_return is not None and return_mean >= self.config.target_return

    def _finish(self, reason: str) -> dict[str, Any]:
        """Evaluate the best policy a last time, for result.json alone."""
        assert self.best is not None  # an evaluation precedes every stop
        candidate, algorithm, first = self.best.candidate, self.algorithm, self.best.first
        tasks = self._repetition.final(self._tasks(Stream.FINAL_EVALUATION), first)
        played = self.pool.collect(self.pool.submit(candidate.snapshot, tasks))
        episodes = self._repetition.evaluated(played, first)
        objective = algorithm.rollout_spec.objective
        final = {
            **evaluation_row(candidate, episodes),
            **summarize_objective(objective, episodes),
        }
        result = {
            "stopped": reason,
            "iterations": algorithm.iteration,
            "timesteps": algorithm.timesteps,
            "episodes": algorithm.episodes,
            "seconds": round(self.elapsed, 3),
            "best_evaluation": self.best.return_mean,
            "final_evaluation": {**final, **speed(final, objective.step_seconds)},
        }
        write_json(self.folder / RESULT, result)
        return result

    # Files

    def _write_policy(self, name: str, candidate: Candidate) -> None:
        save_policy(self.folder / name, policy_file(self.algorithm, candidate, self.training))

    def _save(self) -> None:
        """Save the latest policy and the checkpoint, after the logs that they refer to."""
        offsets = {
            PROGRESS: self.progress_log.sync(),
            EVALUATIONS: self.evaluation_log.sync(),
        }
        if self.tape is not None:
            offsets[TAPE] = self.tape.sync()
        self._write_policy(LATEST_POLICY, Candidate.of(self.algorithm))
        algorithm = self.algorithm.state()
        values = {
            "run": self.identity,
            "algorithm": algorithm.values,
            "offsets": offsets,
            "evaluated": self.evaluated,
            "reached": self.reached,
            "target_return": self.config.target_return,
            "seconds": self.elapsed,
        }
        state = State(algorithm.arrays, values)
        if self.best is not None:
            state.values["best_return"] = self.best.return_mean
            if self.best.first is not None:
                total, length = self.best.first
                state.values |= {"best_first_return": total, "best_first_length": length}
            state.add_state("best", self.best.candidate.state())
        if self._pending is not None:
            state.add_state("pending", self._pending[1].state())
        checkpoint.save(self.folder, state)

    def _save_if_possible(self) -> None:
        if self._complete or self._mid_iteration:
            return
        try:
            self._save()
        except OSError as error:
            self.display.notify(
                f"{self.folder}: the last iterations are not saved: {error.strerror}"
            )

    def _restore(self) -> dict[str, int]:
        """Restore the checkpoint; returns the lengths of the logs when it was saved."""
        state = checkpoint.load(self.folder)
        try:
            check_identity(state.value("run", dict), self.identity, self.algorithm.Config)
            self._restore_from(state)
            offsets = state.nested("offsets")
            # Checkpoints of runs without a tape do not name it.
            names = [PROGRESS, EVALUATIONS, *({TAPE} & offsets.values.keys())]
            return {name: offsets.count(name) for name in names}
        except ValueError as error:
            raise RunError(
                f"{checkpoint.path(self.folder)}: not a checkpoint of this run ({error})"
            ) from None

    def _restore_from(self, state: State) -> None:
        algorithm, spec = self.algorithm, self.algorithm.policy.spec
        algorithm.restore(State(state.arrays, state.value("algorithm", dict)))
        self.evaluated = state.count("evaluated", -1, algorithm.iteration)
        self._earlier_seconds = state.number("seconds")
        if self.evaluated >= 0:
            candidate = Candidate.from_state(state.nested("best"), spec)
            first = None
            if "best_first_length" in state.values:
                first = Played(state.number("best_first_return"), state.count("best_first_length"))
            self.best = Best(candidate, state.number("best_return"), first)
            # The file may be from an evaluation after the checkpoint, which will be repeated.
            self._write_policy(BEST_POLICY, candidate)
            self.display.best_so_far(self.best.return_mean)
        reached = state.count("reached", -1, algorithm.iteration)
        if state.optional_number("target_return") == self.config.target_return:
            self.reached = reached
        elif self.best is not None and self._is_target(self.best.return_mean):
            self.reached = self.best.candidate.iteration
        if "pending" in state.values:
            self._begin(Candidate.from_state(state.nested("pending"), spec))
