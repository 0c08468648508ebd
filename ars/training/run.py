"""From a `TrainingConfig` to a finished run: environment, algorithm, folder, pool and trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ars.algorithms import ALGORITHMS
from ars.algorithms.base import Algorithm, TrainingContext
from ars.common.errors import RolloutError, RunError, UsageError, failures, one_line
from ars.common.host import at_home, from_home, hosting
from ars.common.interrupts import Interrupts
from ars.common.resources import NotEnoughMemory
from ars.experience.env_processes import refuse_to_train_again
from ars.rollout.pool import BorrowingPool, LocalPool, Pool, Watch
from ars.rollout.task import RolloutSpec
from ars.training import checkpoint
from ars.training.config import TrainingConfig
from ars.training.display import Display
from ars.training.env_check import Probe, probe
from ars.training.filming import Filming
from ars.training.given_env import only_here
from ars.training.heading import episode_lines, schedule_line
from ars.training.rebuild import chosen_policy
from ars.training.run_folder import (
    CONFIG,
    RESULT,
    check_run_dir,
    lock,
    new_folder,
    refuse_taken,
    remove_unbegun,
    without_folder,
    writing,
)
from ars.training.space_check import action_warning, coarse_on_average, coarse_warning
from ars.training.time_budget import TimeBudget
from ars.training.tracking import tracked
from ars.training.trainer import Trainer
from policies import BoxSpec, Policy, RunningMeanStd


class HowToResume(Protocol):
    """Returns the command or call that resumes a run folder, with these settings changed.

    One of None is left out.
    """

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
    refuse_to_train_again()
    how_to_resume = partial(how_to_resume, **config.chosen_workers)
    if config.folder is None and run_dir is not None:
        check_run_dir(run_dir)  # before a robot is loaded, and its steps are compiled
    with opened(config, display) as (config, probed, algorithm, resume):
        for note in (*config.notes, *_without_meaning(config, algorithm)):
            display.notify(note)
        for warning in (*probed.warnings, *_warnings(config, algorithm, probed)):
            display.notify(f"warning: {warning}")
        with at_home():
            name = f"{config.algo}-s{config.task.seed}"
            folder = config.folder or new_folder(config.env_id, name, run_dir)
        place = from_home(folder)  # an environment may move to another folder at any time
        with lock(place):
            # Another run may have begun in it, or gone on, since it was looked at.
            if config.folder is None:
                refuse_taken(place)
            elif checkpoint.exists(place) != resume:
                raise RunError(f"{folder}: another process has just trained in it; try again")
            if not resume:
                with writing(folder):
                    config.write(place)
            display.notify(f"run folder {folder}")
            for line in episode_lines(config, algorithm, probed.time_limit, resume):
                display.notify(line)
            resuming = partial(how_to_resume, folder)
            try:
                with tracked(config, place, display) as (shown, report):
                    result = _train(config, algorithm, probed, place, shown, resuming, resume, stop)
                    report(result)
            except BaseException as error:
                # A rollout that failed can be played again from the folder.
                if config.folder is None and not isinstance(error.__cause__, RolloutError):
                    remove_unbegun(place)
                raise
            return folder, result


class Opened(NamedTuple):
    """What a run needs before it has a folder.

    Attributes:
        config: with the episode lengths that the environment gives.
        probed: what is known of the environment.
        algorithm: before its first iteration.
        resume: whether there is a checkpoint to go on from.
    """

    config: TrainingConfig
    probed: Probe
    algorithm: Algorithm
    resume: bool


@contextmanager
def opened(config: TrainingConfig, display: Display) -> Iterator[Opened]:
    """Make a run's environment and algorithm, closed at the end of the block.

    Raises:
        UsageError, RunError, FileError: they cannot be made; also the exceptions of `probe`.
    """
    with hosting(lambda warning: display.notify(f"warning: {warning}")):
        with at_home():
            # A run that ended before its first checkpoint starts over.
            resume = config.folder is not None and checkpoint.exists(config.folder)
            if config.folder is not None and not resume and (config.folder / RESULT).is_file():
                raise UsageError(f"`resume` {config.folder}: it has ended and kept no checkpoint")
            initial = None
            if config.init_from is not None and not resume:
                initial = chosen_policy(config.init_from, setting="init_from").file.policy
        deep = not ALGORITHMS[config.algo].trains_in_pool
        probed = probe(config.env_id, config.env_kwargs, display.notify, beside_others=deep)
        if config.folder is None:  # a stored run keeps the lengths that it had
            config = config.within(probed.time_limit)
        with closing(_make_algorithm(config, probed, display, initial)) as algorithm:
            yield Opened(config, probed, algorithm, resume)


def _processes(config: TrainingConfig, probed: Probe, notify: Callable[[str], None]) -> int:
    """How many processes share the training environments: more where one must be alone in its.

    Raises: UsageError where several are needed and only one can exist.
    """
    processes, conflict = config.workers.env_processes, probed.conflict
    if conflict is None or ALGORITHMS[config.algo].trains_in_pool:
        return processes
    n: int = getattr(config.algorithm, "n_envs", 1)
    if _alone(config, probed):
        if n > 1:
            way_out = "" if probed.only_one else ", or name it as module:Id-v0"
            raise UsageError(
                f"`n_envs` {n}: {config.env_id} cannot be several at once: {conflict}; `n_envs` 1 "
                f"trains with one{way_out}"
            )
        notify(
            f"{config.env_id}: {conflict}: training's is closed for each evaluation and brought "
            "back after it"
        )
    elif processes < n:
        notify(
            f"{config.env_id}: {conflict}: each of the {n} gets a process of its own "
            f"(`env_processes` {n})"
        )
        return n
    return processes


def _alone(config: TrainingConfig, probed: Probe) -> bool:
    """Whether an evaluation's environment and one of training cannot exist at the same time."""
    return probed.only_one or (probed.conflict is not None and only_here(config.env_id))


