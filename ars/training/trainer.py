"""The training loop of every algorithm: iterate, evaluate, log, save a checkpoint, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from ars.algorithms.base import Algorithm, Row
from ars.common.errors import RunError
from ars.common.interrupts import Interrupts
from ars.common.seeding import Stream
from ars.common.settings import counted
from ars.common.statistics import summarize_objective
from ars.rollout.pool import Pool
from ars.rollout.task import Task
from ars.training import checkpoint
from ars.training.best import Best
from ars.training.config import RunConfig
from ars.training.evaluation import Candidate, evaluation_row, policy_file, speed
from ars.training.interruptible_pool import InterruptiblePool
from ars.training.logger import CsvLog, LogEnd, TensorBoard
from ars.training.repetition import Played, RepetitionCheck
from ars.training.run_folder import (
    BEST_POLICY,
    EVALUATIONS,
    LATEST_POLICY,
    PROGRESS,
    RESULT,
    TAPE,
)
from ars.training.stored_settings import check_identity
from ars.training.tape import TapeLog
from policies import save_policy
from policies.file import write_json
from policies.state import State


class Display(Protocol):
    """Shows a run to the user."""

    def progress(self, row: dict[str, Any]) -> None: ...

    def evaluation(self, row: dict[str, Any]) -> None: ...

    def best_so_far(self, return_mean: float) -> None: ...

    def notify(self, message: str) -> None: ...


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
        env_id, n = algorithm.rollout_spec.env_id, config.eval_episodes
        self._repetition = RepetitionCheck(env_id, n, display.notify, known=not repeats)
        self.best: Best | None = None
        self.evaluated = -1  # the iteration after which the last collected evaluation was begun
        self._evaluated_timesteps = -1  # those of that iteration
        self.reached = -1  # the iteration whose evaluation reached the target return
        self._pending: tuple[int, Candidate] | None = None
        self._complete = False  # the loop has ended and its state is saved
        self._mid_iteration = False  # in one whose failure leaves a state that cannot be saved
        self._earlier_seconds = 0.0
        self._started = time.monotonic()
        ends = self._restore() if resume else {}
        with ExitStack() as opened:
            self.tape = self._open_tape(ends.get(TAPE, LogEnd()).offset)
            if self.tape is not None:
                opened.callback(self.tape.close)
            self.progress_log = CsvLog(folder / PROGRESS, ends.get(PROGRESS, LogEnd()))
            opened.callback(self.progress_log.close)
            self.evaluation_log = CsvLog(folder / EVALUATIONS, ends.get(EVALUATIONS, LogEnd()))
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
        if iteration > self.evaluated and self._pending is None and self._is_due():
            self._begin(Candidate.of(self.algorithm))

    def _is_due(self) -> bool:
        every = self.config.eval_timesteps
        if every is None:
            return self.algorithm.iteration % self.config.eval_freq == 0
        return self.algorithm.timesteps // every > self._evaluated_timesteps // every

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
        self._evaluated_timesteps = candidate.timesteps
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
            "log_sha256": {
                PROGRESS: self.progress_log.sha256,
                EVALUATIONS: self.evaluation_log.sha256,
            },
            "evaluated": self.evaluated,
            "reached": self.reached,
            "target_return": self.config.target_return,
            "seconds": self.elapsed,
        }
        state = State(algorithm.arrays, values)
        if self.best is not None:
            self.best.add_to(state)
        if self.config.eval_timesteps is not None:
            state.values["evaluated_timesteps"] = self._evaluated_timesteps
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

    def _restore(self) -> dict[str, LogEnd]:
        """Restore the checkpoint; returns where the logs ended when it was saved."""
        state = checkpoint.load(self.folder)
        try:
            check_identity(state.value("run", dict), self.identity, self.algorithm.Config)
            self._restore_from(state)
            return self._log_ends(state)
        except ValueError as error:
            raise RunError(
                f"{checkpoint.path(self.folder)}: not a checkpoint of this run ({error})"
            ) from None

    def _log_ends(self, state: State) -> dict[str, LogEnd]:
        """Raises: ValueError where a log cannot have ended so."""
        offsets, digests = state.nested("offsets"), state.nested("log_sha256")
        iteration, timesteps = self.algorithm.iteration, self.algorithm.timesteps
        last = {
            PROGRESS: {"iteration": iteration, "timesteps": timesteps} if iteration else {},
            EVALUATIONS: {"iteration": self.evaluated} if self.evaluated >= 0 else {},
        }
        ends = {}
        for name, numbers in last.items():
            offset = offsets.count(name, *((1,) if numbers else (0, 0)))
            # Checkpoints of earlier versions do not know the digests of the logs.
            digest = digests.text(name) if "log_sha256" in state.values else None
            ends[name] = LogEnd(offset, digest, numbers)
        # Those of runs without a tape do not name it.
        return ends | ({TAPE: LogEnd(offsets.count(TAPE))} if TAPE in offsets.values else {})

    def _restore_from(self, state: State) -> None:
        algorithm = self.algorithm
        algorithm.restore(State(state.arrays, state.value("algorithm", dict)))
        self.evaluated = state.count("evaluated", -1, algorithm.iteration)
        self._earlier_seconds = state.number("seconds", at_least=0)
        if self.evaluated >= 0:
            self.best = Best.of(state, algorithm)
            # The file may be from an evaluation after the checkpoint, which will be repeated.
            self._write_policy(BEST_POLICY, self.best.candidate)
            self.display.best_so_far(self.best.return_mean)
            # Not known if evaluations came by iterations until now: the next multiple is due.
            self._evaluated_timesteps = algorithm.timesteps
        if "evaluated_timesteps" in state.values:
            known = state.count("evaluated_timesteps", -1, algorithm.timesteps)
            self._evaluated_timesteps = known
        reached = state.count("reached", -1, self.evaluated)
        if state.optional_number("target_return") == self.config.target_return:
            self.reached = reached
        elif self.best is not None and self._is_target(self.best.return_mean):
            self.reached = self.best.candidate.iteration
        if "pending" in state.values:
            self._begin(Candidate.from_state(state.nested("pending"), algorithm))
