"""Resolves a user's settings, or a run folder to resume, to one `TrainingConfig`.

Settings are a mapping from their names to Python values, from the command line or from a program.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import envs
from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM, settings_of_others
from ars.algorithms.objective import parse_weights
from ars.common.errors import UsageError
from ars.common.settings import (
    as_declared,
    as_spelled,
    as_words,
    in_words,
    make_config,
    near,
    preset_values,
    setting_names,
)
from ars.common.synonyms import meant, other_name
from ars.training.config import (
    DEFAULT_TIMESTEPS,
    EVALUATION_GRIDS,
    STOPS,
    RunConfig,
    TaskConfig,
    TrainingConfig,
    WorkerConfig,
)
from ars.training.given_env import check_given
from ars.training.preset_lines import (
    preset_named_like,
    what_the_preset_decides,
    who_has_a_preset,
)
from ars.training.run_folder import CONFIG, STUDY, one_of_those_in, read_json
from ars.training.settings_file import NO_PRESET, known_presets, preset_algorithm
from ars.training.stored_settings import (
    current_settings,
    is_raised,
    kept_from_start,
    raisable_settings,
    refuse_idle,
)
from ars.training.tracking import check_installed
from ars.training.trust import check_trust, signature
from envs import clock, wrapping
from policies import FileError
from policies.state import State

# Settings that are in no config dataclass.
_RESTART = "log_std_restart"
OTHERS = ("algo", "preset", "env_kwargs", "init_from", "run_dir", *envs.OPTIONS)


def resolve_new(
    env_id: str, given: Mapping[str, Any], command: str = "python", strict: bool = True
) -> TrainingConfig:
    """The configuration of a new run: the settings given, then a preset's, then defaults.

    Args:
        env_id: as for `envs.canonical_name`.
        given: settings by name: `algo`, `preset`, `env_kwargs`, `init_from`, those that
            `envs.make` takes, and those of the algorithm, the task, the run and the workers.
        command: what starts the run, to be recorded.
        strict: refuse settings that decide nothing beside the others: not where the others are
            tried in turn, or were stored by an earlier version.

    Raises:
        UsageError: a setting is unknown or cannot be used, or the environment was given from
            Python and is not here.
        envs.UnknownEnvironment: there is no such environment.
    """
    check_given(env_id)
    name = envs.canonical_name(env_id)
    chosen = given.get("preset")
    algo = as_spelled(given["algo"] if "algo" in given else preset_algorithm(chosen), ALGORITHMS)
    if not isinstance(algo, str) or algo not in ALGORITHMS:
        raise UsageError(
            f"`algo` {algo}: must be one of {', '.join(ALGORITHMS)}" + near(algo, ALGORITHMS)
        )
    algorithm = ALGORITHMS[algo]
    _refuse_unknown(algo, given)
    given = _as_declared(algo, given)
    presets = known_presets(algo, chosen)
    preset = given.get("preset", preset_named_like(name, algo))
    preset = str(preset) if isinstance(preset, Path) else preset
    if preset is not None and (not isinstance(preset, str) or preset not in presets):
        raise UsageError(
            f"`preset` {preset}: unknown"
            + (
                near(preset, presets)
                or f"; known are {', '.join([*presets, 'files'])}, and {NO_PRESET} for the defaults"
            )
        )
    defaults: Mapping[str, Any] = {"total_timesteps": DEFAULT_TIMESTEPS}
    if preset is not None:
        if preset not in algorithm.presets:
            refuse_unknown_in_file(f"`preset` {preset}", algo, presets[preset])
        defaults = preset_values(algorithm.Config, presets[preset], given)
    env_kwargs = envs.merge_kwargs(given_kwargs(defaults), given_kwargs(given))
    horizons = kept_from_start(algorithm.Config, given, defaults)
    values = {**horizons, **overridden(defaults, given)}
    run = make_config(RunConfig, values)  # first, as settings of the algorithm may start from it
    notes = [] if name.lower() == env_id.lower() else [f"{env_id}: taken as {name}"]
    config = _checked(
        TrainingConfig(
            name,
            env_kwargs,
            algo,
            preset,
            init_from=None if (start := values.get("init_from")) is None else str(start),
            task=make_config(TaskConfig, values),
            algorithm=make_config(algorithm.Config, values),
            run=run,
            workers=make_config(WorkerConfig, values),
            commands=[command],
            signature=signature(name, env_kwargs),
            notes=notes,
        )
    )
    if strict:
        refuse_idle(config.algorithm, given)
    if preset is not None:
        notes += what_the_preset_decides(config, presets[preset], defaults, given)
    elif not {"algo", "preset"} & given.keys():
        notes += who_has_a_preset(name, algo)
    if given.get(_RESTART) is not None and config.init_from is None:
        notes.append(f"`{_RESTART}` {given[_RESTART]}: has no meaning without `init_from`")
    return config


def resolve_resumed(
    folder: Path, given: Mapping[str, Any], command: str = "python", trust: bool = False
) -> TrainingConfig:
    """The stored configuration of a run, with what may change on resume changed.

    Where its workers run, above all the address of a cluster, is not taken from the folder.

    Args:
        folder: of the run.
        given: settings by name.
        command: what resumes the run, to be recorded.
        trust: import the module that a run from elsewhere names.

    Raises:
        UsageError: a setting given may not change or cannot be used, or a module would have to be
            imported.
        FileError: config.json is damaged.
    """
    if not (folder / CONFIG).is_file():
        if (folder / STUDY).is_file():
            raise UsageError(f"`resume` {folder}: a search, which `ars tune` goes on with")
        instead = one_of_those_in(folder)
        raise UsageError(f"`resume` {folder}: not a run folder (no {CONFIG} in it){instead}")
    data = read_json(folder / CONFIG)
    try:
        if data["algo"] not in ALGORITHMS:
            raise TypeError(f"algo is {data['algo']!r}")
        algorithm = ALGORITHMS[data["algo"]]
        fixed = current_settings(algorithm.Config, data["config"])
        fixed |= {name: data[name] for name in ("algo", "preset")}
        fixed |= {name: data[name] for name in ("seed", "on_nonfinite", "env_id", "init_from")}
        stored = State(values=data)
        workers, stored_kwargs = stored.value("workers", dict), stored.value("env_kwargs", dict)
        env_id, commands = stored.text("env_id"), [*stored.value("commands", list), command]
        start = None if data["init_from"] is None else stored.text("init_from")
        preset = None if data["preset"] is None else stored.text("preset")
        free = stored.value("run", dict)
        for config in (TaskConfig, algorithm.Config, RunConfig):
            make_config(config, {**fixed, **free})
    except ValueError as error:
        raise FileError(f"{folder / CONFIG}: {error}") from None
    except (KeyError, TypeError) as error:
        raise FileError(f"{folder / CONFIG}: not the {CONFIG} of a run ({error})") from None
    check_trust(folder, env_id, stored_kwargs, trust)
    if "env_id" in given:
        given = {**given, "env_id": envs.canonical_name(given["env_id"])}
    given = _as_declared(data["algo"], given)
    _refuse_changes(given, fixed, stored_kwargs, raisable_settings(algorithm.Config))
    _refuse_unknown(data["algo"], given)
    changed = {name: value for name, value in given.items() if not _is_same(name, value, fixed)}
    values = overridden({**fixed, **free}, changed)
    return _checked(
        TrainingConfig(
            env_id,
            stored_kwargs,
            data["algo"],
            preset,
            init_from=start,
            task=make_config(TaskConfig, values),
            algorithm=make_config(algorithm.Config, values),
            run=make_config(RunConfig, values),
            workers=make_config(WorkerConfig, values),
            folder=folder,
            commands=commands,
            signature=data.get("signature"),
            notes=_left_out(workers, given),
        )
    )


def _left_out(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """A line about the settings of workers that a folder names, if they are not given."""
    defaults = dataclasses.asdict(WorkerConfig())
    left_out = [
        f"`{name}` {in_words(stored[name])}"
        for name, default in defaults.items()
        if name not in given and name in stored and stored[name] != default
    ]
    them = ", ".join(left_out)
    return [f"the run was started with {them}: to use that again, give it again"] if them else []


def stored_algorithm(folder: Path) -> str:
    """The algorithm of a run folder; the default algorithm if it cannot be read."""
    try:
        algo = str(read_json(folder / CONFIG).get("algo"))
    except FileError:  # reported when the run is resolved
        return DEFAULT_ALGORITHM
    return algo if algo in ALGORITHMS else DEFAULT_ALGORITHM


def _refuse_changes(
    given: Mapping[str, Any],
    fixed: Mapping[str, Any],
    stored_kwargs: Mapping[str, Any],
    raisable: Collection[str],
) -> None:
    """Raises: UsageError for a setting that differs from a stored one that may not change.

    Those that are `raisable` may have a larger number.
    """
    for name, value in given.items():
        if name in fixed and not _is_same(name, value, fixed):
            if name in raisable and is_raised(value, fixed[name]):
                continue
            if name in raisable:
                raise UsageError(
                    f"`{name}` {in_words(value)}: the run was started with "
                    f"{in_words(fixed[name])}; on resume it may only be raised"
                )
            raise UsageError(
                f"`{name}` {in_words(value)}: the run was started with {in_words(fixed[name])}; on "
                "resume only flags of stopping, evaluation, saving, films, workers and the device "
                "may change"
            )
    for name, value in given_kwargs(given).items():
        if name in envs.OPTIONS and not (value or stored_kwargs.get(name)):
            continue  # none of them, as before
        if name not in stored_kwargs or stored_kwargs[name] != value:
            shown, stored = f"{name}={value}", f"`env_kwargs` {json.dumps(stored_kwargs)}"
            if name in envs.OPTIONS:
                shown = f"`{name}` {in_words(value)}"
                stored = in_words(stored_kwargs.get(name, ()))
            raise UsageError(f"{shown}: the run was started with {stored}")
    if "run_dir" in given:
        raise UsageError(f"`run_dir` {given['run_dir']}: has no meaning beside `resume`")


def _configs(algo: str) -> tuple[type[Any], ...]:
    return (ALGORITHMS[algo].Config, TaskConfig, RunConfig, WorkerConfig)


def _as_declared(algo: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings given, of their types, and names in the spelling of the registries.

    Raises: UsageError for a value of another type, and two that exclude each other.
    """
    for config in _configs(algo):
        given = as_declared(config, given)
    if all(given.get(grid) is not None for grid in EVALUATION_GRIDS):
        raise UsageError(
            f"`eval_timesteps` {given['eval_timesteps']}: has no meaning beside `eval_freq`"
        )
    known: dict[str, Collection[str]] = {"algo": ALGORITHMS, "init_from": [NO_PRESET]}
    known["preset"] = [*ALGORITHMS[algo].presets, NO_PRESET]
    declared = {
        name: as_spelled(value, known[name]) if name in known else value
        for name, value in given.items()
    }
    return declared | {n: None for n in ("preset", "init_from") if declared.get(n) == NO_PRESET}


