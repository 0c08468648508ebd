"""Files of settings by name, in TOML, YAML or JSON; a preset may be one of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ars.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from ars.common.errors import UsageError, short_message
from ars.common.settings import as_spelled, setting_names
from ars.training.config import WorkerConfig
from ars.training.run_folder import LARGEST_JSON
from policies import FileError
from policies.file import read_plain

NO_PRESET = "none"  # the word for the defaults, where there is a preset of the environment's name
LARGEST = 2**18  # bytes of one's own file
_YAML = (".yaml", ".yml")
_ENDINGS = (*_YAML, ".toml", ".json")
# Of a run, but of no preset: a file from elsewhere must not run code, or send a cluster's token.
_NOT_IN_PRESETS = (
    *("env", "env_id", "preset", "config", "resume", "run_dir", "init_from", "wrappers"),
    *setting_names(WorkerConfig),
)


def read_settings(file: Path) -> dict[str, Any]:
    """What a file of settings holds. Raises: FileError."""
    suffix = file.suffix.lower()
    if suffix not in _ENDINGS:
        raise FileError(f"{file}: must end in {' or '.join(_ENDINGS)}")
    text = read_plain(file, LARGEST if suffix in (".toml", *_YAML) else LARGEST_JSON)
    try:
        data = _parsed(text.decode("utf-8-sig"), suffix)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{file}: cannot be read ({short_message(error)})") from None
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise FileError(f"{file}: must hold settings by name")
    return data


def _parsed(text: str, suffix: str) -> Any:
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix in _YAML:
        from ars.training import yaml_settings

        return yaml_settings.parsed(text)
    return json.loads(text)


class PresetFile(NamedTuple):
    """A preset in a file, such as `ars tune` writes.

    Attributes:
        algo: the algorithm that it is for; None if it does not say.
        values: its settings.
    """

    algo: str | None
    values: dict[str, Any]


def preset_file(preset: object) -> PresetFile | None:
    """The file that `preset` names; None where it names none, or is a preset's own name.

    Raises:
        UsageError: there is no such file.
        FileError: it cannot be read, or is no preset.
    """
    names = {NO_PRESET, *(name for entry in ALGORITHMS.values() for name in entry.presets)}
    if not isinstance(preset, str | Path) or preset in names:
        return None
    path = Path(preset)
    if path.suffix.lower() not in _ENDINGS and not path.is_file():
        return None
    if not path.exists():
        raise UsageError(f"`preset` {preset}: no such file")
    read = {name.replace("-", "_"): value for name, value in read_settings(path).items()}
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in read.items()}
    env_kwargs = values.get("env_kwargs", {})
    if not isinstance(env_kwargs, dict):
        raise FileError(f"{path}: env_kwargs must be arguments by name")
    for name in (*values, *env_kwargs):
        if name in _NOT_IN_PRESETS:
            raise FileError(f"{path}: {name} has no place in a preset; give it beside the file")
    algo = as_spelled(values.pop("algo", None), ALGORITHMS)
    if algo is not None and not (isinstance(algo, str) and algo in ALGORITHMS):
        raise FileError(f"{path}: algo {algo}: must be one of {', '.join(ALGORITHMS)}")
    return PresetFile(algo, values)


def known_presets(algo: str, preset: object) -> Mapping[str, Mapping[str, Any]]:
    """The presets of an algorithm by name, that of a file among them where `preset` names one.

    Raises:
        UsageError, FileError: as for `preset_file`; also where it is for another algorithm.
    """
    presets, file = ALGORITHMS[algo].presets, preset_file(preset)
    if file is None:
        return presets
    if file.algo not in (None, algo):
        raise UsageError(f"`preset` {preset}: is for `algo` {file.algo}; this run's is {algo}")
    return {**presets, str(preset): file.values}


def preset_algorithm(preset: object) -> str:
    """The algorithm of a run that names a preset and none: a file's, or else the default one."""
    file = preset_file(preset)
    return DEFAULT_ALGORITHM if file is None or file.algo is None else file.algo
