"""Train what docs/results.md reports, and write its tables.

    python scripts/results.py [--only Hopper ...] [--algo ars ...] [--jobs 2] [--runs runs/results]
    python scripts/results.py --take FOLDER ...      # runs that were trained elsewhere
    python scripts/results.py --table                # only the tables, from docs/results.csv

Trains the seeds of `PLAN` with the presets, each in a process and on a core of its own, and plays
100 new episodes of each best policy. A seed that has ended is a row of docs/results.csv at once,
and in the tables between the marks of docs/results.md; everything else on that page is written by
hand. Stopped at any moment, the same command goes on. A row counts for as long as the preset is
what it was: one of other settings is left out of the tables, and its seed is trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from outcomes.rows import Measured, RunName, difference, read_rows, settings_in, write_rows
from outcomes.tables import SeedGroup, tables, with_tables

from ars.algorithms import ALGORITHMS
from ars.api import Run, UsageError, evaluate
from ars.cli.exit import reporting
from ars.cli.parser import with_flags
from ars.common.errors import RunError
from ars.common.resources import n_processors
from ars.common.settings import counted
from ars.common.words import digits
from ars.results.stored_run import StoredRun, find_runs
from ars.results.style import compact
from ars.training.processes import job
from ars.training.run_folder import CONFIG
from ars.training.seed_processes import Team
from policies.file import write_atomically

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLE, PAGE = DOCS / "results.csv", DOCS / "results.md"
EPISODES = 100
SHOWN_EVERY = 250_000  # timesteps


class Planned(NamedTuple):
    """Seeds from 0 on, trained for as long as the preset says."""

    environment: str
    algorithm: str
    n_seeds: int


PLAN = (
    Planned("InvertedPendulum", "ars", 10),
    Planned("InvertedPendulumSwingup", "ars", 10),
    Planned("InvertedDoublePendulum", "ars", 10),
    Planned("Reacher", "ars", 5),
    Planned("Reacher", "ppo", 5),
    Planned("Pusher", "ars", 5),
    Planned("Thrower", "ars", 3),
    Planned("Hopper", "ars", 10),
    Planned("Hopper", "pgpe", 5),
    Planned("Hopper", "sep-cma-es", 5),
    Planned("Hopper", "ppo", 3),
    Planned("HalfCheetah", "ars", 20),
    Planned("HalfCheetah", "pgpe", 5),
    Planned("HalfCheetah", "sep-cma-es", 5),
    Planned("HalfCheetah", "ppo", 3),
    Planned("Walker2D", "ars", 5),
    Planned("Walker2D", "ppo", 3),
    Planned("Ant", "ars", 5),
    Planned("Ant", "pgpe", 5),
    Planned("Ant", "sep-cma-es", 5),
    Planned("Ant", "ppo", 3),
    Planned("Humanoid", "ppo", 3),
    Planned("HumanoidFlagrun", "ppo", 3),
    Planned("Minitaur", "ars", 3),
)


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(with_flags(line), flush=True)


def missing(plan: Sequence[Planned]) -> list[RunName]:
    """The runs that have no row of today's settings."""
    rows = read_rows(TABLE)
    names = [RunName(*planned[:2], seed) for planned in plan for seed in range(planned.n_seeds)]
    return [name for name in names if name not in rows or not rows[name].is_current]


def groups() -> Iterator[SeedGroup]:
    """The rows of today's settings, in the order of the plan."""
    rows = sorted(read_rows(TABLE).items())
    for planned in PLAN:
        found = [row for name, row in rows if name[:2] == planned[:2] and row.is_current]
        if found:
            yield SeedGroup(found, planned.n_seeds)


def write_tables() -> None:
    """Write the tables of docs/results.md again, and leave the rest of it as it is."""
    write_atomically(PAGE, with_tables(PAGE.read_text(), tables(groups())).encode())


def record(run: StoredRun) -> None:
    """Play new episodes of a run's best policy, and put them into the tables."""
    found, result = evaluate(run.folder, EPISODES), Run.open(run.folder).result
    row = Measured(
        run.env_id,
        run.algo,
        run.seed,
        result["timesteps"],
        found["return_mean"],
        found["return_std"],
        found["return_min"],
        found.get("metres_mean"),
        found.get("flags_mean"),
        result["seconds"] / 60,
        settings_in(run.config),
        run.config["versions"].get("ars", ""),
    )
    # Read again: while this one trained, another process may have added others.
    write_rows(TABLE, {**read_rows(TABLE), row.name: row}.values())
    write_tables()
    say(f"{row.name}: {digits(row.return_mean)} ± {digits(row.return_std)}, {run.folder}")


