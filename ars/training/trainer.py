"""The training loop of every algorithm: iterate, evaluate, log, save a checkpoint, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ars.algorithms.base import Algorithm, Row
from ars.common.errors import RunError
from ars.common.interrupts import PATIENCE_SECONDS, Interrupts
from ars.common.settings import counted
from ars.common.statistics import summarize_objective
from ars.rollout.episode import Episode
from ars.rollout.pool import Pool
from ars.training import checkpoint
from ars.training.best import Best, is_undone, keep_undone
from ars.training.config import RunConfig
from ars.training.display import Display
from ars.training.evaluation import Candidate, evaluation_row, finite_episodes, outcome, policy_file
from ars.training.interruptible_pool import InterruptiblePool
from ars.training.logger import LogEnd
from ars.training.logs import RunLogs, log_ends
from ars.training.repetition import Played, RepetitionCheck
from ars.training.run_folder import BEST_POLICY, LATEST_POLICY, RESULT
from ars.training.stored_settings import check_identity
from ars.training.time_budget import OutOfTime, TimeBudget
from policies import RunningMeanStd, save_policy
from policies.file import write_json
from policies.state import State


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
        budget: the time of this call; `pool` is watched by it. None for no limit.
        resume: go on from the folder's checkpoint.
        stop: called before each iteration; a reason that it returns ends the run.
        repeats: whether the environment repeats its episodes, as far as is known.
        look: as for `RepetitionCheck`.

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
        budget: TimeBudget | None = None,
        resume: bool = False,
        stop: Callable[[], str | None] = lambda: None,
        repeats: bool = True,
        look: Callable[[RunningMeanStd], str | None] | None = None,
    ) -> None:
        self.algorithm, self.folder, self.config = algorithm, folder, config
        self.interrupts = interrupts
        self.pool: Pool = InterruptiblePool(pool, interrupts)
        self.display, self.identity, self.training = display, identity, training
        self.budget, self._stop = budget or TimeBudget(), stop
        env_id, n = algorithm.rollout_spec.env_id, config.eval_episodes
        self._repetition = RepetitionCheck(env_id, n, display.notify, not repeats, look)
        self.best: Best | None = None
        self.evaluated = -1  # the iteration after which the last collected evaluation was begun
        self._evaluated_timesteps = -1  # those of that iteration
        self.reached = -1  # the iteration whose evaluation reached the target return
        # The evaluation under way: its request, which is None where it is to be submitted again.
        self._pending: tuple[int | None, Candidate] | None = None
        self._doing = "starting"
        self._complete = False  # the loop has ended and its state is saved
        self._mid_iteration = False  # in one whose failure leaves a state that cannot be saved
        self._earlier_seconds = 0.0
        self._started = time.monotonic()
        self._iteration_seconds = 0.0
        ends = self._restore() if resume else {}
        self._saved = algorithm.iteration  # when the last checkpoint was
        self._undoes = False  # whether the first iteration undoes the evaluation at the end
        self.logs = RunLogs(folder, algorithm, identity, training, ends, resume, display.notify)
        if resume:  # nothing of a run whose files are refused is changed
            self._go_on()

    def run(self) -> dict[str, Any]:
        """Train until a stop; returns what result.json holds.

        The last complete iteration is saved before anything is raised, if the disk allows it and
        the algorithm did not fail in the middle of the next one.

        Raises:
            KeyboardInterrupt: the user interrupted.
            RunError, RolloutError, OSError: training cannot go on.
        """
        self.display.working(self._activity)
        try:
            result = self._finish(self._loop())
            self.logs.close()
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
                self.logs.close()

    def _loop(self) -> str:
        if self._pending is not None and self._pending[1].iteration < self.algorithm.iteration:
            self._collect_evaluation()
        begun = self.algorithm.iteration
        while (reason := self._stop_reason()) is None:
            with self.interrupts.allowed():  # the only place if the algorithm uses no pool
                pass
            # Both evaluations at the end have to fit: the last policy's and the final one.
            if not self._in_time(self._advance, 2):
                reason = self._out_of_time
                break
        if begun == self.algorithm.iteration > 0 and not self.budget.is_used(2):
            done = (
                f"{counted(self.algorithm.iteration, 'iteration')}, "
                f"{counted(self.algorithm.timesteps, 'timestep')}"
            )
            self.display.notify(f"nothing is left to train: {reason} (the run has {done})")
        # The evaluation after the last iteration is collected here, as no next iteration follows.
        self._evaluate_in_time(self._begin_evaluation)
        self._save()
        self._complete = True
        # The last policy is always evaluated, time allowing. A resumed run evaluates at its own end
        # instead: the checkpoint is saved before, and this row and best policy are undone.
        if self.evaluated < self.algorithm.iteration:
            self._evaluate_in_time(lambda: self._begin(Candidate.of(self.algorithm)))
        return reason

    def _advance(self) -> None:
        """Do an iteration, and what belongs to it."""
        self._begin_evaluation()
        before, steps = self.budget.spent, self.algorithm.timesteps
        row = self._iterate()
        (self.folder / RESULT).unlink(missing_ok=True)  # that of a run that goes on: untrue now
        if self._undoes and self.best is not None:
            self._undoes = False
            keep_undone(self.folder, self.display.notify)
            self._write_policy(BEST_POLICY, self.best.candidate)
        seconds = self._iteration_seconds = self.budget.spent - before
        steps = self.algorithm.timesteps - steps
        self.logs.iteration()
        self._log_progress(row, steps / seconds if seconds > 0 else math.inf)
        self._collect_evaluation()
        if self.algorithm.iteration % self.config.save_freq == 0:
            self._save()

    def _in_time(self, work: Callable[[], None], evaluations: int) -> bool:
        """Do something, unless no more time is left than so many evaluations take.

        What was waited for is then dropped: an iteration, of which nothing is known before all of
        its rollouts are, or an evaluation, which stays pending in the checkpoint. Either comes
        again on resume, with the same results.
        """
        try:
            with self.budget.kept_for(evaluations):
                work()
        except OutOfTime:
            self.display.notify(f"{self._activity()}: there is no time for more")
            self._drop_rollouts()
            return False
        return True

    def _drop_rollouts(self) -> None:
        self.pool.abandon()
        self.budget.forget()
        if self._pending is not None:
            self._pending = None, self._pending[1]

    def _evaluate_in_time(self, begin: Callable[[], None]) -> None:
        if self.budget.is_used(1):
            self._drop_rollouts()
            return
        begin()
        self._in_time(self._collect_evaluation, 1)

    def _activity(self) -> str:
        """What the run is doing, for the user."""
        if self._mid_iteration:
            return f"{self._doing}: at {counted(self.algorithm.timesteps, 'timestep')}"
        played, expected = self.budget.played, self.budget.expected
        return f"{self._doing}: {min(played, expected):,} of {counted(expected, 'episode')} played"

    def _iterate(self) -> Row:
        self._doing = f"iteration {self.algorithm.iteration + 1:,}"
        if self.algorithm.trains_in_pool:
            return self.algorithm.iterate(self.pool)
        self._mid_iteration = True
        # An environment may hang.
        with self.interrupts.forceful(max(PATIENCE_SECONDS, 2 * self._iteration_seconds)):
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
        if self.budget.is_used(2):
            return self._out_of_time
        return algorithm.converged or self._stop()

    @property
    def _out_of_time(self) -> str:
        return f"time budget {self.config.time_budget} used"

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
        self.logs.progress(full)
        self.display.progress(full)

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
        self._pending = self._submit_evaluation(candidate), candidate

    def _submit_evaluation(self, candidate: Candidate) -> int:
        return self.pool.submit(candidate.snapshot, self._repetition.scheduled())

    def _collect_evaluation(self) -> None:
        if self._pending is None:
            return
        request, candidate = self._pending
        if request is None:
            request = self._submit_evaluation(candidate)
        self._doing = f"evaluation after iteration {candidate.iteration:,}"
        played = self._repetition.evaluated(self.pool.collect(request))
        episodes = finite_episodes(self._doing, played, self.algorithm.context)
        whole = len(episodes) == len(played)  # a policy with faults is no better than another
        row = evaluation_row(candidate, episodes)
        self.budget.evaluated(row["length_mean"])
        self._pending, self.evaluated = None, candidate.iteration
        self._evaluated_timesteps = candidate.timesteps
        better = self.best is None or (
            whole
            and (
                self.algorithm.latest_is_best
                or not self.best.whole
                or row["return_mean"] > self.best.return_mean
            )
        )
        if better:
            first = Played.of(played[0]) if whole else None
            self.best = Best(candidate, row["return_mean"], first, whole)
            self._write_policy(BEST_POLICY, candidate)
        if self.reached < 0 and whole and self._is_target(row["return_mean"]):
            self.reached = candidate.iteration
        row = {
            **row,
            "best": int(better),
            **summarize_objective(self.algorithm.rollout_spec.objective, episodes),
            "time_seconds": round(self.elapsed, 3),
        }
        self.logs.evaluation(row)
        self.display.evaluation(row)

    def _is_target(self, return_mean: float) -> bool:
        return self.config.target_return is not None and return_mean >= self.config.target_return

    def _finish(self, reason: str) -> dict[str, Any]:
        """Evaluate the best policy a last time, for result.json alone."""
        algorithm = self.algorithm
        candidate = Candidate.of(algorithm) if self.best is None else self.best.candidate
        if self.best is None:  # there was no time for any evaluation
            self._write_policy(BEST_POLICY, candidate)
        first = None if self.best is None else self.best.first
        played = self._repetition.evaluated(self._final_episodes(candidate, first), first)
        episodes = finite_episodes("final evaluation", played, algorithm.context)
        result = {
            "stopped": reason,
            "seconds": round(self.elapsed, 3),
            "best_evaluation": None if self.best is None else self.best.return_mean,
            **outcome(algorithm, candidate, episodes),
        }
        write_json(self.folder / RESULT, result)
        longest = 0.0 if algorithm.trains_in_pool else self._iteration_seconds
        if (line := self.budget.overrun(longest)) is not None:
            self.display.notify(line)
        return result

    def _final_episodes(self, candidate: Candidate, first: Played | None) -> list[Episode]:
        """The final evaluation's episodes: at least one, and all of them if there is time."""
        self._doing = "final evaluation"
        tasks, snapshot = self._repetition.final(first), candidate.snapshot
        if self.budget.seconds is None:
            return self.pool.collect(self.pool.submit(snapshot, tasks))
        # Each by itself, so that those that came in time count.
        requests = [self.pool.submit(snapshot, [task]) for task in tasks]
        episodes: list[Episode] = []

        def collect() -> None:
            for request in requests:
                episodes.extend(self.pool.collect(request))

        self._in_time(collect, 0)
        return episodes or self.pool.collect(self.pool.submit(snapshot, tasks[:1]))

    # Files

    def _write_policy(self, name: str, candidate: Candidate) -> None:
        save_policy(self.folder / name, policy_file(self.algorithm, candidate, self.training))

    def _save(self) -> None:
        """Save the latest policy and the checkpoint, after the logs that they refer to."""
        logs = self.logs.sync()
        self._write_policy(LATEST_POLICY, Candidate.of(self.algorithm))
        algorithm = self.algorithm.state()
        values = {
            "run": self.identity,
            "algorithm": algorithm.values,
            **logs,
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
        self._saved = self.algorithm.iteration

    def _save_if_possible(self) -> None:
        if self._mid_iteration and (lost := self.algorithm.iteration - self._saved):
            self.display.notify(f"resuming will repeat {counted(lost, 'iteration')}")
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
            return log_ends(state, self.algorithm, self.evaluated)
        except ValueError as error:
            raise RunError(
                f"{checkpoint.path(self.folder)}: not a checkpoint of this run ({error})"
            ) from None

    def _restore_from(self, state: State) -> None:
        algorithm = self.algorithm
        algorithm.restore(State(state.arrays, state.value("algorithm", dict)))
        self.evaluated = state.count("evaluated", -1, algorithm.iteration)
        self._earlier_seconds = state.number("seconds", at_least=0)
        if self.evaluated >= 0:
            self.best = Best.of(state, algorithm)
            # Not known if evaluations came by iterations until now: the next multiple is due.
            self._evaluated_timesteps = algorithm.timesteps
        if "evaluated_timesteps" in state.values:
            self._evaluated_timesteps = state.count("evaluated_timesteps", -1, algorithm.timesteps)
        reached = state.count("reached", -1, self.evaluated)
        if state.optional_number("target_return") == self.config.target_return:
            self.reached = reached
        elif self.best is not None and self.best.whole and self._is_target(self.best.return_mean):
            self.reached = self.best.candidate.iteration
        if "pending" in state.values:
            self._pending = None, Candidate.from_state(state.nested("pending"), algorithm)

    def _go_on(self) -> None:
        """Bring the best policy's file and the evaluation under way to where the checkpoint is."""
        if self.best is not None:
            # Should nothing be left to train, it is found again.
            self._undoes = self._pending is None and is_undone(
                self.folder, self.best, self.algorithm.iteration
            )
            if not self._undoes:
                # The file may be from an evaluation after the checkpoint, which will be repeated.
                self._write_policy(BEST_POLICY, self.best.candidate)
            self.display.best_so_far(self.best.return_mean)
        if self._pending is not None:
            self._begin(self._pending[1])
