"""What the settings of a stored run mean to the current code.

A setting that was added after a run was stored takes its default value there, so a default has to
do what the code did before the setting existed. A setting that was removed since is listed in
`retired` of the algorithm's Config, with the value at which it had no effect.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

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


def check_identity(stored: Mapping[str, Any], ours: Mapping[str, Any], config: type[Any]) -> None:
    """Check that a checkpoint and config.json are of the same run.

    Args:
        stored: the checkpoint's `TrainingConfig.identity`.
        ours: that of the resumed run.
        config: Config of the algorithm.

    Raises:
        ValueError: they differ, or a retired setting was in use.
    """
    theirs = current_settings(config, stored)
    for name in {**theirs, **ours}:
        if theirs.get(name) != ours.get(name):
            raise ValueError(f"its {name} is {theirs.get(name)}, that of {CONFIG} {ours.get(name)}")