def take(folders: Sequence[Path], plan: Sequence[Planned]) -> None:
    """Record runs that were trained elsewhere, where they are what would be trained here."""
    wanted = missing(plan)
    for run in find_runs(folders, say):
        name = RunName(run.env_id, run.algo, run.seed)
        if name not in wanted:
            say(f"left out: {run.folder}: {name} is not planned, or in the table already")
        elif run.timesteps is None:
            say(f"left out: {run.folder}: has not ended")
        elif differs := difference(run.config):
            say(f"left out: {run.folder}: of other settings: {differs}")
        else:
            record(run)
            wanted.remove(name)


class Lines:
    """Says in lines how trainings go on, and records those that have ended.

    Args:
        names: what is trained; they are called by their index.
        folders: where.
    """

    def __init__(self, names: Sequence[RunName], folders: Sequence[Path]) -> None:
        self._names, self._folders = names, folders
        self._next = [SHOWN_EVERY] * len(names)
        self._said: set[str] = set()

    def event(self, index: int, kind: str, value: Any) -> None:
        """Show each message once, and an evaluation now and then."""
        if kind in ("notify", "said"):
            if value not in self._said:
                self._said.add(value)
                self._say(index, value)
        elif kind == "evaluation" and value["timesteps"] >= self._next[index]:
            self._next[index] = value["timesteps"] + SHOWN_EVERY
            steps = compact(round(value["timesteps"], -3))
            self._say(index, f"{digits(value['return_mean'])} after {steps} steps")

    def started(self, index: int) -> None:
        """Say so."""
        self._say(index, "trains")

    def ended(self, index: int, error: str | None) -> None:
        """Record the run, or say why there is none."""
        if error is None:
            record(StoredRun.open(self._folders[index]))
        else:
            self._say(index, f"failed: {error}")

    def _say(self, index: int, line: str) -> None:
        say(f"{self._names[index]}: {line}")


def train(plan: Sequence[Planned], runs: Path, jobs: int) -> None:
    """Train what is missing, so many at a time."""
    ended, names, folders = [], [], []
    for name in missing(plan):
        folder = runs / name.environment / f"{name.algorithm}-s{name.seed}"
        run = StoredRun.open(folder) if (folder / CONFIG).is_file() else None
        if run is not None and (differs := difference(run.config)):
            raise UsageError(f"{folder}: a run of other settings: {differs}; move it away")
        if run is not None and run.timesteps is not None:
            ended.append(run)
        else:
            names.append(name)
            folders.append(folder)
    say(f"{counted(len(names), 'run')} to train, {jobs} at a time, in {runs}")
    for run in ended:
        record(run)

    def told(index: int) -> dict[str, Any]:
        environment, algorithm, seed = names[index]
        workers = {"n_workers": "0"}
        new = {"algo": algorithm, "seed": seed, **workers}
        command = f"python -m ars.train {environment} --algo {algorithm} --seed {seed}"
        return job(environment, folders[index], new, workers, command, trust=False)

    team = Team(told, lambda index: None, Lines(names, folders))
    try:
        team.train(range(len(names)), jobs)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted and saved; the same command goes on") from None
    if team.errors:
        failed = ", ".join(str(names[index]) for index in team.errors)
        raise RunError(f"failed: {failed}; the same command tries again")


def main() -> None:
    """Train, take, or only write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = list(dict.fromkeys(planned.environment for planned in PLAN))
    parser.add_argument("--only", nargs="+", choices=known, default=known, help="environments")
    parser.add_argument(
        "--algo", nargs="+", choices=ALGORITHMS, default=ALGORITHMS, help="algorithms"
    )
    parser.add_argument("--jobs", type=int, default=n_processors(), help="runs at a time")
    parser.add_argument("--runs", type=Path, default=Path("runs/results"), help="their folder")
    parser.add_argument("--take", nargs="+", type=Path, metavar="FOLDER", help="take these runs")
    parser.add_argument("--table", action="store_true", help="write the tables, train nothing")
    args = parser.parse_args()
    alone = {"table": ("only", "algo", "jobs", "runs", "take"), "take": ("jobs", "runs")}
    for name in [name for name in alone if getattr(args, name)]:
        for idle in alone[name]:
            if getattr(args, idle) != parser.get_default(idle):
                parser.error(f"--{idle}: has no meaning beside --{name}")
    plan = [p for p in PLAN if p.environment in args.only and p.algorithm in args.algo]
    with reporting():
        if args.take:
            take(args.take, plan)
        elif not args.table:
            train(plan, args.runs, max(1, args.jobs))
        old = [str(name) for name, row in read_rows(TABLE).items() if not row.is_current]
        if old:
            say(f"not in the tables, of other settings than today's: {', '.join(old)}")
        write_tables()


if __name__ == "__main__":
    main()
