"""What a training would be: every setting and where its value comes from, its time, its memory.

The time is that of the same policy all along. Robots that learn to stay up play longer episodes
later; a run that counts timesteps does not take longer for that.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any, NamedTuple

import gymnasium

import envs
from ars.algorithms.base import Algorithm
from ars.common.resources import n_processors, resident
from ars.common.settings import in_words
from ars.rollout.pool import Pool
from ars.training.config import TrainingConfig
from ars.training.display import Silent
from ars.training.run import make_pool, opened
from ars.training.settings_file import known_presets

MEASURED_SECONDS = 3.0


class Setting(NamedTuple):
    """A setting's value, in words, and where it comes from."""

    name: str
    value: str
    origin: str


class Plan(NamedTuple):
    """What a training would be.

    Attributes:
        settings: all of them.
        policy: what it sees, does and consists of.
        seconds: that it would take here; None where it has no end by steps.
        steps_per_second: of training, as measured here.
        n_workers: processes that play rollouts, this one not counted.
        megabytes: of memory that this process has now.
    """

    settings: list[Setting]
    policy: str
    seconds: float | None
    steps_per_second: float
    n_workers: int
    megabytes: float


class Speed(NamedTuple):
    """How fast a training goes in one process, and how many steps its parts have."""

    steps_per_second: float
    iteration_steps: float
    episode_steps: float


class _Enough(Exception):  # nothing is wrong
    """Rollouts have been watched for long enough."""


class _Stopwatch:
    """Counts rollouts and their steps after the first one, which compiles; ends the wait in time.

    Attributes:
        requested: rollouts of the last request.
        rollouts: that ended, after the first.
        steps: of those.
        seconds: that they took.
    """

    def __init__(self) -> None:
        self.requested = self.rollouts = self.steps = 0
        self.seconds = 0.0
        self._began: float | None = None

    def submitted(self, rollouts: int) -> None:
        self.requested = rollouts

    def answered(self, rollouts: int, steps: int, seconds: float) -> None:
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        else:
            self.rollouts, self.steps = self.rollouts + rollouts, self.steps + steps
            self.seconds = now - self._began

    def waiting(self) -> None:
        if self.seconds >= MEASURED_SECONDS:
            raise _Enough


def measured(complete: TrainingConfig, algorithm: Algorithm) -> Speed:
    """Train for a few seconds in this process; nothing is written.

    An iteration of ARS is hundreds of episodes, and is left in the middle.
    """
    local = dataclasses.replace(
        complete, workers=dataclasses.replace(complete.workers, n_workers="0", ray_address=None)
    )
    watch = _Stopwatch()
    with closing(make_pool(local, algorithm.rollout_spec, lambda line: None, watch=watch)) as pool:
        if not algorithm.trains_in_pool:
            return _by_iterations(algorithm, pool)
        with suppress(_Enough):
            while watch.seconds < MEASURED_SECONDS:
                algorithm.iterate(pool)
    length = watch.steps / watch.rollouts
    return Speed(watch.steps / watch.seconds, watch.requested * length, length)


def _by_iterations(algorithm: Algorithm, pool: Pool) -> Speed:
    before, began = algorithm.timesteps, time.perf_counter()
    algorithm.iterate(pool)  # the first loads a network
    if time.perf_counter() - began < MEASURED_SECONDS:
        before, began = algorithm.timesteps, time.perf_counter()
    while True:
        algorithm.iterate(pool)
        spent = time.perf_counter() - began
        if spent >= MEASURED_SECONDS:
            break
    return Speed(
        (algorithm.timesteps - before) / spent,
        algorithm.timesteps / algorithm.iteration,
        algorithm.timesteps / max(1, algorithm.episodes),
    )