def _warnings(config: TrainingConfig, algorithm: Algorithm, probed: Probe) -> list[str]:
    """What a new run with a new policy should know of the actions and of what networks see."""
    if config.folder is not None or config.init_from is not None:
        return []
    warnings = [action_warning(algorithm.policy.spec, probed.clipped_to)]
    if probed.coarse is not None and _sees_float32(config, algorithm):
        warnings.append(coarse_warning(probed.coarse, _normalizes(config)))
    return [f"{config.env_id}: {warning}" for warning in warnings if warning is not None]


# Settings that decide nothing where actions are Discrete; beside `scale_actions`.
_FOR_BOXES = ("action_clip", "log_std_init", "log_std_restart")


def _without_meaning(config: TrainingConfig, algorithm: Algorithm) -> list[str]:
    """Lines on the settings of a new run that are for Box actions, where they are Discrete."""
    if config.folder is not None or isinstance(algorithm.policy.spec.action, BoxSpec):
        return []
    return [
        f"`{field.name}`: has no meaning here, as actions are Discrete"
        for field in dataclasses.fields(config.algorithm)
        if field.name in _FOR_BOXES and getattr(config.algorithm, field.name) != field.default
    ]


def _normalizes(config: TrainingConfig) -> bool | None:
    """The setting `normalize_observations`; None if the algorithm has none."""
    found: bool | None = getattr(config.algorithm, "normalize_observations", None)
    return found


def _sees_float32(config: TrainingConfig, algorithm: Algorithm) -> bool:
    """Whether a network learns from observations of numbers as they are."""
    spec = algorithm.policy.spec
    numbers = isinstance(spec.observation, BoxSpec) and not spec.conv_layers
    return not algorithm.trains_in_pool and numbers and not _normalizes(config)


def _look(
    config: TrainingConfig, algorithm: Algorithm, probed: Probe
) -> Callable[[RunningMeanStd], str | None] | None:
    """What a run watches its observations for, once it knows nothing of it from the start."""
    if probed.coarse is not None or not _sees_float32(config, algorithm):
        return None

    def look(seen: RunningMeanStd) -> str | None:
        number = coarse_on_average(seen)
        told = None if number is None else coarse_warning(number, _normalizes(config))
        return told and f"{config.env_id}: {told}"

    return look


def _make_algorithm(
    config: TrainingConfig, probed: Probe, display: Display, initial: Policy | None
) -> Algorithm:
    context = TrainingContext(
        config.env_id,
        probed.observation_space,
        probed.action_space,
        config.env_kwargs,
        seed=config.task.seed,
        on_nonfinite=config.task.on_nonfinite,
        notify=display.notify,
        device=config.workers.device,
        env_processes=_processes(config, probed, display.notify),
        objective=probed.objective,
        obs_dtype=probed.obs_dtype,
        only_one_env=_alone(config, probed),
    )
    try:
        algorithm = ALGORITHMS[config.algo].load()(config.algorithm, context)
    except BaseException as error:
        context.opened.close()
        if isinstance(error, NotEnoughMemory) and config.folder is not None:
            raise RunError(f"{config.folder / CONFIG}: {error}") from None
        raise
    if initial is not None:
        try:
            algorithm.start_from(initial)
        except BaseException as error:
            algorithm.close()
            preset = ALGORITHMS[config.algo].presets.get(config.preset or "", {})
            if isinstance(error, UsageError) and config.init_from == preset.get("init_from"):
                raise UsageError(
                    f"{error}; `preset` {config.preset} begins with the policy {config.init_from}, "
                    "`init_from` none with a new one"
                ) from None
            raise
    return algorithm


