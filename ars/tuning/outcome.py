"""What came of a search: the best settings as a preset, a table of trials, a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ars.common.output import replacing
from ars.common.settings import counted, in_words
from ars.common.words import digits
from ars.results import style
from ars.tuning.store import COMPLETE, FAILED, PRUNED, TrialRow, TrialStore, best_first
from policies.file import write_atomically

PRESET, TRIALS, FIGURES = "preset.yaml", "trials.csv", ("history.png", "history.svg")


@dataclass(frozen=True)
class Tuned:
    """What came of a search.

    Attributes:
        folder: of the search.
        env_id: the environment.
        algo: the algorithm.
        trials: all of them, in their order.
        best: the complete ones, the best first.
        importances: how much each suggested value matters, adding up to 1; empty where too few
            trials were complete to tell.
        preset: the settings of the best trial, as in the preset file; empty where none was
            complete.
    """

    folder: Path
    env_id: str
    algo: str
    trials: Sequence[TrialRow]
    best: Sequence[TrialRow]
    importances: Mapping[str, float]
    preset: Mapping[str, Any]

    @property
    def preset_file(self) -> Path:
        """The file that `preset` takes."""
        return self.folder / PRESET


def tuned(
    folder: Path,
    env_id: str,
    algo: str,
    store: TrialStore,
    preset_of: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Tuned:
    """What came of a search, written to its folder.

    Args:
        folder: of the search.
        env_id: the environment.
        algo: the algorithm.
        store: its trials.
        preset_of: makes a preset of a trial's settings.
    """
    rows = store.rows()
    best = best_first(rows)
    preset = preset_of(best[0].settings) if best else {}
    found = Tuned(folder, env_id, algo, rows, best, store.importances(), preset)
    write_atomically(folder / TRIALS, _csv(rows).encode())
    if best:
        write_atomically(found.preset_file, _preset(found).encode())
        _draw(found)
    return found


def count_of_trials(found: Tuned) -> str:
    """`57 trials: 21 complete, 34 ended early, 2 failed`."""
    words = {COMPLETE: "complete", PRUNED: "ended early", FAILED: "failed"}
    states = [row.state for row in found.trials]
    counts = {word: states.count(state) for state, word in words.items()}
    counts["under way"] = len(states) - sum(counts.values())
    told = ", ".join(f"{n:,} {word}" for word, n in counts.items() if n)
    return f"{counted(len(states), 'trial')}: {told}"


def table_of_best(found: Tuned, most: int = 3) -> str:
    """What the best trials had, a column each, the most important settings first."""
    shown = found.best[:most]
    names = {name for row in shown for name in row.suggested}
    ordered = [name for name in found.importances if name in names]
    ordered += sorted(names - set(ordered))
    grid = [["", *(f"trial {row.number}" for row in shown), "importance"]]
    grid.append(["value", *(digits(row.value or 0.0) for row in shown), ""])
    for name in ordered:
        share = found.importances.get(name)
        cells = [_short(row.settings.get(name, row.suggested.get(name))) for row in shown]
        grid.append([name, *cells, "" if share is None else f"{share:.2f}"])
    if not found.importances:
        grid = [row[:-1] for row in grid]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = []
    for first, *rest in grid:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)


def _short(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else in_words(value)


def _preset(found: Tuned) -> str:
    import yaml

    best, number = found.best[0], counted(len(found.trials), "trial")
    reached = f"evaluated {digits(best.value or 0.0)} in the search"
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in found.preset.items()}
    text = yaml.safe_dump(plain, sort_keys=False)
    return f"# {found.env_id}: trial {best.number}, the best of {number}, {reached}\n{text}"


def _csv(rows: Sequence[TrialRow]) -> str:
    """A row for each trial, a column for each setting."""
    names = list(dict.fromkeys(name for row in rows for name in row.settings))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "value", "compared", "seconds", *names, "failure"])
    for row in rows:
        values = [row.settings.get(name) for name in names]
        cells = [" ".join(map(str, v)) if isinstance(v, list | tuple) else v for v in values]
        seconds = None if row.seconds is None else round(row.seconds, 1)
        writer.writerow([row.number, row.state, row.value, row.point, seconds, *cells, row.reason])
    return text.getvalue()


def _draw(found: Tuned) -> None:
    from ars.results.search_figure import draw_search

    values = {
        state: {r.number: r.value for r in found.trials if r.state == state and r.value is not None}
        for state in (COMPLETE, PRUNED)
    }
    with style.print_style():
        title = f"{found.env_id}, {found.algo}"
        figure = draw_search(title, values[COMPLETE], values[PRUNED], found.importances)
        for name in FIGURES:
            with replacing(found.folder / name) as temporary:
                style.write(figure, temporary, Path(name).suffix)
