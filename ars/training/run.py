"""From a `TrainingConfig` to a finished run: environment, algorithm, folder, pool and trainer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from ars.algorithms import ALGORITHMS
from ars.algorithms.base import Algorithm, TrainingContext
from ars.common.errors import RolloutError, RunError
from ars.rollout.pool import LocalPool, Pool, Watch
from ars.rollout.task import RolloutSpec
from ars.training import checkpoint
from ars.training.config import TrainingConfig
from ars.training.display import Display
from ars.training.env_check import Probe, probe
from ars.training.heading import episode_lines, schedule_line
from ars.training.run_folder import find_policy, lock, new_folder, refuse_taken
from ars.training.signals import Interrupts
from ars.training.space_check import action_warning
from ars.training.time_budget import TimeBudget
from ars.training.trainer import Trainer
from policies import Policy


class HowToResume(Protocol):
    """Returns the command or call that resumes a run folder, with these settings changed."""

    def __call__(self, folder: Path, **settings: Any) -> str: ...


def run_training(
    config: TrainingConfig,
    display: Display,
    how_to_resume: HowToResume,
    run_dir: str | None = None,
    stop: Callable[[], str | None] = lambda: None,
) -> tuple[Path, dict[str, Any]]:
    """Train as configured, in a new run folder or from a checkpoint.

    Args:
        config: every setting, resolved.
        display: shows the run to the user.
        how_to_resume: completes messages about a run that ended early.
        run_dir: folder of a new run; None: runs/ENV/ALGO-sSEED.
        stop: called before each iteration; a reason that it returns ends the run, saved.

    Returns:
        The run's folder, and what its result.json holds.

    Raises:
        UsageError, RunError, FileError: the run cannot start or cannot go on; also the exceptions
            of `probe`.
        KeyboardInterrupt: the user interrupted; the message says how to go on.
    """
    # A run that ended before its first checkpoint starts over.
    resume = config.folder is not None and checkpoint.exists(config.folder)
    initial = None
    if config.init_from is not None and not resume:
        initial = find_policy(config.init_from, setting="init_from").file.policy
    probed = probe(config.env_id, config.env_kwargs)
    if config.folder is None:  # a stored run keeps the lengths that it had
        config = config.within(probed.time_limit)
    with closing(_make_algorithm(config, probed, display, initial)) as algorithm:
        for note in config.notes:
            display.notify(note)
        for warning in (*probed.warnings, *_warnings(config, algorithm)):
            display.notify(f"warning: {warning}")
        folder = config.folder or new_folder(config.env_id, config.algo, config.task.seed, run_dir)
        with lock(folder):
            # Another run may have begun in it, or gone on, since it was looked at.
            if config.folder is None:
                refuse_taken(folder)
            elif checkpoint.exists(folder) != resume:
                raise RunError(f"{folder}: another process has just trained in it; try again")
            try:
                config.write(folder)
            except OSError as error:
                raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
            display.notify(f"run folder {folder}")
            for line in episode_lines(config, algorithm, probed.time_limit):
                display.notify(line)
            return folder, _train(config, algorithm, folder, display, how_to_resume, resume, stop)


def _warnings(config: TrainingConfig, algorithm: Algorithm) -> list[str]:
    """What a new run with a new policy should know of the actions."""
    if config.folder is not None or config.init_from is not None:
        return []
    warning = action_warning(algorithm.policy.spec)
    return [] if warning is None else [f"{config.env_id}: {warning}"]


def _make_algorithm(
    config: TrainingConfig, probed: Probe, display: Display, initial: Policy | None
) -> Algorithm:
    context = TrainingContext(
        config.env_id,
        probed.observation_space,
        probed.action_space,
        config.env_kwargs,
        config.task.seed,
        config.task.on_nonfinite,
        display.notify,
        config.workers.device,
        config.workers.env_processes,
        probed.objective,
        probed.obs_dtype,
    )
    algorithm = ALGORITHMS[config.algo].load()(config.algorithm, context)
    if initial is not None:
        try:
            algorithm.start_from(initial)
        except BaseException:
            algorithm.close()
            raise
    return algorithm


def _train(
    config: TrainingConfig,
    algorithm: Algorithm,
    folder: Path,
    display: Display,
    how_to_resume: HowToResume,
    resume: bool,
    stop: Callable[[], str | None],
) -> dict[str, Any]:
    """Run the training loop; if it ends early, the message says how to resume where possible."""
    training = {"algo": config.algo, "preset": config.preset, **algorithm.policy_metadata}
    interrupts, spec = Interrupts(), algorithm.rollout_spec
    budget = TimeBudget(
        config.budget_seconds,
        config.run.eval_episodes,
        (spec.eval_length or spec.rollout_length) / spec.rollout_length,
    )
    try:
        with (
            interrupts.handled(),  # around the pool too: Ray must not stay half started or stopped
            closing(make_pool(config, spec, display.notify, budget)) as pool,
        ):
            trainer = Trainer(
                algorithm,
                pool,
                interrupts,
                folder,
                config.run,
                display,
                config.identity,
                training,
                budget,
                resume=resume,
                stop=stop,
            )
            if (line := schedule_line(config, algorithm)) is not None:
                display.notify(line)
            try:
                return trainer.run()
            except RunError as error:
                hint = f"; to go on: {how_to_resume(folder)}" if checkpoint.exists(folder) else ""
                raise RunError(f"{error}{hint}") from error
    except KeyboardInterrupt:
        if not checkpoint.exists(folder):
            raise
        lost = " at once, which loses what came after the last checkpoint"
        how = lost if interrupts.forced else " and saved"
        raise KeyboardInterrupt(f"interrupted{how}; to go on: {how_to_resume(folder)}") from None
    except RolloutError as error:
        # Without workers the environment's own output is visible.
        in_process = {"n_workers": 0} if algorithm.trains_in_pool else {}
        again = how_to_resume(folder, **in_process)
        raise RunError(f"{error}; to play it again: {again}") from error


def make_pool(
    config: TrainingConfig,
    spec: RolloutSpec,
    notify: Callable[[str], None],
    watch: Watch | None = None,
) -> Pool:
    """The pool that the worker settings ask for; Ray is loaded only if it is used."""
    if config.n_workers == 0:
        return LocalPool(spec, notify, watch)
    from ars.distributed.pool import RayPool

    return RayPool(spec, config.n_workers, config.workers.ray_address, notify, watch)
