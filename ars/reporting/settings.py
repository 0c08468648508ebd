"""The settings of a run as its files have them, and where each value comes from."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ars.algorithms import ALGORITHMS
from ars.common.settings import in_words
from ars.reporting.parts import SettingRow
from ars.results.stored_run import StoredRun
from ars.training.config import RunConfig, TaskConfig, WorkerConfig
from ars.training.stored_settings import current_settings

# Settings that an environment gives where the user does not.
_OF_ENVIRONMENT = ("rollout_length", "eval_length")


def setting_rows(run: StoredRun) -> list[SettingRow]:
    """All settings of a run, those that its files do not name at their defaults."""
    config = run.config
    stored = {**{name: config[name] for name in ("seed", "on_nonfinite") if name in config}}
    kwargs = _object(config, "env_kwargs")
    rows = [
        _row(run, f"env_kwargs: {name}", value, None, "an argument of the environment", "")
        for name, value in kwargs.items()
    ]
    parts: list[tuple[type[Any], Mapping[str, Any]]] = [(TaskConfig, stored)]
    if run.algo in ALGORITHMS:
        kind = ALGORITHMS[run.algo].Config
        settings = dict(config["config"])
        with suppress(ValueError):  # a retired setting was in use: it is shown as it is
            settings = current_settings(kind, settings)
        parts.append((kind, settings))
    parts += [(RunConfig, _object(config, "run")), (WorkerConfig, _object(config, "workers"))]
    for kind, found in parts:
        rows += _rows(run, kind, found)
    return rows


def _rows(run: StoredRun, kind: type[Any], found: Mapping[str, Any]) -> Iterator[SettingRow]:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, field in fields.items():
        value = found.get(name, field.default)
        starts_as = field.metadata["starts_as"] or ""
        yield _row(run, name, value, field.default, field.metadata["help"], starts_as)
    for name, value in found.items():
        if name not in fields:
            yield _row(run, name, value, None, "", "")


def _row(
    run: StoredRun, name: str, value: Any, default: Any, help: str, starts_as: str
) -> SettingRow:
    default = json.loads(json.dumps(default))
    differs = value != default
    origin = _origin(run, name, value, starts_as) if differs else "default"
    return SettingRow(name, _shown(name, value), _shown(name, default), origin, help, differs)


def _origin(run: StoredRun, name: str, value: Any, starts_as: str) -> str:
    """Where a value that is not the default comes from, as far as the run's files tell."""
    commands = run.config.get("commands")
    said = " ".join(c for c in commands if isinstance(c, str)) if isinstance(commands, list) else ""
    bare = name.removeprefix("env_kwargs: ")
    words = "wrappers?" if bare == "wrappers" else re.escape(bare).replace("_", "[-_]")
    if re.search(rf"(--(no-)?{words}(?![-\w])|\b{re.escape(bare)}=)", said):
        return "given"
    preset = run.config.get("preset")
    if run.algo in ALGORITHMS and isinstance(preset, str):
        values = ALGORITHMS[run.algo].presets.get(preset, {})
        values = values.get("env_kwargs", {}) if bare != name else values
        if bare in values and json.loads(json.dumps(values[bare])) == value:
            return f"preset {preset}"
    if bare in _OF_ENVIRONMENT:
        return "the environment"
    if re.search(r"(--config\b|\bconfig=)", said):
        return "a file"
    return f"as {starts_as}" if starts_as else "not recorded"


def _object(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _shown(name: str, value: Any) -> str:
    if value in (None, [], ()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name != "seed":
        return f"{value:,}"
    return json.dumps(value) if isinstance(value, dict) else in_words(value)
