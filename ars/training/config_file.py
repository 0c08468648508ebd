"""Settings from a file: those of a run, to train it again, or one's own in TOML or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import envs
from ars.algorithms import ALGORITHMS
from ars.common.errors import UsageError
from ars.common.settings import as_spelled, in_words, setting_names
from ars.distributed.versions import cpu, libc, versions
from ars.training.config import EVALUATION_GRIDS
from ars.training.experiment import SeedsConfig
from ars.training.given_env import is_given
from ars.training.resolve import env_arguments, overridden, refuse_unknown_in_file
from ars.training.run_folder import CONFIG, one_of_those_in
from ars.training.settings_file import NO_PRESET, preset_algorithm, read_settings
from ars.training.shared_run import unpacked
from ars.training.stored_settings import current_settings, kept_from_start
from ars.training.trust import NotTrusted, check_trust, foreign_modules, would_run
from policies import FileError
from policies.state import State

_OF_A_RUN = ("env_id", "algo", "config", "run")  # what the config.json of every run has


class FileSettings(NamedTuple):
    """What a file says; nothing that it names has been imported.

    Attributes:
        given: settings by name; `env_id` among them where the file names an environment.
        notes: lines for the user: what is not as it was for the run.
        file: the file; None for no file.
        of_a_run: whether it is the config.json of a run.
    """

    given: dict[str, Any]
    notes: list[str]
    file: Path | None = None
    of_a_run: bool = False


NO_FILE = FileSettings({}, [])


def settings_in(path: str | Path) -> FileSettings:
    """Read settings from a file.

    Args:
        path: a run folder, its config.json or a shared run; else a TOML, YAML or JSON file of
            settings by name (`env`, `algo`, `step_size` ...), with or without underscores.

    Raises:
        UsageError: there is no such file.
        FileError: it cannot be read, or holds something else.
    """
    path = unpacked(str(path))
    file = Path(path) / CONFIG if Path(path).is_dir() else Path(path)
    if not file.exists():
        if Path(path).is_dir():
            raise UsageError(f"`config` {path}: not a run folder{one_of_those_in(Path(path))}")
        raise UsageError(f"`config` {path}: no such file, and no run folder")
    data = read_settings(file)
    if all(name in data for name in _OF_A_RUN):
        return _of_run(file, data)
    given = {name.replace("-", "_"): value for name, value in data.items()}
    if "env" in given:
        given["env_id"] = given.pop("env")
    for name, kind, what in (("env_id", str, "a name"), ("env_kwargs", dict, "arguments by name")):
        if not isinstance(found := given.get(name, kind()), kind):
            shown = "env" if name == "env_id" else name
            raise FileError(f"{file}: {shown} must be {what}, not {in_words(found)}")
    if "resume" in given:
        raise UsageError(f"{file}: `resume` is given beside a file, not in it")
    return FileSettings(given, [], file)


def with_file(
    settings: FileSettings, given: Mapping[str, Any], trust: bool = False
) -> dict[str, Any]:
    """A file's settings, overridden by those given beside it.

    Args:
        settings: those of the file.
        given: those beside it; its `env_id` may also be an environment from Python.
        trust: believe the file where it names a module or an address.

    Raises:
        UsageError: the file, and not the user, names a module that would be imported, or where a
            cluster's token would be sent; it names a setting that there is none of; or it is of a
            run, and a preset is given.
    """
    kept = dict(settings.given)
    if settings.of_a_run:
        preset = given.get("preset")
        known = (NO_PRESET, str(kept["preset"]).lower())
        if preset is not None and str(preset).lower() not in known:
            raise UsageError(
                f"`preset` {preset}: has no meaning beside `config` {settings.file}, a run, which "
                "has every setting"
            )
        # A horizon at its end is at the end of this one.
        ends = kept_from_start(ALGORITHMS[kept["algo"]].Config, kept)
        kept = {name: kept[name] for name in kept if name not in ends or kept[name] != ends[name]}
    named = "env_id" in given and "env_id" in kept
    if named and not _is_same(given["env_id"], kept["env_id"]):
        kept.pop("env_kwargs", None)
    if settings.file is not None and not trust:
        _check_origin(settings.file, settings.of_a_run, kept, given)
    stored, own = kept.pop("env_kwargs", {}), env_arguments(given)
    # An option of `envs.make` has two spellings: given in one, it replaces the file's in the other.
    kept = {name: kept[name] for name in kept if not (name in envs.OPTIONS and name in own)}
    stored = {name: stored[name] for name in stored if not (name in envs.OPTIONS and name in given)}
    kwargs = {**stored, **own}
    values = overridden(kept, {**given, "env_kwargs": kwargs} if kwargs else given)
    if settings.file is not None and not settings.of_a_run:
        _check_names(settings.file, kept, values)
    return values


def _is_same(env: Any, stored: str) -> bool:
    """Whether what is given is a file's environment; the file's module is not imported for it."""
    if not isinstance(env, str):  # from Python, as that of the file may have been
        return is_given(stored)
    if env == stored:
        return True
    try:
        return envs.canonical_name(env) == (
            stored if ":" in stored else envs.canonical_name(stored)
        )
    except envs.UnknownEnvironment:  # which is said where it is made
        return False


def _check_names(file: Path, kept: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raises: UsageError for a setting of a file that the run of these values does not have."""
    algo = values["algo"] if "algo" in values else preset_algorithm(values.get("preset"))
    algo = as_spelled(algo, ALGORITHMS)
    if isinstance(algo, str) and algo in ALGORITHMS:  # else it is this that is wrong
        of_seeds = setting_names(SeedsConfig)
        names = {name: kept[name] for name in kept if name not in of_seeds}
        refuse_unknown_in_file(f"`config` {file}", algo, names)


