"""From a `TrainingConfig` to a finished run: environment, algorithm, folder, pool and trainer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from ars.algorithms import ALGORITHMS
from ars.algorithms.base import Algorithm, TrainingContext
from ars.common.errors import RolloutError, RunError
from ars.rollout import pool as pools
from ars.rollout.pool import Pool
from ars.rollout.task import RolloutSpec
from ars.training import checkpoint
from ars.training.config import TrainingConfig
from ars.training.env_check import Probe, probe
from ars.training.run_folder import find_policy, lock, new_folder
from ars.training.signals import Interrupts
from ars.training.trainer import Display, Trainer
from policies import Policy


class HowToResume(Protocol):
    """Says how to go on with a run folder, with other settings where some are given."""

    def __call__(self, folder: Path, **settings: Any) -> str: ...


def run_training(
    plan: TrainingConfig,
    display: Display,
    how_to_resume: HowToResume,
    run_dir: str | None = None,
    stop: Callable[[], str | None] = lambda: None,
) -> tuple[Path, dict[str, Any]]:
    """Carry out a plan.

    Args:
        plan: every setting, resolved.
        display: is shown what happens.
        how_to_resume: completes messages about a run that ended early.
        run_dir: folder of a new run; None: runs/ENV/ALGO-sSEED.
        stop: asked before each iteration; a reason ends the run, saved.

    Returns:
        The run's folder, and what its result.json holds.

    Raises:
        UsageError, RunError, RolloutError: and those of `probe` and of the files read.
        KeyboardInterrupt: with a line that says how to go on.
    """
    # A run that ended before its first checkpoint begins again.
    going_on = plan.folder is not None and checkpoint.exists(plan.folder)
    initial = None
    if plan.init_from is not None and not going_on:
        initial = find_policy(plan.init_from).file.policy
    found = probe(plan.env_id, plan.env_kwargs)
    with closing(_make_algorithm(plan, found, display, initial)) as algorithm:
        for warning in found.warnings:
            display.notify(f"warning: {warning}")
        folder = plan.folder or new_folder(plan.env_id, plan.algo, plan.task.seed, run_dir)
        with lock(folder):
            try:
                plan.write(folder)
            except OSError as error:
                raise RunError(f"{folder}: cannot be written: {error.strerror}") from None
            display.notify(f"run folder {folder}")
            return folder, _train(plan, algorithm, folder, display, how_to_resume, going_on, stop)


def _make_algorithm(
    plan: TrainingConfig, found: Probe, display: Display, initial: Policy | None
) -> Algorithm:
    context = TrainingContext(
        plan.env_id,
        found.observation_space,
        found.action_space,
        plan.env_kwargs,
        plan.task.seed,
        plan.task.on_nonfinite,
        display.notify,
        plan.workers.device,
        plan.workers.env_processes,
    )
    algorithm = ALGORITHMS[plan.algo].load()(plan.config, context)
    if initial is not None:
        try:
            algorithm.start_from(initial)
        except BaseException:
            algorithm.close()
            raise
    return algorithm


def _train(
    plan: TrainingConfig,
    algorithm: Algorithm,
    folder: Path,
    display: Display,
    how_to_resume: HowToResume,
    going_on: bool,
    stop: Callable[[], str | None],
) -> dict[str, Any]:
    """Run the loop; an early end says how to go on, where that is possible."""
    training = {"algo": plan.algo, "preset": plan.preset, **algorithm.policy_metadata}
    interrupts = Interrupts()
    try:
        with (
            interrupts.handled(),  # around the pool too: half a Ray started or ended would stay
            closing(make_pool(plan, algorithm.rollout_spec, display.notify)) as pool,
        ):
            trainer = Trainer(
                algorithm,
                pool,
                interrupts,
                folder,
                plan.run,
                display,
                plan.identity,
                training,
                plan.budget_seconds,
                resume=going_on,
                stop=stop,
            )
            try:
                return trainer.run()
            except RunError as error:
                hint = f"; to go on: {how_to_resume(folder)}" if checkpoint.exists(folder) else ""
                raise RunError(f"{error}{hint}") from error
    except KeyboardInterrupt:
        if not checkpoint.exists(folder):
            raise
        lost = " at once, which loses what came after the last checkpoint"
        how = lost if interrupts.broke_off else " and saved"
        raise KeyboardInterrupt(f"interrupted{how}; to go on: {how_to_resume(folder)}") from None
    except RolloutError as error:
        # In this process the environment's own words are seen.
        alone = {"n_workers": 0} if algorithm.trains_in_pool else {}
        again = how_to_resume(folder, **alone)
        raise RunError(f"{error}; to play it again: {again}") from error


def make_pool(plan: TrainingConfig, spec: RolloutSpec, notify: Callable[[str], None]) -> Pool:
    """The pool that the plan's worker settings ask for; Ray is loaded only if it is used."""
    if plan.n_workers == 0:
        return pools.LocalPool(spec, notify)
    from ars.distributed.pool import RayPool

    return RayPool(spec, plan.n_workers, plan.workers.ray_address, notify)