def _train(
    config: TrainingConfig,
    algorithm: Algorithm,
    probed: Probe,
    folder: Path,
    display: Display,
    how_to_resume: Callable[..., str],
    resume: bool,
    stop: Callable[[], str | None],
) -> dict[str, Any]:
    """Run the training loop; if it ends early, the message says how to resume where possible."""
    preset = config.preset and without_folder(config.preset)  # it may be of a file
    training = {"algo": config.algo, "preset": preset, **algorithm.policy_metadata}
    interrupts, spec = Interrupts(), algorithm.rollout_spec
    budget = TimeBudget(
        config.budget_seconds,
        config.run.eval_episodes,
        (spec.eval_length or spec.rollout_length) / spec.rollout_length,
    )
    films = Filming(folder, config.run.video_freq, training, display.notify)

    def stop_or_film() -> str | None:
        films.look(algorithm)
        return stop()

    try:
        with closing(films):
            with (
                interrupts.handled(),  # around the pool too: Ray must not stay half started/stopped
                closing(_pool_for(config, algorithm, probed, display.notify, budget)) as pool,
            ):
                budget.begin()  # the time is for training, not for starting Ray
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
                    stop=stop_or_film,
                    repeats=probed.reproducible,
                    look=_look(config, algorithm, probed),
                )
                if resume:  # now that its files are found to be intact
                    with writing(folder):
                        config.write(folder)
                if (line := schedule_line(config, algorithm)) is not None:
                    display.notify(line)
                try:
                    result = trainer.run()
                except RunError as error:
                    hint = f"; to go on: {how_to_resume()}" if checkpoint.exists(folder) else ""
                    raise RunError(f"{error}{hint}") from error.__cause__  # not itself again
            films.look(algorithm)
            films.finish()
            return result
    except KeyboardInterrupt:
        if not checkpoint.exists(folder):
            raise
        lost = " at once, which loses what came after the last checkpoint"
        how = lost if interrupts.forced else " and saved"
        raise KeyboardInterrupt(f"interrupted{how}; to go on: {how_to_resume()}") from None
    except RolloutError as error:
        # Without workers the environment's own output is visible.
        in_process = {"n_workers": 0, "ray_address": None} if algorithm.trains_in_pool else {}
        again = how_to_resume(**in_process)
        raise RunError(f"{error}; to play it again: {again}") from error


def _pool_for(
    config: TrainingConfig,
    algorithm: Algorithm,
    probed: Probe,
    notify: Callable[[str], None],
    watch: Watch,
) -> Pool:
    """The pool for an algorithm, which may have to lend it the only environment."""
    spec = algorithm.rollout_spec
    if config.n_workers == 0 and _alone(config, probed) and not algorithm.trains_in_pool:
        return BorrowingPool(spec, algorithm.environments_lent, notify, watch)
    return make_pool(config, spec, notify, probed.seconds, watch)


def make_pool(
    config: TrainingConfig,
    spec: RolloutSpec,
    notify: Callable[[str], None],
    env_seconds: float = 0.0,
    watch: Watch | None = None,
) -> Pool:
    """The pool that the worker settings ask for; Ray is loaded only if it is used.

    Args:
        config: has the worker settings.
        spec: what all rollouts share.
        notify: shows the user a line.
        env_seconds: how long making an environment took, as far as is known.
        watch: hears of every rollout.

    Raises:
        RunError: it cannot be opened.
    """
    if config.n_workers == 0:
        try:
            return LocalPool(spec, notify, watch)
        except failures() as error:
            raise RunError(f"{spec.env_id}: cannot be made again: {one_line(error)}") from error
    from ars.distributed.pool import RayPool

    workers, address = config.n_workers, config.workers.ray_address
    with at_home():  # where workers find its modules
        return RayPool(spec, workers, address, notify, env_seconds, watch)