def plan(
    config: TrainingConfig,
    given: Mapping[str, Any],
    from_file: Mapping[str, Any],
) -> Plan:
    """Resolve a training, and measure a few seconds of it in this process; nothing is written.

    Args:
        config: of a new run.
        given: the settings given by the user, those of a file among them.
        from_file: those of a file.

    Raises:
        UsageError, RunError, FileError: as for `run_training`.
    """
    with opened(config, Silent()) as (complete, probed, algorithm, _):
        spec = algorithm.policy.spec
        pace = measured(complete, algorithm)
        workers = 0  # of deep algorithms, which only evaluate in others
        if algorithm.trains_in_pool:
            workers = n_processors() if complete.n_workers is None else complete.n_workers
        speed = max(1, workers) * pace.steps_per_second
        return Plan(
            _settings(config, complete, given, from_file),
            f"policy: {spec.kind}, {spec.n_weights:,} numbers; "
            f"observations {_space(probed.observation_space)}, "
            f"actions {_space(probed.action_space)}",
            _seconds(complete, speed, pace.iteration_steps, pace.episode_steps),
            speed,
            workers,
            resident() / 1e6,
        )


def _space(space: Any) -> str:
    if isinstance(space, gymnasium.spaces.Box):
        return f"Box{list(space.shape)} of {space.dtype}"
    return str(space)


def _seconds(
    config: TrainingConfig, speed: float, steps_each: float, length: float
) -> float | None:
    """Seconds of training and evaluations; None if no stop counts steps.

    Args:
        config: of the training.
        speed: steps per second.
        steps_each: steps of an iteration.
        length: steps of a training episode.
    """
    run, found = config.run, []
    if run.total_timesteps is not None:
        found.append(float(run.total_timesteps))
    if run.n_iterations is not None:
        found.append(run.n_iterations * steps_each)
    ends = [] if config.budget_seconds is None else [config.budget_seconds]
    if found and speed > 0:
        steps = min(found)
        every = run.eval_timesteps or run.eval_freq * steps_each
        longest = config.algorithm.eval_length or config.algorithm.rollout_length
        ends_early = length < 0.99 * config.algorithm.rollout_length
        evaluated = (steps // every + 1) * run.eval_episodes * (length if ends_early else longest)
        # At most: an evaluation's steps cost what those of training do, or less.
        ends.append((steps + evaluated) / speed)
    return min(ends, default=None)


def _settings(
    config: TrainingConfig,
    complete: TrainingConfig,
    given: Mapping[str, Any],
    from_file: Mapping[str, Any],
) -> list[Setting]:
    preset = known_presets(config.algo, config.preset).get(config.preset or "", {})
    kwargs = {name: value for name, value in config.env_kwargs.items() if name not in envs.OPTIONS}
    groups: dict[str, Any] = {"env_kwargs": kwargs} if kwargs else {}
    groups |= {name: value for name, value in config.env_kwargs.items() if name in envs.OPTIONS}
    rows = [
        Setting(name, in_words(value), _origin_of_kwargs(name, config, given, from_file))
        for name, value in groups.items()
    ]
    for part in ("task", "algorithm", "run", "workers"):
        before, after = getattr(config, part), getattr(complete, part)
        for field in dataclasses.fields(after):
            value = getattr(after, field.name)
            origin = _origin(field.name, given, from_file)
            if origin == "default" and value == preset.get(field.name, object()):
                origin = f"preset {config.preset}"
            elif value != getattr(before, field.name):
                origin = "environment"
            elif origin == "default" and value != field.default:
                origin = "other settings"
            if isinstance(value, int) and not isinstance(value, bool) and field.name != "seed":
                shown = f"{value:,}"
            else:
                shown = "none" if value in (None, ()) else in_words(value)
            rows.append(Setting(field.name, shown, origin))
    return rows


def _origin_of_kwargs(
    name: str,
    config: TrainingConfig,
    given: Mapping[str, Any],
    from_file: Mapping[str, Any],
) -> str:
    """Where an environment's arguments come from; `name`: all of them, or what `make` takes."""
    for source in (name, "env_kwargs"):
        if source in given:
            return _origin(source, given, from_file)
    return f"preset {config.preset}"


def _origin(name: str, given: Mapping[str, Any], from_file: Mapping[str, Any]) -> str:
    if name not in given:
        return "default"
    return "file" if name in from_file and from_file[name] == given[name] else "given"
