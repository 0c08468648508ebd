"""What a group of runs was and what came of it, in words and numbers, from their files alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ars.algorithms import ALGORITHMS
from ars.common.settings import counted
from ars.common.words import digits, duration, rounded
from ars.reporting.parts import Table, Tile
from ars.results.curves import Group
from ars.results.in_words import shares, standing, travelled
from ars.results.settings_in_words import algorithm
from ars.results.stored_run import Notify, StoredRun, read_log
from ars.training.run_folder import EVALUATIONS, PROGRESS, RESULT, read_json

MOST_ROWS = 200  # of a table of evaluations

_HARDLY = 1.0  # metres
_LARGE = 1e300

Numbers = Mapping[str, float]
_HEADS = {
    "timesteps": "timesteps",
    "return_mean": "return",
    "return_std": "±",
    "return_min": "worst",
    "return_max": "best",
    "length_mean": "steps",
    "flags_mean": "flags",
    "metres_mean": "metres",
    "metres_per_second": "m/s",
}


class Ending(NamedTuple):
    """How a run stands.

    Attributes:
        run: the run.
        final: the numbers of its final evaluation; None where it has not ended.
        result: the other numbers of its result; empty where it has not ended.
        stopped: why it ended.
        rows: its evaluations so far: numbers by column.
        steps: its timesteps so far.
    """

    run: StoredRun
    final: Numbers | None
    result: Numbers
    stopped: str
    rows: list[dict[str, float]]
    steps: int

    @property
    def best(self) -> float:
        """The best scheduled evaluation; minus infinity for none."""
        return max((row["return_mean"] for row in self.rows), default=-math.inf)

    @property
    def score(self) -> float:
        """The final evaluation, or else the best scheduled one."""
        return self.best if self.final is None else self.final["return_mean"]


def ending(run: StoredRun, notify: Notify) -> Ending:
    """How a run stands. Raises: FileError."""
    rows = _rows(run, EVALUATIONS, notify)
    if run.final_return is None:
        progress = _rows(run, PROGRESS, notify)
        last = [int(_numbers(found[-1]).get("timesteps", 0)) for found in (progress, rows) if found]
        return Ending(run, None, {}, "", rows, max(last, default=0))
    result = read_json(run.folder / RESULT)
    # What is missing, in a run that others have edited, is said nothing of.
    known = {"length_mean": math.nan, "return_mean": run.final_return}
    final = {**known, **_numbers(result["final_evaluation"])}
    stopped = str(result.get("stopped", ""))
    return Ending(run, final, _numbers(result), stopped, rows, run.timesteps or 0)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among values read from a file."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and abs(value) < _LARGE  # which NaN is not
    }


def _rows(run: StoredRun, name: str, notify: Notify) -> list[dict[str, float]]:
    table = read_log(run.folder / name, notify)
    found = []
    for cells in zip(*table.values(), strict=True):
        row = {name: _number(cell) for name, cell in zip(table, cells, strict=True)}
        found.append(row)
    return [row for row in found if "return_mean" in row and "timesteps" in row]


def _number(text: str) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def sentences(group: Group, endings: Sequence[Ending]) -> list[str]:
    """What was trained, how far it is, and whether the robot runs."""
    first = group.runs[0]
    known = ALGORITHMS.get(first.algo)
    name = algorithm(first.algo)
    full = f"{name} ({known.description})" if known is not None else name
    seeds = [str(run.seed) for run in group.runs]
    trained = f"{group.env_id} was trained by {full}, with "
    trained += f"seed {seeds[0]}." if len(seeds) == 1 else f"seeds {', '.join(seeds)}."
    found = [trained]
    start = first.config.get("init_from")
    if isinstance(start, str):
        found.append(f"It went on from {start}.")
    open_ended = [one for one in endings if one.final is None]
    for one in open_ended:
        which = "The run" if len(endings) == 1 else f"Seed {one.run.seed}"
        so_far = (
            f"after {counted(one.steps, 'timestep')}" if one.steps else "in its first iteration"
        )
        best = f"; its best evaluation so far is {digits(one.best)}" if one.rows else ""
        found.append(f"{which} has not ended: it is {so_far}{best}.")
    finals = [one.final for one in endings if one.final is not None]
    weighed = bool(first.config["config"].get("reward_weights"))
    return found + (_robot(finals, weighed) if finals else [])


def _robot(finals: Sequence[Numbers], weighed: bool) -> list[str]:
    """Whether it runs, in a sentence; nothing where metres are not counted."""
    final = median(finals)
    if text := standing(dict(final), weighed):
        return [f"{text[0].upper()}{text[1:]}."]
    words = travelled(dict(final))
    if not words:
        return []
    each = "in an episode" if len(finals) == 1 else "in an episode (medians of the seeds)"
    speed = f", at {words[1]}" if "metres_per_second" in final else ""
    if "flags_mean" in final:
        speed += f", and reaches {rounded(final['flags_mean'])} flags"
    if abs(final["metres_mean"]) < _HARDLY:
        return [f"It hardly moves: {words[0]} {each}{speed}."]
    return [f"It travels {words[0]} {each}{speed}."]


def median(finals: Sequence[Numbers]) -> dict[str, float]:
    """The median of several runs' numbers, by name."""
    names = set(finals[0]).intersection(*finals)
    return {name: float(np.median([final[name] for final in finals])) for name in names}


