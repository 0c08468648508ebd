"""Compare the time of `ars plot` with what it cannot do without.

    python scripts/bench_plot.py [--runs 50] [--rows 600] [--rounds 5] [--ending .png]

The limit is a process that imports matplotlib, with the backend of the format, and reads the same
files with the `csv` and `json` modules of Python. Both take turns, and the time is the CPU time of
the whole process; the ratio is the median of the rounds' ratios. Runs are made up: groups of five
seeds that differ in their step size, with one evaluation an iteration, and but for the first no two
of them are evaluated after the same timesteps.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = 5
BACKENDS = {".png": "agg", ".svg": "svg", ".pdf": "pdf"}
LIMIT = """
import csv, json, sys
from pathlib import Path
import matplotlib.figure, matplotlib.backends.backend_{backend}
for folder in Path(sys.argv[1]).iterdir():
    json.loads((folder / "config.json").read_text())
    with (folder / "evaluations.csv").open(newline="") as file:
        list(csv.reader(file))
"""


def make_run(folder: Path, group: int, seed: int, rows: int) -> None:
    """Write the files of a run that `ars plot` reads."""
    folder.mkdir()
    rng, timesteps, level = random.Random(f"{group} {seed}"), 0, 0.0
    config = {"env_id": "HalfCheetah", "env_kwargs": {}, "algo": "ars", "seed": seed}
    settings = {"step_size": 0.01 * (group + 1)}
    (folder / "config.json").write_text(json.dumps({**config, "config": settings}))
    names = "iteration timesteps episodes return_mean return_std return_min return_max length_mean"
    with (folder / "evaluations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names.split(), "best", "time_seconds"])
        for row in range(rows):
            spread = [level + rng.gauss(0, 100) for _ in range(4)]
            writer.writerow([row, timesteps, 10, *spread, 1000.0, 0, row * 1.5])
            timesteps += rng.randint(4000, 6000)
            level += rng.gauss(3, 20)


def cpu_seconds(words: list[str]) -> float:
    """The CPU time of a process, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print the times and the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--rows", type=int, default=600, help="evaluations of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ending", choices=BACKENDS, default=".png", help="format of the figure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        runs = Path(work, "runs")
        runs.mkdir()
        for number in range(arguments.runs):
            make_run(runs / f"run-{number}", *divmod(number, SEEDS), arguments.rows)
        output = str(Path(work, f"figure{arguments.ending}"))
        contenders = {
            "plot": ["-m", "ars.plot", str(runs), "--output", output],
            "limit": ["-c", LIMIT.format(backend=BACKENDS[arguments.ending]), str(runs)],
        }
        for words in contenders.values():  # compiled modules and fonts are cached once
            cpu_seconds(words)
        rounds = [
            {name: cpu_seconds(words) for name, words in contenders.items()}
            for _ in range(arguments.rounds)
        ]
    for name in contenders:
        print(f"{name:6} {statistics.median(row[name] for row in rounds):6.2f} s of CPU time")
    print(f"plot / limit {statistics.median(row['plot'] / row['limit'] for row in rounds):6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
