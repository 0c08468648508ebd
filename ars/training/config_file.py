"""Settings from a file: those of a run, to train it again, or one's own in TOML or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.distributed.versions import cpu, libc, versions
from ars.training.config import EVALUATION_GRIDS
from ars.training.resolve import overridden
from ars.training.run_folder import CONFIG
from ars.training.settings_file import read_settings
from ars.training.shared_run import unpacked
from ars.training.stored_settings import current_settings
from ars.training.trust import check_trust
from policies import FileError

_OF_A_RUN = ("env_id", "algo", "config", "run")  # what the config.json of every run has


class FileSettings(NamedTuple):
    """What a file says.

    Attributes:
        given: settings by name; `env_id` among them where the file names an environment.
        notes: lines for the user: what is not as it was for the run.
    """

    given: dict[str, Any]
    notes: list[str]


def settings_in(path: str | Path, trust: bool = False) -> FileSettings:
    """Read settings from a file.

    Args:
        path: a run folder, its config.json or a shared run; else a TOML, YAML or JSON file of
            settings by name (`env`, `algo`, `step_size` ...), with or without underscores.
        trust: use an environment in a module that a run from elsewhere names.

    Raises:
        UsageError: there is no such file, or a module would have to be imported.
        FileError: it cannot be read, or holds something else.
    """
    path = unpacked(str(path))
    file = Path(path) / CONFIG if Path(path).is_dir() else Path(path)
    if not file.exists():
        raise UsageError(f"`config` {path}: no such file, and no run folder")
    data = read_settings(file)
    if all(name in data for name in _OF_A_RUN):
        return _of_run(file, data, trust)
    given = {name.replace("-", "_"): value for name, value in data.items()}
    if "env" in given:
        given["env_id"] = given.pop("env")
    if not isinstance(env_id := given.get("env_id", ""), str):
        raise FileError(f"{file}: env must be a name, not {env_id!r}")
    return FileSettings(given, [])


def with_file(settings: FileSettings, given: Mapping[str, Any]) -> dict[str, Any]:
    """A file's settings, overridden by those given beside it."""
    other = given.get("env_id", settings.given.get("env_id")) != settings.given.get("env_id")
    left_out = {"env_kwargs"} if other else set()
    kept = {name: value for name, value in settings.given.items() if name not in left_out}
    if "env_kwargs" in kept and "env_kwargs" in given:
        given = {**given, "env_kwargs": {**kept["env_kwargs"], **given["env_kwargs"]}}
    return overridden(kept, given)


def _of_run(file: Path, data: dict[str, Any], trust: bool) -> FileSettings:
    """The settings of a run, of which the preset's name alone is no setting."""
    try:
        algo, env_id, env_kwargs = data["algo"], data["env_id"], data["env_kwargs"]
        algorithm = ALGORITHMS[algo]
        given = {
            **current_settings(algorithm.Config, data["config"]),
            **data["run"],
            **{name: data[name] for name in ("seed", "on_nonfinite")},
        }
        given |= {"algo": algo, "env_id": env_id, "env_kwargs": dict(env_kwargs)}
        if data["init_from"] is not None:
            given["init_from"] = data["init_from"]
        preset, grids = data["preset"], [given.get(name) for name in EVALUATION_GRIDS]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{file}: not the {CONFIG} of a run ({error})") from None
    check_trust(file.parent, env_id, env_kwargs, trust)
    if None not in grids:  # the second takes the place of the first
        del given[EVALUATION_GRIDS[0]]
    notes = _differences(data)
    if preset in algorithm.presets:
        given["preset"] = preset
    elif preset is not None:
        given["preset"] = None
        if not Path(preset).suffix:  # a file may be anywhere
            notes.append(f"`preset` {preset} is no longer there; its values are those of the run")
    return FileSettings(given, notes)


def _differences(data: Mapping[str, Any]) -> list[str]:
    """A line on what the run was made with and is not here; its results may differ in it."""
    made, here = data.get("versions"), versions()
    place = data.get("platform")
    made, place = (d if isinstance(d, dict) else {} for d in (made, place))
    found = [
        f"{name} {made.get(name, 'none')} then, {here.get(name, 'none')} now"
        for name in sorted({**made, **here})
        if made.get(name) != here.get(name)
    ]
    found += [
        f"{then} then, {now} now"
        for then, now in ((place.get("cpu"), cpu()), (place.get("libc"), libc()))
        if then != now
    ]
    if not found:
        return []
    return [f"the run may not come out the same to the last bit: {'; '.join(found)}"]