def tiles(group: Group, endings: Sequence[Ending]) -> list[Tile]:
    """The numbers that stand out: return, metres, speed, share of what was published, cost."""
    finals = [one.final for one in endings if one.final is not None]
    if not finals:
        scored = [one.best for one in endings if one.rows]
        return [Tile(digits(max(scored)), "best evaluation so far")] if scored else []
    final, several = median(finals), len(finals) > 1
    what = f"median of {counted(len(finals), 'seed')}" if several else ""
    spread = ""
    if {"return_std", "episodes"} <= final.keys():
        episodes = counted(int(final["episodes"]), "episode")
        spread = f"± {digits(final['return_std'])} over {episodes}"
    found = [Tile(digits(final["return_mean"]), "return", what or spread)]
    if "metres_mean" in final:
        found.append(Tile(f"{rounded(final['metres_mean'])} m", "travelled in an episode", what))
    if "flags_mean" in final:
        found.append(Tile(rounded(final["flags_mean"]), "flags in an episode", what))
    if "metres_per_second" in final:
        found.append(Tile(f"{rounded(final['metres_per_second'], 2)} m/s", "speed", what))
    for share in shares(group.env_id, final["return_mean"]):
        named = (f"{share.percent} %", f"of the {share.of}") if share.percent else ("", share.of)
        found.append(Tile(*named))
    ended = [one for one in endings if one.final is not None]
    seconds = sum(one.result.get("seconds", 0.0) for one in ended)
    steps = sum(one.steps for one in ended)
    found.append(Tile(duration(seconds), "of training", counted(steps, "timestep")))
    return found


def facts(group: Group, endings: Sequence[Ending]) -> list[tuple[str, str]]:
    """Names and values: what made the runs, and where."""
    run = group.runs[0]
    found = [("environment", group.env_id), ("algorithm", algorithm(run.algo))]
    preset = run.config.get("preset")
    found.append(("preset", str(preset) if preset else "none"))
    for one in endings:
        which = "" if len(endings) == 1 else f" (seed {one.run.seed})"
        if one.stopped:
            found.append((f"ended{which}", one.stopped))
    versions, place = (run.config.get(name) for name in ("versions", "platform"))
    if isinstance(versions, dict) and versions:
        found.append(("versions", ", ".join(f"{name} {v}" for name, v in versions.items())))
    if isinstance(place, dict) and place:
        found.append(("machine", ", ".join(str(value) for value in place.values())))
    commands = run.config.get("commands")
    if isinstance(commands, list):
        found += [("command", str(command)) for command in commands]
    return [*found, *(("folder", one.run.place) for one in endings)]


def seeds_table(endings: Sequence[Ending]) -> Table | None:
    """A row a run; None for one run. The best is marked."""
    if len(endings) == 1:
        return None
    columns = ["timesteps", "best evaluation", "return", "±"]
    finals = [one.final or {} for one in endings]
    names = "flags_mean", "metres_mean", "metres_per_second"
    more = [name for name in names if any(name in f for f in finals)]
    heads = ["seed", *columns, *(_HEADS[name] for name in more)]
    rows = []
    for one, final in zip(endings, finals, strict=True):
        numbers = [final.get("return_mean"), final.get("return_std")]
        cells = [f"{one.steps:,}", digits(one.best) if one.rows else ""]
        cells += ["" if number is None else digits(number) for number in numbers]
        for name in more:
            decimals = 2 if name == "metres_per_second" else 1
            cells.append(rounded(final[name], decimals) if name in final else "")
        rows.append([str(one.run.seed), *cells, duration(one.result.get("seconds", math.nan))])
    best = max(range(len(endings)), key=lambda index: endings[index].score)
    return Table([*heads, "time"], rows, best)


def evaluations_table(one: Ending) -> Table:
    """The scheduled evaluations of a run, that of its best policy marked."""
    rows = one.rows
    best = max(range(len(rows)), key=lambda index: rows[index]["return_mean"], default=None)
    # The log says which were kept: of a planning algorithm the latest, whatever it returns.
    best = max((index for index, row in enumerate(rows) if row.get("best") == 1), default=best)
    chosen, note = list(range(len(rows))), ""
    if best is not None and len(rows) > MOST_ROWS:
        spread = np.linspace(0, len(rows) - 1, MOST_ROWS - 1).astype(int).tolist()
        chosen = sorted({*spread, best})
        note = f"{len(chosen):,} of {len(rows):,} evaluations"
    heads = [name for name in _HEADS if any(name in row for row in rows)]
    return Table(
        [_HEADS[name] for name in heads],
        [[_cell(name, rows[index].get(name, math.nan)) for name in heads] for index in chosen],
        chosen.index(best) if best is not None else None,
        note,
    )


def _cell(name: str, value: float) -> str:
    if not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if name in ("timesteps", "length_mean") else digits(value)
