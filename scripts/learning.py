"""Train several seeds, evaluate each best policy on 100 new episodes, and print every seed.

    python scripts/learning.py HalfCheetah [--algo ars] [--seeds 5] [--first-seed 0]
                               [--jobs 2] [--folder DIR] [-- FLAGS]

FLAGS are passed to `python -m ars.train`. Each run is one process without Ray, and `--jobs` of them
run at a time; results do not depend on the number of workers. What was stopped goes on, and what is
finished is kept, so that the command may be given again at any time. The table shows for each seed
the steps trained, the iteration of the best policy, its mean return, standard deviation and worst
return over the new episodes, and how far a robot came; the median over the seeds follows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def learn(env: str, algo: str, seed: int, folder: Path, flags: list[str]) -> dict[str, Any]:
    """Train or resume one seed and evaluate it; return the JSON of `ars.evaluate`."""
    run = folder / f"{env.replace('/', '-')}-{algo}-s{seed}"
    evaluated = run / "evaluated.json"
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    python = [sys.executable, "-m"]
    if not (run / "result.json").exists():
        words = [env, "--algo", algo, "--seed", str(seed), "--run-dir", str(run), *flags]
        if (run / "config.json").exists():
            words = ["--resume", str(run)]
        command = [*python, "ars.train", "--n-workers", "0", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=one_thread)
        evaluated.unlink(missing_ok=True)
    if not evaluated.exists():
        command = [*python, "ars.evaluate", str(run), "--episodes", "100", "--json"]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=one_thread
        )
        unfinished = run / "evaluated.json.part"
        unfinished.write_text(done.stdout)
        unfinished.replace(evaluated)
    result = json.loads((run / "result.json").read_text())
    return {**json.loads(evaluated.read_text()), "trained": result["timesteps"]}


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown, metres where the robot has them."""
    travels = all("metres_mean" in row for row in rows)
    titles = [
        "seed",
        "steps trained",
        "best after",
        "return, 100 new episodes",
        "deviation",
        "worst",
    ]
    lines = [titles + ["metres"] * travels, ["---"] * (len(titles) + travels)]
    for row in rows:
        cells = [row["seed"], row["trained"], f"iteration {row['iteration']}"]
        cells += [row[f"return_{name}"] for name in ("mean", "std", "min")]
        cells += [row["metres_mean"]] * travels
        lines.append([c if isinstance(c, str) else f"{c:,.0f}" for c in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("env")
    parser.add_argument("--algo", default="ars")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("runs/learning"))
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    args, flags = parser.parse_args(words[:end]), words[end + 1 :]
    with ThreadPoolExecutor(args.jobs) as pool:
        jobs = [
            pool.submit(learn, args.env, args.algo, seed, args.folder, flags)
            for seed in range(args.first_seed, args.first_seed + args.seeds)
        ]
        rows = [job.result() for job in jobs]
    print(table(rows))
    median = statistics.median(row["return_mean"] for row in rows)
    worst = min(row["return_mean"] for row in rows)
    print(f"\n{args.env}: median {median:,.0f}, worst {worst:,.0f} of {len(rows)} seeds")


if __name__ == "__main__":
    main()