def _check_origin(
    file: Path, of_a_run: bool, kept: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """What a file may not decide, as it may have come from elsewhere. Raises: UsageError."""
    env_id, address = kept.get("env_id", ""), kept.get("ray_address")
    named = ("env_kwargs", "wrappers") if "wrappers" not in given else ()
    arguments = {name: kept[name] for name in named if name in kept}
    modules = foreign_modules("" if "env_id" in given else env_id, arguments)
    if of_a_run and modules and "wrappers" not in kept:
        check_trust(file.parent, env_id, kept["env_kwargs"], trust=False)
    elif modules:
        raise NotTrusted(
            f"{file}: {would_run(env_id, modules)}; "
            "name it yourself beside the file, or add `trust` if you trust them"
        )
    if address is not None and "ray_address" not in given:
        raise UsageError(
            f"{file}: its `ray_address` {in_words(address)} would be sent your cluster's token; "
            "give `ray_address` beside the file, or add `trust`"
        )


def _of_run(file: Path, data: dict[str, Any]) -> FileSettings:
    """The settings of a run, of which the preset's name alone is no setting."""
    try:
        stored, algo = State(values=data), data["algo"]
        algorithm = ALGORITHMS[algo]
        given = {
            **current_settings(algorithm.Config, data["config"]),
            **data["run"],
            **{name: data[name] for name in ("seed", "on_nonfinite")},
        }
        given |= {"algo": algo, "env_id": stored.text("env_id")}
        given["env_kwargs"] = stored.value("env_kwargs", dict)
        start = data["init_from"]  # none, also where a preset has one now
        given["init_from"] = NO_PRESET if start is None else stored.text("init_from")
        preset = None if data["preset"] is None else stored.text("preset")
        grids = [given.get(name) for name in EVALUATION_GRIDS]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{file}: not the {CONFIG} of a run ({error})") from None
    if None not in grids:  # the second takes the place of the first
        del given[EVALUATION_GRIDS[0]]
    notes = _differences(data)
    given["preset"] = preset if preset in algorithm.presets else None
    if given["preset"] != preset and not Path(preset or "").suffix:  # a file may be anywhere
        notes.append(f"`preset` {preset} is no longer there; its values are those of the run")
    return FileSettings(given, notes, file, of_a_run=True)


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
