"""From a command line, or a run folder to resume, to one `TrainingConfig`."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import envs
from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.common.settings import make_config, near
from ars.training.config import (
    DEFAULT_TIMESTEPS,
    STOPS,
    RunConfig,
    TaskConfig,
    TrainingConfig,
    WorkerConfig,
    parse_duration,
)
from ars.training.run_folder import CONFIG, read_json
from ars.training.stored_settings import current_settings
from policies import FileError


def resolve_new(env_id: str, given: Mapping[str, Any]) -> TrainingConfig:
    """The plan of a new run. Raises: UsageError, envs.UnknownEnvironment."""
    envs.resolve(env_id)
    algo = given.get("algo", "ars")
    presets = ALGORITHMS[algo].presets
    short = {row.id: row.name for row in envs.table()}.get(env_id, env_id)
    preset = given.get("preset", short if short in presets else None)
    if preset is not None and preset not in presets:
        raise UsageError(
            f"`preset` {preset}: unknown"
            + (near(preset, presets) or f"; known are {', '.join(presets)}")
        )
    values = dict(presets[preset]) if preset is not None else {"total_timesteps": DEFAULT_TIMESTEPS}
    # n_top belongs to n_directions: a preset's does not bind another number or variant.
    if {"n_directions", "variant"} & given.keys():
        values.pop("n_top", None)
    if "rollout_length" in given:  # likewise
        values.pop("eval_length", None)
    if given.get("policy", "cnn") != "cnn":
        values.pop("conv_layers", None)
    # A schedule runs over the timesteps planned now, whatever a resumed run goes on to.
    planned = given.get("total_timesteps", values.get("total_timesteps", DEFAULT_TIMESTEPS))
    chosen = {name: value for name, value in given.items() if name != "env_kwargs"}
    values = {"horizon": planned, **_overridden(values, chosen)}
    env_kwargs = _given_kwargs(given)
    of_preset: Any = values.get("env_kwargs", {})
    # A preset's options belong to its own view of a game.
    if env_kwargs.get("pixels", of_preset.get("pixels")) == of_preset.get("pixels"):
        env_kwargs = {**of_preset, **env_kwargs}
    plan = TrainingConfig(
        env_id,
        env_kwargs,
        algo,
        preset,
        given.get("init_from"),
        make_config(TaskConfig, values),
        make_config(ALGORITHMS[algo].Config, values),
        make_config(RunConfig, values),
        make_config(WorkerConfig, values),
        commands=[command_line()],
    )
    return _checked(plan)


def resolve_resumed(folder: Path, given: Mapping[str, Any]) -> TrainingConfig:
    """The stored plan of a run, with what may change on resume changed.

    Raises: UsageError naming a flag that may not; FileError where config.json is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise UsageError(f"`resume` {folder}: not a run folder (no {CONFIG} in it)")
    data = read_json(folder / CONFIG)
    try:
        if data["algo"] not in ALGORITHMS:
            raise TypeError(f"algo is {data['algo']!r}")
        algorithm = ALGORITHMS[data["algo"]]
        fixed = current_settings(algorithm.Config, data["config"])
        fixed |= {name: data[name] for name in ("algo", "preset")}
        fixed |= {name: data[name] for name in ("seed", "on_nonfinite", "env_id", "init_from")}
        free = {**data["run"], **data["workers"]}
        stored_kwargs = data["env_kwargs"]
        commands = [*data["commands"], command_line()]
        if not isinstance(stored_kwargs, dict):
            raise TypeError("env_kwargs is no object")
    except ValueError as error:
        raise FileError(f"{folder / CONFIG}: {error}") from None
    except (KeyError, TypeError) as error:
        raise FileError(f"{folder / CONFIG}: not the {CONFIG} of a run ({error})") from None
    for name, value in given.items():
        if name in fixed and _comparable(value) != _comparable(fixed[name]):
            raise UsageError(
                f"`{name}` {_shown(value)}: the run was started with {_shown(fixed[name])}; on "
                "resume only stopping, saving, worker and device flags, `eval_freq` and "
                "`eval_episodes` may change"
            )
    for name, value in _given_kwargs(given).items():
        if name not in stored_kwargs or stored_kwargs[name] != value:
            raise UsageError(
                f"{name}={value}: the run was started with `env_kwargs` {json.dumps(stored_kwargs)}"
            )
    if "run_dir" in given:
        raise UsageError(f"`run_dir` {given['run_dir']}: has no meaning beside `resume`")
    values = _overridden({**fixed, **free}, given)
    plan = TrainingConfig(
        data["env_id"],
        stored_kwargs,
        data["algo"],
        data["preset"],
        data["init_from"],
        make_config(TaskConfig, values),
        make_config(algorithm.Config, values),
        make_config(RunConfig, values),
        make_config(WorkerConfig, values),
        folder,
        commands,
    )
    return _checked(plan)


def stored_algorithm(folder: Path) -> str:
    """The algorithm of a run folder; that of a run without `algo` where it cannot be told."""
    try:
        algo = read_json(folder / CONFIG).get("algo")
    except FileError:  # told when the plan is made
        return "ars"
    return algo if algo in ALGORITHMS else "ars"


def _overridden(values: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` over `values`; any stop given replaces every stop that was there."""
    if any(name in given for name in STOPS):
        values = {name: value for name, value in values.items() if name not in STOPS}
    return {**values, **given}


def _checked(plan: TrainingConfig) -> TrainingConfig:
    text = plan.workers.n_workers
    if text != "auto" and not re.fullmatch(r"\d{1,6}", text):
        raise UsageError(f"`n_workers` {text}: must be auto or a whole number of at least 0")
    if plan.workers.ray_address is not None and plan.n_workers == 0:
        raise UsageError("`n_workers` 0: runs in this process, so `ray_address` has no meaning")
    if plan.run.time_budget is not None:
        parse_duration(plan.run.time_budget)
    if ALGORITHMS[plan.algo].trains_in_pool:
        if plan.workers.device == "cuda":
            raise UsageError(f"`device` cuda: {plan.algo} learns without torch, on the CPU alone")
        if plan.workers.env_processes:
            raise UsageError(
                f"`env_processes` {plan.workers.env_processes}: {plan.algo} plays its episodes in "
                "`n_workers`"
            )
    elif plan.task.on_nonfinite == "exclude":
        raise UsageError(
            f"`on_nonfinite` exclude: {plan.algo} cannot leave a step out; only stop has a meaning"
        )
    return plan


def _given_kwargs(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `env_kwargs` and `pixels` say."""
    pixels = {name: given[name] for name in ("pixels",) if name in given}
    return {**_env_kwargs(given.get("env_kwargs", [])), **pixels}


def _env_kwargs(pairs: list[str]) -> dict[str, Any]:
    """`k=v` words; each value is read as JSON where it is JSON, and is a string otherwise."""
    kwargs = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"`env_kwargs` {pair}: must be name=value")
        try:
            kwargs[name] = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError:
            kwargs[name] = text
    return kwargs


def _refuse_constant(text: str) -> None:
    raise UsageError(f"`env_kwargs`: {text} is no number that JSON can hold")


def _comparable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text or "none"


def command_line() -> str:
    """This process's command, as a shell would take it."""
    program = Path(sys.argv[0])
    name = f"python -m ars.{program.stem}" if program.parent.name == "ars" else program.name
    return shlex.join([*name.split(), *sys.argv[1:]])
