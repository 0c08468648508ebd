"""What the settings of a stored run mean to the current code.

A setting that was added after a run was stored takes its default value there, so a default has to
do what the code did before the setting existed. A setting that was removed since is listed in
`retired` of the algorithm's Config, with the value at which it had no effect.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ars.common.errors import UsageError
from ars.common.settings import in_words, setting_names
from ars.training.config import DEFAULT_TIMESTEPS
from ars.training.run_folder import CONFIG


def current_settings(config: type[Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a Config, as JSON, for a run that stored `stored`.

    Names that are not settings of the Config, and never were, are kept.

    Raises:
        ValueError: a retired setting was in use.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    settings = {**json.loads(json.dumps(defaults)), **stored}
    for name, off in getattr(config, "retired", {}).items():
        if name in settings and settings.pop(name) != off:
            raise ValueError(
                f"its setting {name} {stored[name]} is no longer there; only {off} can go on"
            )
    return settings


def raisable_settings(config: type[Any]) -> list[str]:
    """The settings that begin as another one's value and may be raised on resume: horizons."""
    fields = dataclasses.fields(config)
    return [field.name for field in fields if field.metadata["starts_as"] is not None]


def without_idle_horizon(config: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings but for a horizon towards which nothing falls, which decides nothing."""
    falls = settings.get("prioritized") or any(
        value == "linear" for name, value in settings.items() if name.endswith("_schedule")
    )
    idle = () if falls else raisable_settings(config)
    return {name: value for name, value in settings.items() if name not in idle}


def refuse_idle(config: Any, given: Mapping[str, Any]) -> None:
    """Refuse settings that decide nothing, unless all are given: as those of a run are.

    Its horizon may be left out. Raises: UsageError.
    """
    raisable = raisable_settings(type(config))
    if given.keys() >= set(setting_names(type(config))) - set(raisable):
        return
    for name, why in getattr(config, "idle", {}).items():
        if name in given and getattr(config, name) != getattr(type(config), name):
            raise UsageError(f"`{name}` {in_words(given[name])}: has no meaning {why}")
    used = without_idle_horizon(type(config), dataclasses.asdict(config))
    for name in [name for name in given if name in raisable and name not in used]:
        episodes = "; `rollout_length` cuts episodes" if hasattr(config, "rollout_length") else ""
        raise UsageError(
            f"`{name}` {given[name]}: has no meaning where no schedule is linear{episodes}"
        )


def kept_from_start(
    config: type[Any],
    planned: Mapping[str, Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The settings that take another one's value at the start and keep it on resume.

    A schedule's horizon, for example, is the timesteps planned now, even if the run is extended.
    """
    given = {name: value for name, value in planned.items() if value is not None}
    values = {"total_timesteps": DEFAULT_TIMESTEPS, **defaults, **given}
    return {
        field.name: values[field.metadata["starts_as"]]
        for field in dataclasses.fields(config)
        if field.metadata["starts_as"] is not None
    }


def is_raised(value: Any, stored: Any) -> bool:
    """Whether a number is larger than a stored one; no number at all never is."""
    numbers = isinstance(value, int | float) and isinstance(stored, int | float)
    return numbers and value > stored


def check_identity(stored: Mapping[str, Any], ours: Mapping[str, Any], config: type[Any]) -> None:
    """Check that a checkpoint and config.json are of the same run.

    Args:
        stored: the checkpoint's `TrainingConfig.identity`.
        ours: that of the resumed run.
        config: Config of the algorithm.

    Raises:
        ValueError: they differ, or a retired setting was in use. A setting may have been raised
            since, where that is allowed.
    """
    theirs, raisable = current_settings(config, stored), raisable_settings(config)
    for name in {**theirs, **ours}:
        if name in raisable and is_raised(ours.get(name), theirs.get(name)):
            continue
        if theirs.get(name) != ours.get(name):
            raise ValueError(f"its {name} is {theirs.get(name)}, that of {CONFIG} {ours.get(name)}")
