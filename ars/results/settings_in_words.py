"""What tells runs apart, in words: the settings in which their configurations differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import envs
from ars.algorithms import ALGORITHMS
from ars.results.stored_run import StoredRun
from ars.training.stored_settings import current_settings, without_idle_horizon
from envs.drawing.possible import registered_spec

Settings = Mapping[str, Any]

# How settings are put where their name and value alone would read badly.
_PHRASES = {
    "variant": "{}",
    "policy": "{} policy",
    "hidden_sizes": "hidden sizes {}",
    "n_top": "top {}",
    "preset": "preset {}",
    "init_from": "from {}",
    "rollout_length": "rollouts of {}",
    "eval_length": "evaluated over {} steps",
    "n_envs": "{} environments",
    "delta_std": "noise {}",
}
MOST_SAID = 3
_SHORT = 25  # letters
_SEEN_ALONE = ("clock=", "pixels=")  # arguments of the environment that change no return
_ORDER = ("preset", "init_from", "variant", "policy", "hidden_sizes")  # said first
_LENGTHS = ("rollout_length", "eval_length")


def settings_of(run: StoredRun) -> dict[str, Any]:
    """The settings of a run that decide its results, but for environment and seed, by name.

    When to stop, evaluate and save is none of them, nor are workers. A horizon counts only where
    something falls towards it.
    """
    config, stored = run.config, run.config["config"]
    settings = dict(stored)
    if run.algo in ALGORITHMS:
        kind = ALGORITHMS[run.algo].Config
        try:
            settings = current_settings(kind, stored)
        except ValueError:  # a retired setting was in use: it stays among them
            defaults = current_settings(kind, {})
            settings = {**defaults, **stored}
        settings = without_idle_horizon(kind, settings)
    kwargs = config.get("env_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    limit = None if "max_episode_steps" in kwargs else _time_limit(run.env_id)
    for name in _LENGTHS:  # earlier versions stored longer ones, which the environment cut
        if limit is not None and isinstance(length := settings.get(name), int):
            settings[name] = min(length, limit)
    return {
        "algo": run.algo,
        "init_from": config.get("init_from"),
        "on_nonfinite": config.get("on_nonfinite", "stop"),
        **{f"{name}=": value for name, value in kwargs.items()},
        **settings,
    }


def _time_limit(env_id: str) -> int | None:
    """The limit of an environment that is registered; nothing is imported for a stranger's."""
    ids = {row.name: row.id for row in envs.table()}
    spec = registered_spec(ids.get(env_id, env_id))
    return None if spec is None else spec.max_episode_steps


def key(values: object) -> str:
    """A text that is the same for equal settings alone."""
    return json.dumps(values, sort_keys=True, default=str)


class Label(NamedTuple):
    """How a group of runs is called, and all that it differs in, if the name says only part."""

    text: str
    in_full: str | None = None


def labels(groups: Sequence[Settings]) -> list[Label]:
    """Labels for groups of runs: the algorithm, and what each differs in from its others.

    Where groups were set different tasks, whose returns do not compare, all say theirs. Of more
    than `MOST_SAID` other differences a label has only as many as tell the groups apart.
    """
    found = []
    tasks = _of_the_task(groups)
    for ours in groups:
        rivals = [theirs for theirs in groups if theirs["algo"] == ours["algo"]]
        names = list(dict.fromkeys(name for theirs in rivals for name in theirs))
        names.sort(key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
        differ = [name for name in names if _kinds(rivals, [name]) > 1 and name not in tasks]
        said = differ if len(differ) <= MOST_SAID else _telling(rivals, differ, tasks)
        whole, part = (
            ", ".join(
                (
                    algorithm(ours["algo"]),
                    *(phrase(name, ours.get(name)) for name in tasks + chosen),
                )
            )
            for chosen in (differ, said)
        )
        found.append(Label(whole) if said == differ else Label(f"{part}, …", whole))
    return found


def _of_the_task(groups: Sequence[Settings]) -> list[str]:
    """What makes up a task, the environment's arguments and the length of evaluations, and is not
    the same in all groups."""
    names = dict.fromkeys(name for settings in groups for name in settings if name.endswith("="))
    found = [name for name in names if name not in _SEEN_ALONE and _kinds(groups, [name]) > 1]
    lengths = {settings.get("eval_length") for settings in groups}
    if None not in lengths and len(lengths) > 1:  # early versions had none
        found.append("eval_length")
    return found


def _kinds(groups: Sequence[Settings], names: Sequence[str]) -> int:
    """How many of the groups some settings tell apart."""
    return len({key([settings.get(name) for name in names]) for settings in groups})


def _telling(groups: Sequence[Settings], names: Sequence[str], said: Sequence[str]) -> list[str]:
    """Few settings that tell all groups apart, beside those that are said anyway.

    Of those that do it as well, the short and first.
    """

    def worth(name: str) -> tuple[int, bool]:
        longest = max(len(phrase(name, settings.get(name))) for settings in groups)
        return _kinds(groups, [*said, *chosen, name]), longest <= _SHORT

    chosen: list[str] = []
    while _kinds(groups, [*said, *chosen]) < len(groups):
        chosen.append(max(names, key=worth))
    return [name for name in names if name in chosen]


def algorithm(name: str) -> str:
    """An algorithm's name as papers write it: `ARS`, `PPO`, `actor-critic`."""
    return name if "-" in name else name.upper()


def phrase(name: str, value: Any) -> str:
    """A setting and its value: `step size 0.02`, `16 directions`, `no reward clip`."""
    text = _phrase(name, value)
    return text if text.isprintable() else ascii(text)[1:-1]


def _phrase(name: str, value: Any) -> str:
    if name.endswith("="):  # an argument of the environment
        return f"default {name[:-1]}" if value is None else f"{name}{value}"
    words = name.removeprefix("n_").replace("_", " ").replace("normalize ", "normalized ")
    if value is None or value is False or value in ([], "none"):
        return f"no {words}"
    if value is True:
        return words
    shown = _shown(value)
    if name in _PHRASES:
        return _PHRASES[name].format(shown)
    return f"{shown} {words}" if name.startswith("n_") else f"{words} {shown}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    if type(value) is float:
        short = f"{value:g}"
        return short if float(short) == value else repr(value)  # which no other number shares
    return f"{value:,}" if type(value) is int else str(value)
