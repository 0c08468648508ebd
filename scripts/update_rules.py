"""What changes to ARS's update are worth: presets with one change each, beside those without.

    python scripts/update_rules.py [--rules adam ranks ...] [--robots Hopper ...] [--seeds 5]
                                   [--steps 1_000_000] [--jobs 2] [--runs runs/update-rules]

Prints a table in Markdown: of every rule and robot the mean return of each seed's best policy over
20 new episodes, and the median. A run that has ended is not trained again unless its preset has
changed since, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ars.algorithms import ALGORITHMS, RegisteredAlgorithm
from ars.api import evaluate, train
from ars.common.resources import n_processors
from policies.file import write_json

EPISODES = 20
LINEAR = {"step_size_schedule": "linear"}
# Of each rule the class in `outcomes.changed_updates`, or none, and settings.
RULES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "none": (None, {}),
    "adam": ("Adam", {}),
    "clipup": ("ClipUp", {}),
    "ranks": ("CentredRanks", {}),
    "decay": ("WeightDecay", {}),
    "step-falls": (None, LINEAR),
    "step-and-noise-fall": ("FallingNoise", LINEAR),
    "two-episodes": ("TwoEpisodes", {}),
    "orthogonal": ("Orthogonal", {}),
    "bias": (None, {"bias": True}),
    "clock": (None, {"clock": (2.5,)}),
}


def play(rule: str, robot: str, seed: int, steps: int, folder: Path) -> float:
    """The return of a run's best policy; trains it unless it has been, with the same settings."""
    found = folder / f"{robot}-{rule}-s{seed}-{steps}.json"
    changed, settings = RULES[rule]
    # As JSON has them: lists for tuples.
    with_settings = json.loads(json.dumps({**ALGORITHMS["ars"].presets[robot], **settings}))
    known = json.loads(found.read_text()) if found.exists() else {}
    if known.get("settings") != with_settings:
        algo = "ars" if changed is None else f"ars-{rule}"
        if changed is not None:
            entry = f"outcomes.changed_updates:{changed}"
            ALGORITHMS[algo] = RegisteredAlgorithm(entry, rule, ALGORITHMS["ars"].presets_module)  # type: ignore[index]
        run_dir = found.with_suffix("")
        shutil.rmtree(run_dir, ignore_errors=True)
        run = train(
            robot,
            algo=algo,
            seed=seed,
            total_timesteps=steps,
            n_workers=0,
            run_dir=run_dir,
            verbose=False,
            **settings,
        )
        known = {"return": evaluate(run, EPISODES)["return_mean"], "settings": with_settings}
        write_json(found, known)
    return float(known["return"])


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--robots", nargs="+", default=["Hopper", "HalfCheetah"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=n_processors())
    parser.add_argument("--runs", type=Path, default=Path("runs/update-rules"))
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    seeds = range(args.seeds)
    # A process a run: what a rule changes of its process is gone with it.
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), max_tasks_per_child=1) as team:
        waiting = {
            (rule, robot): [
                team.submit(play, rule, robot, seed, args.steps, args.runs) for seed in seeds
            ]
            for rule in args.rules
            for robot in args.robots
        }
        print(f"| rule | {' | '.join(args.robots)} |\n|---|{'---|' * len(args.robots)}", flush=True)
        for rule in args.rules:
            cells = []
            for robot in args.robots:
                returns = [run.result() for run in waiting[rule, robot]]
                each = ", ".join(f"{found:,.0f}" for found in returns)
                cells.append(f"**{np.median(returns):,.0f}**: {each}")
            print(f"| `{rule}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