def _refuse_unknown(algo: str, given: Mapping[str, Any]) -> None:
    """Raises: UsageError for a setting that a run of this algorithm does not have."""
    settings = [name for config in _configs(algo) for name in setting_names(config)]
    known = {name: name for name in (*OTHERS, "env_id", *settings)}
    for name in [name for name in given if name not in known]:
        elsewhere = settings_of_others(algo)
        if name in elsewhere:
            raise UsageError(f"`{name}`: {elsewhere[name]}{other_name(name, known)}")
        raise UsageError(f"`{name}`: there is no such setting{meant(name, known)}")


def refuse_unknown_in_file(named: str, algo: str, values: Mapping[str, Any]) -> None:
    """Refuse settings of a file, `named` in words, that a run of this algorithm does not have.

    Raises: UsageError.
    """
    try:
        _refuse_unknown(algo, values)
    except UsageError as error:
        raise UsageError(f"{named}: {error}") from None


def overridden(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`values` overridden by `given`; any stop in `given` replaces all stops in `values`.

    The same holds for settings that say when to evaluate.
    """
    for group in (STOPS, EVALUATION_GRIDS):
        if any(name in given for name in group):
            values = {name: value for name, value in values.items() if name not in group}
    return {**values, **given}


def _checked(config: TrainingConfig) -> TrainingConfig:
    """Return the configuration if its settings go together. Raises: UsageError."""
    workers, algo = config.workers, config.algo
    check_installed(workers.track)
    if workers.ray_address is not None and config.n_workers == 0:
        raise UsageError("`n_workers` 0: runs in this process, so `ray_address` has no meaning")
    algorithm = ALGORITHMS[algo].load()
    if algorithm.trains_in_pool or algorithm.learns_table:
        if workers.device == "cuda":
            raise UsageError(f"`device` cuda: {algo} learns without torch, on the CPU alone")
        if workers.env_processes:
            how = (
                "has one environment, in this process"
                if algorithm.learns_table
                else "plays its episodes in `n_workers`"
            )
            raise UsageError(f"`env_processes` {workers.env_processes}: {algo} {how}")
    if not algorithm.trains_in_pool and config.task.on_nonfinite == "exclude":
        raise UsageError(
            f"`on_nonfinite` exclude: {algo} cannot leave a step out; only stop has a meaning"
        )
    return config


def env_arguments(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `env_kwargs` among settings. Raises: UsageError if they are not arguments by name."""
    found = given.get("env_kwargs", {})
    if not isinstance(found, Mapping):
        raise UsageError(f"`env_kwargs` {in_words(found)}: must be arguments by name, as a dict")
    return found


def given_kwargs(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments given for `envs.make`, as they read back from JSON."""
    own = {name: given[name] for name in envs.OPTIONS if name in given}
    named = env_arguments(given)
    for name in own:
        if name in named:
            raise UsageError(f"`{name}`: is given twice, as `env_kwargs` {name}=... too")
    merged = {**named, **own}
    if clock.OPTION in merged:
        merged[clock.OPTION] = clock.frequencies_in(merged[clock.OPTION])
    try:
        text = json.dumps(merged, allow_nan=False, default=_python_number)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`env_kwargs`: must be what JSON can hold ({error})") from None
    kwargs: dict[str, Any] = json.loads(text)
    if wrapping.OPTION in kwargs:
        kwargs[wrapping.OPTION] = wrapping.names_in(kwargs[wrapping.OPTION])
        if not kwargs[wrapping.OPTION]:
            del kwargs[wrapping.OPTION]
    return kwargs


def _python_number(value: Any) -> Any:
    """A number of NumPy's as Python's. Raises: TypeError for anything else."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"not {value!r}")


def _is_same(name: str, value: Any, stored: Mapping[str, Any]) -> bool:
    return name in stored and bool(_comparable(name, value) == _comparable(name, stored[name]))


def _comparable(name: str, value: Any) -> Any:
    value = as_words(value) if isinstance(value, Mapping) else value
    if name == "reward_weights":  # in any order, and 0.0 is 0
        return parse_weights(value)
    return list(value) if isinstance(value, tuple) else value
